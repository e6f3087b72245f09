#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "engines/group_steps.hpp"
#include "engines/groups.hpp"
#include "engines/momentum.hpp"
#include "engines/reconstruction.hpp"
#include "engines/second_look.hpp"
#include "kernels/descent.hpp"
#include "kernels/least_squares.hpp"

namespace exitwave {

// Least-squares maximum likelihood (Odstrcil, Menzel & Guizar-Sicairos, Opt. Express 26, 3108
// (2018)); slice by slice where the object is thick (Tsai et al., Opt. Express 24, 29089 (2016)).
// For each group of frames:
//
//   residuals    model, step of the noise model along its slope, back: chi_s behind each slice, and
//                sums over the group                         2 transforms, and 4 from slice to
//                slice
//   directions   dO_s = sum phi_s* chi_s / sqrt(G^2 + (d max G)^2), G = sum |phi_s|^2, of the waves
//                that meet the slice, phi_0 = P;  dP = sum O_0* chi_0 / (sum |O_0|^2 + d max)
//   steps        of each frame, least squares of chi - s_O dPsi - s_P O dP, dPsi the change that
//                all dO make together; trimmed means of them over the group are applied
//                                                            none, and 2 from slice to slice
//
// Transforms are per frame and mode. Kept are the residuals of a group, with slices also the waves
// that meet them, and per object pixel the direction; with momentum velocity and past as well.
template <class Backend>
class LeastSquares final : public Reconstruction<Backend> {
  using Base = Reconstruction<Backend>;
  using typename Base::Lane;

 public:
  LeastSquares(const typename Backend::Settings& settings, const Scan& scan,
               const EngineOptions& options, const Complex* object, const Complex* probe)
      : Base(settings, scan, options, object, probe),
        object_direction_(this->backend_, "directions", problem_.held(), problem_.layout().tiles(),
                          options.object_images()),
        probe_direction_(this->backend_, "directions", problem_.window(), state_.windows(),
                         options.probe_modes),
        steps_(this->backend_, problem_.parts(), options.group_size),
        second_look_(this->backend_, problem_, model_, options) {
    make_spectra();
    if (!has_momentum()) return;
    object_momentum_ = {this->backend_, problem_.held(), problem_.layout().tiles(),
                        options.object_images()};
    probe_momentum_ = {this->backend_, problem_.window(), state_.windows(), options.probe_modes};
  }

  IterationReport iterate(const std::vector<std::vector<int>>& groups, bool update_probe) override {
    if (has_momentum() && falling_) go_on(update_probe);
    this->forget(Base::kDeviation, 1);
    for (const std::vector<int>& group : groups) update(group, update_probe);
    if (refine_intensities_) level_intensities(update_probe);
    this->constrain(update_probe);
    const IterationReport report = this->report();
    falling_ = last_deviation_ > 0 && report.deviation < last_deviation_;
    last_deviation_ = report.deviation;
    if (has_momentum() && !falling_) rest();
    return report;
  }

  void move_probe(int dy, int dx) override {
    Base::move_probe(dy, dx);
    if (has_momentum()) rest();
    falling_ = false;
  }

  void refine_intensities(bool on) override { refine_intensities_ = on; }
  void get_intensity_factors(double* target) override { model_.intensities().read(target); }
  void set_intensity_factors(const double* source) override { model_.intensities().write(source); }

  void state(Archive& archive) override {
    Base::state(archive);
    model_.intensities().state(archive);
    archive.number("last_deviation", last_deviation_);
    archive.number("falling", falling_);
    if (!has_momentum()) return;
    object_momentum_.state(archive, "object_");
    probe_momentum_.state(archive, "probe_");
  }

 private:
  using Base::model_;
  using Base::object_sums_;
  using Base::options_;
  using Base::problem_;
  using Base::state_;

  bool has_momentum() const { return options_.momentum > 0; }

  // Spectra of the probe's direction, of each copy of it, for fractional positions.
  void make_spectra() {
    const Scan& scan = problem_.scan();
    for (int copy = 0; copy < state_.copies(); ++copy) {
      spectrum_.emplace_back();
      if (!problem_.fractional() || !this->backend_.holds(copy)) continue;
      Memory& memory = this->backend_.memory(copy);
      memory.account("directions");
      spectrum_.back() = {memory, {1, options_.probe_modes, scan.ny, scan.nx}};
    }
  }
  Images<Complex>& spectrum(int part) {
    return spectrum_[spectrum_.size() == 1 ? 0 : std::size_t(part)];
  }

  void update(const std::vector<int>& group, bool update_probe) {
    Group frames = split_group(problem_, group);
    this->pass_.take(std::move(frames.numbers));
    steps_.set_group(this->pass_.frames());
    find_residuals(frames.touched, update_probe);
    this->complete(true, update_probe);
    find_directions(update_probe);
    find_steps();
    take_steps(update_probe);
  }

  void find_residuals(const Region& touched, bool update_probe) {
    const auto sums = update_probe ? Base::ProbeSums::terms_and_weights : Base::ProbeSums::none;
    this->accumulate(
        sums, &touched, {}, [&](Lane& lane, Scratch& s, const Batch& b) { detect(lane, s, b); },
        [&](Lane& lane, Scratch& s, const Batch& b, int slice) {
          second_look_.keep(lane, s, b, this->place_in_pass(b), slice);
        });
  }

  // Model wave to residual wave, by the noise model.
  void detect(Lane& lane, Scratch& s, const Batch& b) {
    problem_.with_sensor(b.part, [&]<class Sensor>(const Sensor& sensor) {
      if (refine_intensities_) find_factors(lane, s, b, sensor);
      switch (options_.noise) {
        case Noise::amplitude:
          return detect(lane, s, b, this->modulus_residual(s, sensor));
        case Noise::anscombe: {
          const kernels::LossResidual<kernels::Anscombe, Sensor> residual{
              s.measured(), s.wave.view(), model_.scale(), sensor};
          return detect(lane, s, b, model_.sum_modes(residual, s));
        }
        case Noise::poisson:
          return search<kernels::ShiftedPoisson>(lane, s, b, sensor, Real(0.5));
        case Noise::gaussian:
          return search<kernels::Gaussian>(lane, s, b, sensor, Real(0));
      }
    });
  }
  // The factor of each frame that fits best, before anything else is asked of it.
  template <class Sensor>
  void find_factors(Lane& lane, Scratch& s, const Batch& b, const Sensor& sensor) {
    const kernels::FactorTerms<Sensor> terms{s.measured(), s.wave.view(), model_.scale(), sensor};
    model_.detect(lane, s, b, model_.sum_modes(terms, s));
    lane.map({b.count, 1, 1, 1},
             kernels::BringFactor{model_.intensities().of(b.part), s.inside.data(), s.totals.data(),
                                  b.frame, options_.noise == Noise::poisson});
    lane.map(model_.waves(b), kernels::ScaleFrames{s.wave.view(), s.inside.data(), nullptr});
  }
  // The mean of all factors is the probe's, or the object's where the probe is held.
  void level_intensities(bool update_probe) {
    constexpr int kPlace = found::kIntensity;
    Totals<Backend>& totals = this->totals_;
    const auto frames = double(problem_.scan().frames);
    this->backend_.for_each_part([&](Lane& lane, int, int part) {
      totals.clear(lane, part, kPlace, 1);
      lane.add_totals(problem_.frames_of(part), 1, model_.intensities().of(part),
                      totals.own(part, kPlace));
      totals.share(lane, part);
    });
    totals.exchange();
    this->backend_.for_each_part([&](Lane& lane, int, int part) {
      const kernels::Across sum = totals.across(part, kPlace);
      lane.map({problem_.frames_of(part), 1, 1, 1},
               kernels::LevelFactor{model_.intensities().of(part), sum, frames});
      const kernels::SumTimes mean{sum, 1 / frames};
      using Scale = kernels::Scale<kernels::SumTimes>;
      if (!update_probe)
        lane.map(object_sums_.updated(part), state_.object_modes(),
                 Scale{state_.object(part, 0), mean});
      if (!update_probe || part >= state_.copies()) return;
      lane.map(state_.window(), state_.probe_modes(), Scale{state_.probe(part), mean});
      state_.refresh(lane, part);
    });
  }

  // Losses of amplitudes: the full step along the slope, to the measured amplitude.
  template <class Residual>
  void detect(Lane& lane, Scratch& s, const Batch& b, const Residual& residual) {
    model_.detect(lane, s, b, residual, this->scale_wave(s));
    this->template add_totals<1>(lane, s, b);
  }
  // Others: a step for each frame.
  template <class NoiseModel, class Sensor>
  void search(Lane& lane, Scratch& s, const Batch& b, const Sensor& sensor, Real start) {
    const kernels::LossAlongSlope<NoiseModel, Sensor> loss{s.measured(), s.wave.view(),
                                                           model_.scale(), sensor, start};
    model_.detect(lane, s, b, model_.sum_modes(loss, s));
    lane.map({b.count, 1, 1, 1},
             kernels::LineMinimum{s.keep.data(), s.inside.data(), s.totals.data(), double(start)});
    lane.add_totals(b.count, 1, s.inside.data(), this->totals_.own(b.part, Base::kDeviation));
    model_.change_waves(lane, s, b, this->scale_wave(s));
  }

  void find_directions(bool update_probe) {
    this->backend_.for_each_part([&](Lane& lane, int, int part) {
      for (int slice = 0; slice < state_.slices(); ++slice)
        find_object_direction(lane, part, slice);
      if (part >= state_.copies()) return;
      const CanvasView<Complex> direction = probe_direction_.view(part);
      if (update_probe)
        lane.map(state_.window(), state_.probe_modes(),
                 kernels::Store<kernels::Quotient>{
                     direction, this->probe_quotient(part, 1.0, options_.probe_inertia)});
      else
        lane.map(state_.window(), state_.probe_modes(), kernels::Clear<Complex>{direction});
      state_.refresh_spectrum(lane, direction, spectrum(part));
    });
  }
  void find_object_direction(Lane& lane, int part, int slice) {
    state_.for_each_object_mode([&](auto, auto last, int mode) {
      lane.map(object_sums_.active(part), 1,
               kernels::ObjectDirection<last>{
                   object_direction_.view(part).every(state_.slices(), slice),
                   object_sums_.sum(part, slice), object_sums_.weight(part, slice),
                   this->object_floor(part, options_.object_inertia, slice), mode});
    });
  }

  void find_steps() {
    this->backend_.for_each_part([&](Lane& lane, int lane_number, int part) {
      const Batch all = this->all_frames(part);
      Scratch& s = model_.scratch(lane_number);
      for (int first = 0; first < all.count; first += model_.batch()) {
        const Batch b{part, all.frame + first, std::min(model_.batch(), all.count - first)};
        const kernels::ProbeMode d =
            model_.probe_direction(lane, b, probe_direction_.view(part), spectrum(part),
                                   second_look_.shifted(lane_number));
        second_look_.look(lane, lane_number, model_, s, b, this->place_in_pass(b), d,
                          object_direction_.view(part));
        lane.map({b.count, 1, 1, 1},
                 kernels::FrameSteps{steps_.own(part) + first * steps_.kNumbers, s.totals.data()});
      }
      steps_.share(lane, part);
    });
    steps_.exchange();
    this->for_each_copy([&](Lane& lane, int part) { steps_.find_means(lane, part); });
  }

  void take_steps(bool update_probe) {
    using AddScaled = kernels::AddScaled<kernels::SumTimes>;
    this->backend_.for_each_part([&](Lane& lane, int, int part) {
      lane.map(object_sums_.active(part), state_.object_images(),
               AddScaled{state_.object(part), object_direction_.view(part),
                         steps_.mean(part, 0, options_.object_step)});
      if (update_probe)
        this->apply_probe(lane, part,
                          AddScaled{state_.probe(part), probe_direction_.view(part),
                                    steps_.mean(part, 1, options_.probe_step)});
    });
  }

  // While the error falls, each iteration begins a little further along the way of the last ones.
  void go_on(bool update_probe) {
    this->backend_.for_each_part([&](Lane& lane, int, int part) {
      object_momentum_.step(lane, object_sums_.updated(part), part, state_.object(part),
                            options_.momentum);
      if (!update_probe || part >= state_.copies()) return;
      probe_momentum_.step(lane, state_.window(), part, state_.probe(part), options_.momentum);
      state_.refresh(lane, part);
    });
  }
  void rest() {
    this->backend_.for_each_part([&](Lane& lane, int, int part) {
      object_momentum_.rest(lane, object_sums_.updated(part), part, state_.object(part));
      if (part < state_.copies())
        probe_momentum_.rest(lane, state_.window(), part, state_.probe(part));
    });
  }

  Field<Backend, Complex> object_direction_;
  Field<Backend, Complex> probe_direction_;
  std::vector<Images<Complex>> spectrum_;  // of each copy of the probe
  GroupSteps<Backend> steps_;
  SecondLook<Backend> second_look_;
  Momentum<Backend> object_momentum_;
  Momentum<Backend> probe_momentum_;
  double last_deviation_ = 0;  // 0: of no iteration yet
  bool falling_ = false;
  bool refine_intensities_ = false;
};

}  // namespace exitwave
