#pragma once

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "engines/group_steps.hpp"
#include "engines/groups.hpp"
#include "engines/reconstruction.hpp"
#include "kernels/descent.hpp"
#include "kernels/least_squares.hpp"

namespace exitwave {

// Least-squares maximum likelihood (Odstrcil, Menzel & Guizar-Sicairos, Opt. Express 26, 3108
// (2018)). For each group of frames:
//
//   residuals    model, step of the noise model along its slope, back: chi_j, which is kept, and
//                sums over the group                                               2 transforms
//   directions   dO = sum P* chi / sqrt(G^2 + (d max G)^2), G = sum |P|^2;
//                dP = sum O* chi / (sum |O|^2 + d max)
//   steps        of each frame, least squares of chi_j - s_O P dO - s_P O dP; trimmed means of
//                them over the group are applied                                   no transform
//
// Transforms are per frame and mode. Kept are the residuals of a group, and per object pixel the
// direction; with momentum velocity and past as well.
template <class Backend>
class LeastSquares final : public Reconstruction<Backend> {
  using Base = Reconstruction<Backend>;
  using typename Base::Lane;

 public:
  LeastSquares(const typename Backend::Settings& settings, const Scan& scan,
               const EngineOptions& options, const Complex* object, const Complex* probe)
      : Base(settings, scan, options, object, probe),
        object_direction_(object_field("directions")),
        probe_direction_(probe_field("directions")),
        steps_(this->backend_, problem_.parts(), options.group_size) {
    for (int part = 0; part < this->parts(); ++part) {
      residuals_.emplace_back();
      if (!this->backend_.holds(part)) continue;
      Memory& memory = this->backend_.memory(part);
      memory.account("residuals");
      residuals_.back() =
          Images<Complex>(memory, {std::min(options.group_size, problem_.frames_of(part)),
                                   model_.wave_modes(), scan.ny, scan.nx});
    }
    make_direction_scratch();
    if (options.momentum > 0) momentum_ = std::make_unique<Momentum>(*this);
  }

  IterationReport iterate(const std::vector<std::vector<int>>& groups, bool update_probe) override {
    if (momentum_ && falling_) go_on(update_probe);
    this->forget(Base::kDeviation, 1);
    for (const std::vector<int>& group : groups) update(group, update_probe);
    if (refine_intensities_) level_intensities(update_probe);
    this->constrain(update_probe);
    const IterationReport report = this->report();
    falling_ = last_deviation_ > 0 && report.deviation < last_deviation_;
    last_deviation_ = report.deviation;
    if (momentum_ && !falling_) rest();
    return report;
  }

  void move_probe(int dy, int dx) override {
    Base::move_probe(dy, dx);
    if (momentum_) rest();
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
    if (!momentum_) return;
    momentum_->object_velocity.state(archive, "object_velocity");
    momentum_->object_past.state(archive, "object_past");
    momentum_->probe_velocity.state(archive, "probe_velocity");
    momentum_->probe_past.state(archive, "probe_past");
  }

 private:
  using Base::model_;
  using Base::object_sums_;
  using Base::options_;
  using Base::problem_;
  using Base::state_;

  // Of object and probe, from one iteration to the next; filled after the first.
  struct Momentum {
    explicit Momentum(LeastSquares& engine)
        : object_velocity(engine.object_field("momentum")),
          object_past(engine.object_field("momentum")),
          probe_velocity(engine.probe_field("momentum")),
          probe_past(engine.probe_field("momentum")) {}
    Field<Backend, Complex> object_velocity;
    Field<Backend, Complex> object_past;
    Field<Backend, Complex> probe_velocity;
    Field<Backend, Complex> probe_past;
  };

  Field<Backend, Complex> object_field(const char* use) {
    return {this->backend_, use, problem_.held(), problem_.layout().tiles(), options_.object_modes};
  }
  Field<Backend, Complex> probe_field(const char* use) {
    return {this->backend_, use, problem_.window(), state_.windows(), options_.probe_modes};
  }

  // For fractional positions: the direction's spectrum, and the direction under each frame.
  void make_direction_scratch() {
    const Scan& scan = problem_.scan();
    if (!problem_.fractional()) return;
    for (int lane = 0; lane < this->backend_.lanes(); ++lane) {
      Memory& memory = this->backend_.lane_memory(lane);
      memory.account("work");
      shifted_.push_back({memory, {model_.batch(), options_.probe_modes, scan.ny, scan.nx}});
    }
    for (int copy = 0; copy < state_.copies(); ++copy) {
      spectrum_.emplace_back();
      if (!this->backend_.holds(copy)) continue;
      Memory& memory = this->backend_.memory(copy);
      memory.account("directions");
      spectrum_.back() = {memory, {1, options_.probe_modes, scan.ny, scan.nx}};
    }
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
        [&](Lane& lane, Scratch& s, const Batch& b) {
          const BatchView<Complex> kept = residual(b);
          lane.copy(kept.data, s.wave.view().data,
                    std::size_t(b.count) * std::size_t(kept.frame_stride) * sizeof(Complex));
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
                 Scale{state_.object(part), mean});
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

  // Where the residuals of a batch are kept, in the order of the pass.
  BatchView<Complex> residual(const Batch& b) {
    BatchView<Complex> all = residuals_[std::size_t(b.part)].view();
    all.data += this->place_in_pass(b) * all.frame_stride;
    return all;
  }

  void find_directions(bool update_probe) {
    this->backend_.for_each_part([&](Lane& lane, int, int part) {
      state_.for_each_object_mode([&](auto, auto last, int mode) {
        lane.map(object_sums_.active(part), 1,
                 kernels::ObjectDirection<last>{object_direction_.view(part),
                                                object_sums_.sum(part), object_sums_.weight(part),
                                                this->object_floor(part, options_.object_inertia),
                                                mode});
      });
      if (part >= state_.copies()) return;
      const CanvasView<Complex> direction = probe_direction_.view(part);
      if (update_probe)
        lane.map(state_.window(), state_.probe_modes(),
                 kernels::Store<kernels::Quotient>{
                     direction, this->probe_quotient(part, 1.0, options_.probe_inertia)});
      else
        lane.map(state_.window(), state_.probe_modes(), kernels::Clear<Complex>{direction});
      if (problem_.fractional()) state_.refresh_spectrum(lane, direction, spectrum(part));
    });
  }

  void find_steps() {
    this->backend_.for_each_part([&](Lane& lane, int lane_number, int part) {
      const Batch all = this->all_frames(part);
      Scratch& s = model_.scratch(lane_number);
      for (int first = 0; first < all.count; first += model_.batch()) {
        const Batch b{part, all.frame + first, std::min(model_.batch(), all.count - first)};
        const kernels::ProbeMode p = model_.probe(lane, s, b);
        const kernels::StepTerms terms{residual(b), p, model_.object(b, 0),
                                       direction_of_probe(lane, lane_number, b),
                                       model_.object(object_direction_.view(part), b)};
        lane.run(model_.frames(b), model_.sum_modes(terms, s));
        lane.map({b.count, 1, 1, 1},
                 kernels::FrameSteps{steps_.own(part) + first * steps_.kNumbers, s.totals.data()});
      }
      steps_.share(lane, part);
    });
    steps_.exchange();
    this->for_each_copy([&](Lane& lane, int part) { steps_.find_means(lane, part); });
  }

  kernels::ProbeMode direction_of_probe(Lane& lane, int lane_number, const Batch& b) {
    if (problem_.fractional())
      return model_.shifted(lane, spectrum(b.part).repeated(), shifted_[std::size_t(lane_number)],
                            b);
    const CanvasView<Complex> d = probe_direction_.view(b.part);
    return {{d.data, 0, d.mode_stride, d.row_stride}, state_.object_modes()};
  }

  void take_steps(bool update_probe) {
    using AddScaled = kernels::AddScaled<kernels::SumTimes>;
    this->backend_.for_each_part([&](Lane& lane, int, int part) {
      lane.map(object_sums_.active(part), state_.object_modes(),
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
    const auto factor = Real(options_.momentum);
    Momentum& m = *momentum_;
    this->backend_.for_each_part([&](Lane& lane, int, int part) {
      lane.map(object_sums_.updated(part), state_.object_modes(),
               kernels::Momentum{state_.object(part), m.object_velocity.view(part),
                                 m.object_past.view(part), factor});
      if (!update_probe || part >= state_.copies()) return;
      lane.map(state_.window(), state_.probe_modes(),
               kernels::Momentum{state_.probe(part), m.probe_velocity.view(part),
                                 m.probe_past.view(part), factor});
      state_.refresh(lane, part);
    });
  }
  void rest() {
    Momentum& m = *momentum_;
    const auto settle = [](Lane& lane, const Region& region, int modes,
                           CanvasView<Complex> velocity, CanvasView<Complex> past,
                           CanvasView<const Complex> present) {
      lane.map(region, modes, kernels::Clear<Complex>{velocity});
      lane.map(region, modes, kernels::Copy<Complex>{past, present});
    };
    this->backend_.for_each_part([&](Lane& lane, int, int part) {
      settle(lane, object_sums_.updated(part), state_.object_modes(), m.object_velocity.view(part),
             m.object_past.view(part), state_.object(part));
      if (part < state_.copies())
        settle(lane, state_.window(), state_.probe_modes(), m.probe_velocity.view(part),
               m.probe_past.view(part), state_.probe(part));
    });
  }

  Images<Complex>& spectrum(int part) {
    return spectrum_[spectrum_.size() == 1 ? 0 : std::size_t(part)];
  }

  Field<Backend, Complex> object_direction_;
  Field<Backend, Complex> probe_direction_;
  GroupSteps<Backend> steps_;
  std::vector<Images<Complex>> residuals_;  // of each part
  std::vector<Images<Complex>> shifted_;    // of each lane
  std::vector<Images<Complex>> spectrum_;   // of each copy of the probe
  std::unique_ptr<Momentum> momentum_;
  double last_deviation_ = 0;  // 0: of no iteration yet
  bool falling_ = false;
  bool refine_intensities_ = false;
};

}  // namespace exitwave
