#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "engines/constraints.hpp"
#include "engines/engine.hpp"
#include "engines/layout.hpp"
#include "engines/model.hpp"
#include "engines/moving.hpp"
#include "engines/partial_sums.hpp"
#include "engines/pass.hpp"
#include "engines/positions.hpp"
#include "engines/problem.hpp"
#include "engines/state.hpp"
#include "engines/tangents.hpp"
#include "engines/totals.hpp"
#include "kernels/detector.hpp"
#include "kernels/update.hpp"
#include "storage/blocks.hpp"

namespace exitwave {

// What all engines share. An update has three phases:
//
//   accumulate   each part alone: frames of the group, through the model to the detector, where the
//                engine's rule turns the wave into a residual, and back into the part's sums
//   exchange     the parts' sums become whole where they overlap
//   apply        each part alone: the same update on the same pixels
template <class Backend>
class Reconstruction : public Engine {
 public:
  using Lane = typename Backend::Lane;

  Reconstruction(const typename Backend::Settings& settings, const Scan& scan,
                 const EngineOptions& options, const Complex* object, const Complex* probe,
                 int extra_probe_sums = 0, std::size_t wave_bytes = 0)
      : options_(options),
        backend_(settings, scan),
        problem_(backend_, scan),
        blocks_(backend_, scan, options.storage, wave_bytes),
        state_(backend_, problem_, options, object, probe),
        model_(backend_, problem_, state_, options),
        object_sums_(backend_, problem_.layout().tiles(), problem_.layout().owned(),
                     options.object_images(), options.slices),
        probe_sums_(backend_, state_.windows(), probe_owners(scan),
                    options.probe_modes * (1 + options.eigen_probes) + extra_probe_sums),
        totals_(backend_, problem_.parts(), options.slices + found::of_pairs(options.history)),
        constraints_(backend_, problem_, state_, object_sums_, probe_sums_, totals_, options_),
        positions_(backend_, problem_),
        tangents_(backend_, problem_, model_, options.needs_tangents),
        pass_(backend_, problem_, object_sums_) {}

  void start() override { constraints_.start(); }
  void set_constraints(bool due, bool refine_kappa) override {
    constraints_.set_due(due, refine_kappa);
  }
  void finish() override {}

  double deviation() override {
    return total_over_frames(
        [&](Scratch& s, const auto& sensor) { return modulus_residual(s, sensor); });
  }
  double model_power() override {
    return total_over_frames([&](Scratch& s, const auto&) {
      return model_.sum_modes(kernels::ModelPower{s.measured(), s.wave.view(), model_.scale()}, s);
    });
  }

  NormalEquation look_along(Unknown unknown, const kernels::Along& along) override {
    pass_.take_all();
    forget(kLoss, 2);
    backend_.for_each_part([&](Lane& lane, int lane_number, int part) {
      for_each_batch(lane, lane_number, part, [&](Scratch& s, const Batch& b) {
        tangents_.find(lane, lane_number, model_, s, b, unknown, along);
        add_totals<2>(lane, s, b, kLoss);
      });
    });
    const std::vector<double> rows = totals_.read();
    return {found(rows, kLoss), found(rows, kLoss + 1)};
  }
  NormalEquation look_between_slices(const Complex* factors) override {
    model_.gaps().set_changes(factors);
    return look_along(Unknown::gaps, {});
  }
  void set_slice_kernels(const Complex* kernels) override { model_.gaps().set_kernels(kernels); }
  void set_kernel(const Complex* kernel) override { problem_.set_kernel(kernel); }
  void move_probe(int dy, int dx) override {
    Moving(backend_, state_.object(), state_.object_images(), false).move(dy, dx);
    Moving(backend_, state_.probe(), state_.probe_modes(), true).move(dy, dx);
    state_.eigen().move(backend_, dy, dx);
    for_each_copy([&](Lane& lane, int part) { state_.refresh(lane, part); });
  }

  void watch_positions(bool on) override { watch_positions_ = on; }
  void get_position_sums(double* target) override { positions_.read(target); }
  void get_deviations_at(const std::vector<Corner>& corner, const std::vector<Real>& fraction,
                         double* target) override {
    const std::vector<Corner> corner_now = problem_.corners_now();
    const std::vector<Real> fraction_now = problem_.fractions_now();
    problem_.set_positions(corner, fraction);
    total_over_frames(
        [&](Scratch& s, const auto& sensor) { return modulus_residual(s, sensor); },
        [&](Lane& lane, Scratch& s, const Batch& b) { positions_.keep(lane, s, b, 1); });
    positions_.read(target, 1);
    problem_.set_positions(corner_now, fraction_now);
  }
  void set_positions(const std::vector<Corner>& corner,
                     const std::vector<Real>& fraction) override {
    problem_.set_positions(corner, fraction);
  }
  // Object and probe part by part: where tiles overlap their last digits may differ. Sums are zero
  // between iterations, and what follows from the probe follows from it again.
  void state(Archive& archive) override {
    state_.object().state(archive, "object");
    state_.probe().state(archive, "probe");
    constraints_.state(archive);
    totals_.state(archive);
    blocks_.state(archive, backend_);
    if (!archive.saving()) for_each_copy([&](Lane& lane, int part) { state_.refresh(lane, part); });
  }

  void set_fields(const Complex* object, const Complex* probe) override {
    state_.object().upload(object);
    state_.probe().upload(probe);
    for_each_copy([&](Lane& lane, int part) { state_.refresh(lane, part); });
  }
  void get_object(Complex* target) override { state_.object().download(target); }
  void get_probe(Complex* target) override { state_.probe().download(target); }
  Placed<Complex> object_in_place() override { return state_.object().in_place(); }
  Placed<Complex> probe_in_place() override { return state_.probe().in_place(); }
  std::vector<MemoryUse> memory() override {
    std::vector<MemoryUse> all;
    for (const Memory* memory : backend_.memories())
      all.push_back({memory->name(), memory->peak_bytes(), memory->uses()});
    return all;
  }

 protected:
  using enum found::Place;

  static int largest_object(int slice) {
    return slice == 0 ? int(kLargestObject) : Totals<Backend>::kFirst + slice - 1;
  }

  int parts() const { return problem_.parts(); }

  // f(scratch, batch) over the part's frames of the pass, or some of them
  template <class F>
  void for_each_batch(Lane& lane, int lane_number, int part, FrameRange range, WaveAccess waves,
                      F&& f) {
    Scratch& scratch = model_.scratch(lane_number);
    blocks_.for_each(
        lane, lane_number, part, pass_.frames(part), range, waves, [&](const Block& block) {
          for (int first = 0; first < block.count; first += model_.batch())
            f(scratch,
              Batch{part, block.frame + first, std::min(model_.batch(), block.count - first),
                    block.counts, block.counts_at + first, block.waves, block.waves_at + first});
        });
  }
  template <class F>
  void for_each_batch(Lane& lane, int lane_number, int part, WaveAccess waves, F&& f) {
    for_each_batch(lane, lane_number, part, pass_.whole(part), waves, f);
  }
  template <class F>
  void for_each_batch(Lane& lane, int lane_number, int part, F&& f) {
    for_each_batch(lane, lane_number, part, {}, f);
  }

  // All frames of the pass at once, for operations that need no scratch.
  Batch all_frames(int part) { return some_frames(part, pass_.whole(part)); }
  Batch some_frames(int part, FrameRange range) {
    return {part, blocks_.order(part) + range.begin, range.end - range.begin};
  }
  // Of the first frame of a batch.
  std::ptrdiff_t place_in_pass(const Batch& b) const { return b.frame - blocks_.order(b.part); }

  // f(lane, part) for every part that holds a probe of its own
  template <class F>
  void for_each_copy(const F& f) {
    state_.for_each_copy(backend_, f);
  }

  // Which sums of the probe a pass takes.
  enum class ProbeSums { none, terms, terms_and_weights };

  // Sums over the frames of the pass, sent to their owners. rule(lane, scratch, batch): model wave
  // to residual wave, and totals of the batch. `touched`: object pixels that the pass reaches
  // (null: all). Sums of the probe without weights are kept: more is to come. keep(lane, scratch,
  // batch, slice) sees the residual behind each slice, the last one first.
  template <class Rule, class Keep>
  void accumulate(ProbeSums probe_sums, const Region* touched, WaveAccess waves, const Rule& rule,
                  const Keep& keep) {
    const auto work = [&](Lane& lane, int lane_number, int part, FrameRange range) {
      for_each_batch(lane, lane_number, part, range, waves, [&](Scratch& s, const Batch& b) {
        const kernels::ProbeMode p = model_.model(lane, s, b);
        rule(lane, s, b);
        model_.backward(lane, b, s.wave.view());
        if (watch_positions_) positions_.find(lane, model_, s, b, p);
        model_.back_through_slices(lane, s, b, object_sums_, keep);
        if (probe_sums == ProbeSums::none)
          model_.add_object(lane, s, b, p, object_sums_.sum(part, 0));
        else
          model_.add_both(lane, s, b, p, object_sums_.sum(part, 0), probe_sums_.sum(part));
        model_.add_object_weight(lane, b, p, object_sums_.weight(part, 0));
      });
      model_.add_object_weights(lane, some_frames(part, range), object_sums_.weight(part, 0));
    };
    if (!backend_.shared()) {
      backend_.for_each_part([&](Lane& lane, int lane_number, int part) {
        object_sums_.restrict(part, touched);
        work(lane, lane_number, part, pass_.first(part));
        object_sums_.pack_away(lane, part);
      });
      if (backend_.ranks().communicator != nullptr) object_sums_.post(true);
    }
    backend_.for_each_part([&](Lane& lane, int lane_number, int part) {
      if (backend_.shared()) object_sums_.restrict(part, touched);
      object_sums_.pass_away(lane, part);
      work(lane, lane_number, part, pass_.rest(part));
      if (probe_sums == ProbeSums::terms_and_weights)
        model_.add_probe_weights(lane, all_frames(part), probe_sums_.weight(part));
      object_sums_.send_here(lane, part);
      if (probe_sums == ProbeSums::terms_and_weights) probe_sums_.send(lane, part, nullptr);
    });
  }

  template <class Rule>
  void accumulate(ProbeSums probe_sums, const Region* touched, WaveAccess waves, const Rule& rule) {
    accumulate(probe_sums, touched, waves, rule, [](Lane&, Scratch&, const Batch&, int) {});
  }

  // Makes sums that were sent whole wherever a part updates, and finds their largest weights.
  // `at_owner(lane, part)` is called when the owner's sums of the object are whole, before they
  // return to the other parts.
  template <class F>
  void complete(bool object, bool probe, const F& at_owner) {
    exchange(object, probe, true);
    backend_.for_each_part([&](Lane& lane, int, int part) {
      if (object) object_sums_.collect(lane, part);
      if (object) at_owner(lane, part);
      for (int slice = 0; object && slice < state_.slices(); ++slice)
        lane.largest(object_sums_.active_owned(part), object_sums_.weight(part, slice),
                     totals_.own(part, largest_object(slice)));
      if (probe) probe_sums_.collect(lane, part);
      if (backend_.shared()) {
        if (probe) look_at_probe_sums(lane, part);
        return;
      }
      if (object) object_sums_.give_back(lane, part);
      if (probe) probe_sums_.give_back(lane, part);
      totals_.share(lane, part);
    });
    if (backend_.shared()) return;
    exchange(object, probe, false);
    backend_.for_each_part([&](Lane& lane, int, int part) {
      if (object) object_sums_.take_back(lane, part);
      if (probe) probe_sums_.take_back(lane, part);
      if (probe) look_at_probe_sums(lane, part);
    });
  }
  void complete(bool object, bool probe) {
    complete(object, probe, [](Lane&, int) {});
  }

  // `inertia` times the largest weight
  kernels::LargestTimes object_floor(int part, double inertia, int slice = 0) {
    return {totals_.across(part, largest_object(slice)), inertia};
  }
  kernels::LargestTimes probe_floor(int part, double inertia) {
    return {totals_.alone(part, kLargestProbe), inertia};
  }
  // of one slice of all modes
  kernels::Quotient object_quotient(int part, double own, double inertia, int slice) {
    return {object_sums_.sum(part, slice), object_sums_.weight(part, slice), Real(own),
            object_floor(part, inertia, slice)};
  }
  kernels::Quotient probe_quotient(int part, double own, double inertia) {
    return {probe_sums_.sum(part), probe_sums_.weight(part), Real(own), probe_floor(part, inertia)};
  }

  // The probe's part of an update: `change` is a body over its modes; its supports follow.
  template <class Body>
  void apply_probe(Lane& lane, int part, const Body& change) {
    if (part >= state_.copies()) return;
    lane.map(state_.window(), state_.probe_modes(), change);
    probe_stepped(lane, part);
  }
  // What follows a step of the probe, in a part that has one.
  void probe_stepped(Lane& lane, int part) {
    probe_sums_.clear(lane, part);
    constraints_.restrict_probe(lane, part);
    state_.refresh(lane, part);
  }
  // End of an iteration.
  void constrain(bool update_probe) {
    if (update_probe && options_.hold_power) constraints_.hold_power();
    constraints_.apply(update_probe, true);
  }

  // Factor towards the measured modulus in s.measured(); total: squared amplitude deviation.
  template <class Sensor>
  auto modulus_residual(Scratch& s, const Sensor& sensor) {
    return model_.sum_modes(
        kernels::ModulusResidual<Sensor>{s.measured(), s.wave.view(), model_.scale(), sensor}, s);
  }
  // Residual wave from the factor.
  auto scale_wave(Scratch& s) {
    return model_.map(
        kernels::ScaleWave{s.wave.view(), s.measured(), s.keep.data(), model_.scale()});
  }

  // Adds the totals of a batch, N numbers for each frame, to those of its part.
  template <int N>
  void add_totals(Lane& lane, Scratch& s, const Batch& b, int found = kDeviation) {
    lane.add_totals(b.count, N, s.totals.data(), totals_.own(b.part, found));
  }
  // Sets a part's numbers to zero before it adds to them.
  void forget(int found, int count) {
    backend_.for_each_part(
        [&](Lane& lane, int, int part) { totals_.clear(lane, part, found, count); });
  }

  // Of what totals_ read, the sum over parts.
  double found(const std::vector<double>& rows, int which) const {
    return totals_.across(rows, which).sum();
  }
  // What the iteration found out: the host's one look at the devices.
  IterationReport report() {
    const std::vector<double> rows = totals_.read();
    IterationReport report;
    report.deviation = found(rows, kDeviation);
    report.frames_in_bound = std::lround(found(rows, kInside));
    // All copies of the probe are cut alike.
    const double of = rows[kCutOf];
    report.cut_power = of > 0 ? (rows[kUncut] - rows[kCut]) / of : 0;
    report.kappa = kernels::MaterialRatio{totals_.across(rows, kMaterial), options_.kappa}.best();
    return report;
  }

  EngineOptions options_;
  Backend backend_;
  Problem<Backend> problem_;
  Blocks<Backend> blocks_;
  State<Backend> state_;
  Model<Backend> model_;
  PartialSums<Backend> object_sums_;
  PartialSums<Backend> probe_sums_;
  Totals<Backend> totals_;
  Constraints<Backend> constraints_;
  PositionSums<Backend> positions_;
  Tangents<Backend> tangents_;
  Pass<Backend> pass_;
  bool watch_positions_ = false;

 private:
  // What goes to other ranks, and comes from them; the totals with the sums that return.
  void exchange(bool object, bool probe, bool to_owners) {
    Communicator* communicator = backend_.ranks().communicator;
    if (communicator == nullptr) return;
    if (object) object_sums_.post(to_owners);
    if (probe) probe_sums_.post(to_owners);
    if (!to_owners) totals_.exchange();
    communicator->finish();
    if (object) object_sums_.arrive(to_owners);
    if (probe) probe_sums_.arrive(to_owners);
  }

  // What a part that has a probe does when its sums are whole.
  void look_at_probe_sums(Lane& lane, int part) {
    if (part >= state_.copies()) return;
    if (problem_.fractional()) state_.from_spectrum(lane, part, probe_sums_.sum(part));
    lane.largest(state_.window(), probe_sums_.weight(part), totals_.own(part, kLargestProbe));
  }

  // Total of an operation at the detector over all frames; nothing is updated. `after(lane,
  // scratch, batch)`: s.totals holds those of the batch.
  template <class MakeOperation, class After>
  double total_over_frames(const MakeOperation& make_operation, const After& after) {
    pass_.take_all();
    forget(kDeviation, 1);
    backend_.for_each_part([&](Lane& lane, int lane_number, int part) {
      for_each_batch(lane, lane_number, part, [&](Scratch& s, const Batch& b) {
        model_.model(lane, s, b);
        problem_.with_sensor(part, [&](const auto& sensor) {
          model_.detect(lane, s, b, make_operation(s, sensor));
        });
        add_totals<1>(lane, s, b);
        after(lane, s, b);
      });
    });
    return report().deviation;
  }
  template <class MakeOperation>
  double total_over_frames(const MakeOperation& make_operation) {
    return total_over_frames(make_operation, [](Lane&, Scratch&, const Batch&) {});
  }
};

}  // namespace exitwave
