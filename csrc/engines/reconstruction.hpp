#pragma once

#include <algorithm>
#include <cmath>
#include <numeric>
#include <type_traits>
#include <vector>

#include "engines/engine.hpp"
#include "engines/model.hpp"
#include "engines/partial_sums.hpp"
#include "engines/positions.hpp"
#include "engines/problem.hpp"
#include "engines/state.hpp"
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
        model_(backend_, problem_, state_, options.power_bound >= 0),
        object_sums_(backend_, problem_.layout().tiles(), problem_.layout().owned(),
                     options.object_modes),
        probe_sums_(backend_, state_.windows(), probe_owners(),
                    options.probe_modes + extra_probe_sums),
        totals_(backend_, problem_.parts()),
        positions_(backend_, problem_) {
    for (int part = 0; part < parts(); ++part) {
      std::vector<int> all(std::size_t(problem_.frames_of(part)));
      std::iota(all.begin(), all.end(), 0);
      all_frames_.push_back(std::move(all));
    }
    frames_ = all_frames_;
  }

  void start() override {
    for_each_copy([&](Lane& lane, int part) {
      state_.apply_supports(lane, part, state_.probe(part));
      state_.refresh(lane, part);
      measure_power(lane, part, kPower);
    });
    power_ = totals_.read()[kPower];
  }

  void finish() override {}

  double deviation() override {
    return total_over_frames([&](Scratch& s) { return modulus_residual(s); });
  }
  double model_power() override {
    return total_over_frames([&](Scratch& s) {
      return model_.sum_modes(kernels::ModelPower{s.measured(), s.wave.view(), model_.scale()}, s);
    });
  }

  void move_probe(int dy, int dx) override {
    const Rect whole{0, 0, problem_.scan().object_ny, problem_.scan().object_nx};
    move(state_.object(), whole, state_.object_modes(), dy, dx);
    move(state_.probe(), problem_.window(), state_.probe_modes(), dy, dx);
    for_each_copy([&](Lane& lane, int part) { state_.refresh(lane, part); });
  }

  void watch_positions(bool on) override { watch_positions_ = on; }
  void get_position_sums(double* target) override { positions_.read(target); }
  void set_positions(const std::vector<Corner>& corner,
                     const std::vector<Real>& fraction) override {
    problem_.set_positions(corner, fraction);
  }
  // Object and probe part by part: where tiles overlap their last digits may differ. Sums are zero
  // between iterations, and what follows from the probe follows from it again.
  void state(Archive& archive) override {
    state_.object().state(archive, "object");
    state_.probe().state(archive, "probe");
    archive.number("probe_power", power_);
    totals_.state(archive);
    blocks_.state(archive, backend_);
    if (!archive.saving()) for_each_copy([&](Lane& lane, int part) { state_.refresh(lane, part); });
  }

  void get_object(Complex* target) override { state_.object().download(target); }
  void get_probe(Complex* target) override { state_.probe().download(target); }
  Complex* object_in_place() override { return state_.object().in_place(); }
  Complex* probe_in_place() override { return state_.probe().in_place(); }
  std::vector<MemoryUse> memory() override {
    std::vector<MemoryUse> all;
    for (const Memory* memory : backend_.memories())
      all.push_back({memory->name(), memory->peak_bytes(), memory->uses()});
    return all;
  }

 protected:
  // What parts find out, as places in a row of totals_.
  enum Found {
    kDeviation,           // of the model
    kReflectedDeviation,  // of the reflected wave, right after the model's
    kInside,              // frames inside the power bound
    kLargestObject,       // weights
    kLargestProbe,
    kPower,                  // of the probe
    kUncut,                  // power of an update of the probe before its supports,
    kCut,                    // and after,
    kCutOf,                  // and what the difference is a fraction of
    kProducts,               // conjugate gradient: 3 products, of this iteration and of the last
    kLoss = kProducts + 6,   // 3: expansion of the loss
    kRoughness = kLoss + 3,  // 3: expansion of the object's roughness
    kProbeAlong = kRoughness + 3  // 3: expansion of the probe's power
  };

  int parts() const { return problem_.parts(); }

  // Frames of the next pass, as numbers in their parts.
  void set_frames(std::vector<std::vector<int>> numbers) { frames_ = std::move(numbers); }
  void set_all_frames() { set_frames(all_frames_); }

  // f(scratch, batch) over the part's frames of the pass
  template <class F>
  void for_each_batch(Lane& lane, int lane_number, int part, WaveAccess waves, F&& f) {
    Scratch& scratch = model_.scratch(lane_number);
    blocks_.for_each(
        lane, lane_number, part, frames_[std::size_t(part)], waves, [&](const Block& block) {
          for (int first = 0; first < block.count; first += model_.batch())
            f(scratch,
              Batch{part, block.frame + first, std::min(model_.batch(), block.count - first),
                    block.counts, block.counts_at + first, block.waves, block.waves_at + first});
        });
  }
  template <class F>
  void for_each_batch(Lane& lane, int lane_number, int part, F&& f) {
    for_each_batch(lane, lane_number, part, {}, f);
  }

  // All frames of the pass at once, for operations that need no scratch.
  Batch all_frames(int part) {
    return {part, blocks_.order(part), int(frames_[std::size_t(part)].size())};
  }

  // f(lane, part) for every part that holds a probe of its own
  template <class F>
  void for_each_copy(F&& f) {
    backend_.for_each_part([&](Lane& lane, int, int part) {
      if (part < state_.copies()) f(lane, part);
    });
  }

  // Which sums of the probe a pass takes.
  enum class ProbeSums { none, terms, terms_and_weights };

  // Sums over the frames of the pass, sent to their owners. rule(lane, scratch, batch): model wave
  // to residual wave, and totals of the batch. `touched`: object pixels that the pass reaches
  // (null: all). Sums of the probe without weights are kept: more is to come.
  template <class Rule>
  void accumulate(ProbeSums probe_sums, const Region* touched, WaveAccess waves, const Rule& rule) {
    backend_.for_each_part([&](Lane& lane, int lane_number, int part) {
      for_each_batch(lane, lane_number, part, waves, [&](Scratch& s, const Batch& b) {
        const kernels::ProbeMode p = model_.model(lane, s, b);
        rule(lane, s, b);
        model_.backward(lane, b, s.wave.view());
        if (watch_positions_)
          positions_.find(lane, model_, s, b, p, model_.object(state_.object(b.part), b));
        if (probe_sums == ProbeSums::none)
          model_.add_object(lane, s, b, p, object_sums_.sum(part));
        else
          model_.add_both(lane, s, b, p, object_sums_.sum(part), probe_sums_.sum(part));
        model_.add_object_weight(lane, b, p, object_sums_.weight(part));
      });
      const Batch all = all_frames(part);
      model_.add_object_weights(lane, all, object_sums_.weight(part));
      if (probe_sums == ProbeSums::terms_and_weights)
        model_.add_probe_weights(lane, all, probe_sums_.weight(part));
      object_sums_.send(lane, part, touched);
      if (probe_sums == ProbeSums::terms_and_weights) probe_sums_.send(lane, part, nullptr);
    });
  }

  // Makes sums that were sent whole wherever a part updates, and finds their largest weights.
  // `at_owner(lane, part)` is called when the owner's sums of the object are whole, before they
  // return to the other parts.
  template <class F>
  void complete(bool object, bool probe, const F& at_owner) {
    backend_.for_each_part([&](Lane& lane, int, int part) {
      if (object) object_sums_.collect(lane, part);
      if (object) at_owner(lane, part);
      if (probe) probe_sums_.collect(lane, part);
      if (backend_.shared()) return look_at_sums(lane, part, object, probe);
      if (object) object_sums_.give_back(lane, part);
      if (probe) probe_sums_.give_back(lane, part);
    });
    if (!backend_.shared())
      backend_.for_each_part([&](Lane& lane, int, int part) {
        if (object) object_sums_.take_back(lane, part);
        if (probe) probe_sums_.take_back(lane, part);
        look_at_sums(lane, part, object, probe);
        totals_.share(lane, part);
      });
  }
  void complete(bool object, bool probe) {
    complete(object, probe, [](Lane&, int) {});
  }

  // `inertia` times the largest weight
  kernels::LargestTimes object_floor(int part, double inertia) {
    return {totals_.across(part, kLargestObject), inertia};
  }
  kernels::LargestTimes probe_floor(int part, double inertia) {
    return {totals_.across(part, kLargestProbe), inertia};
  }
  kernels::Quotient object_quotient(int part, double own, double inertia) {
    return {object_sums_.sum(part), object_sums_.weight(part), Real(own),
            object_floor(part, inertia)};
  }
  kernels::Quotient probe_quotient(int part, double own, double inertia) {
    return {probe_sums_.sum(part), probe_sums_.weight(part), Real(own), probe_floor(part, inertia)};
  }

  // The probe's part of an update: `change` is a body over its modes; its supports follow.
  template <class Body>
  void apply_probe(Lane& lane, int part, const Body& change) {
    if (part >= state_.copies()) return;
    lane.map(state_.window(), state_.probe_modes(), change);
    probe_sums_.clear(lane, part);
    restrict_probe(lane, part);
    state_.refresh(lane, part);
  }
  // f(first, last, mode) for the object modes; first and last are compile-time constants.
  template <class F>
  void for_each_object_mode(const F& f) {
    const int modes = state_.object_modes();
    if (modes == 1) return f(std::true_type{}, std::true_type{}, 0);
    f(std::true_type{}, std::false_type{}, 0);
    for (int mode = 1; mode < modes - 1; ++mode) f(std::false_type{}, std::false_type{}, mode);
    f(std::false_type{}, std::true_type{}, modes - 1);
  }

  // End of an iteration: probe power held at its start value, object amplitude clipped. The factor
  // goes from probe to object, so exit waves do not change.
  void constrain(bool hold_power) {
    const auto factor = [&](int part, bool inverse) {
      return kernels::PowerFactor{totals_.alone(part, kPower), power_, inverse};
    };
    if (hold_power) {
      for_each_copy([&](Lane& lane, int part) {
        measure_power(lane, part, kPower);
        lane.map(state_.window(), state_.probe_modes(),
                 kernels::Scale<kernels::PowerFactor>{state_.probe(part), factor(part, false)});
        state_.refresh(lane, part);
      });
    }
    if (!hold_power && !options_.clip) return;
    backend_.for_each_part([&](Lane& lane, int, int part) {
      const Region& region = object_sums_.updated(part);
      if (hold_power)
        lane.map(region, state_.object_modes(),
                 kernels::Scale<kernels::PowerFactor>{state_.object(part), factor(part, true)});
      if (options_.clip)
        lane.map(region, state_.object_modes(),
                 kernels::ClipAmplitude{state_.object(part), Real(options_.clip_low),
                                        Real(options_.clip_high)});
    });
  }

  // Factor towards the measured modulus in s.measured(); total: squared amplitude deviation.
  auto modulus_residual(Scratch& s) {
    return model_.sum_modes(kernels::ModulusResidual{s.measured(), s.wave.view(), model_.scale()},
                            s);
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
  void measure_power(Lane& lane, int part, int found) {
    totals_.clear(lane, part, found, 1);
    state_.add_probe_power(lane, part, totals_.own(part, found));
  }

  // What the iteration found out: the host's one look at the devices.
  IterationReport report() {
    const std::vector<double> rows = totals_.read();
    const auto sum = [&](int found) {
      return kernels::Across{rows.data() + found, Totals<Backend>::kRow, parts()}.sum();
    };
    IterationReport report;
    report.deviation = sum(kDeviation);
    report.frames_in_bound = std::lround(sum(kInside));
    // All copies of the probe are cut alike.
    const double of = rows[kCutOf];
    report.cut_power = of > 0 ? (rows[kUncut] - rows[kCut]) / of : 0;
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
  PositionSums<Backend> positions_;
  bool watch_positions_ = false;
  double power_ = 0;  // of the probe at the start

 private:
  // What a part does when its sums are whole.
  void look_at_sums(Lane& lane, int part, bool object, bool probe) {
    if (object)
      lane.largest(object_sums_.active(part), object_sums_.weight(part),
                   totals_.own(part, kLargestObject));
    if (!probe || part >= state_.copies()) return;
    if (problem_.fractional()) state_.from_spectrum(lane, part, probe_sums_.sum(part));
    lane.largest(state_.window(), probe_sums_.weight(part), totals_.own(part, kLargestProbe));
  }

  // Total of an operation at the detector over all frames; nothing is updated.
  template <class MakeOperation>
  double total_over_frames(const MakeOperation& make_operation) {
    set_all_frames();
    forget(kDeviation, 1);
    backend_.for_each_part([&](Lane& lane, int lane_number, int part) {
      for_each_batch(lane, lane_number, part, [&](Scratch& s, const Batch& b) {
        model_.model(lane, s, b);
        model_.detect(lane, s, b, make_operation(s));
        add_totals<1>(lane, s, b);
      });
    });
    return report().deviation;
  }

  // The first part owns the sums of the probe.
  std::vector<Region> probe_owners() const {
    std::vector<Region> owners(std::size_t(problem_.parts()));
    owners[0] = Region(problem_.window());
    return owners;
  }

  void restrict_probe(Lane& lane, int part) {
    if (!state_.has_supports()) return;
    measure_power(lane, part, kUncut);
    lane.copy(totals_.own(part, kCutOf), totals_.own(part, kUncut), sizeof(double));
    state_.apply_supports(lane, part, state_.probe(part));
    measure_power(lane, part, kCut);
  }

  // field(r) <- field(r - d); pixels that nothing moves to keep their value.
  void move(Field<Backend, Complex>& field, const Rect& whole, int modes, int dy, int dx) {
    std::vector<Complex> old(whole.pixels() * std::size_t(modes));
    field.download(old.data());
    std::vector<Complex> moved = old;
    for (int mode = 0; mode < modes; ++mode)
      for (int y = std::max(0, dy); y < whole.y1 + std::min(0, dy); ++y)
        for (int x = std::max(0, dx); x < whole.x1 + std::min(0, dx); ++x)
          moved[(std::size_t(mode) * std::size_t(whole.y1) + std::size_t(y)) *
                    std::size_t(whole.x1) +
                std::size_t(x)] =
              old[(std::size_t(mode) * std::size_t(whole.y1) + std::size_t(y - dy)) *
                      std::size_t(whole.x1) +
                  std::size_t(x - dx)];
    field.upload(moved.data());
  }

  std::vector<std::vector<int>> all_frames_;
  std::vector<std::vector<int>> frames_;  // of the next pass
};

}  // namespace exitwave
