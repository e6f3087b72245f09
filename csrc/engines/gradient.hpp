#pragma once

#include <utility>
#include <vector>

#include "engines/groups.hpp"
#include "engines/loss_gradient.hpp"
#include "engines/optimiser.hpp"

namespace exitwave {

// Descent along the gradient of a loss, group by group. Object and probe have an optimiser each,
// which gets z = -gradient / (weight + d max weight), divided by the loss's curvature for counts
// that agree: neither dose nor group nor frame changes what a rate means.
template <class Backend, class NoiseModel>
class GradientDescent final : public LossGradient<Backend, NoiseModel> {
  using Base = LossGradient<Backend, NoiseModel>;
  using typename Base::Lane;

 public:
  GradientDescent(const typename Backend::Settings& settings, const Scan& scan,
                  const EngineOptions& options, const Complex* object, const Complex* probe)
      : Base(settings, scan, options, object, probe),
        of_object_(this->backend_, options, options.object_optimiser, options.object_step,
                   problem_.held(), problem_.layout().tiles(), options.object_modes,
                   options.slices),
        of_probe_(this->backend_, options, options.probe_optimiser, options.probe_step,
                  problem_.window(), state_.windows(), options.probe_modes, 1) {}

  void set_schedule(double object, double probe) override {
    object_schedule_ = object;
    probe_schedule_ = probe;
  }

  IterationReport iterate(const std::vector<std::vector<int>>& groups, bool update_probe) override {
    this->forget(Base::kDeviation, 1);
    if (of_object_.needs_amplitude() || of_probe_.needs_amplitude()) measure_amplitudes();
    for (const std::vector<int>& group : groups) update(group, update_probe);
    this->step_background();
    this->constrain(update_probe);
    return this->report();
  }

  void move_probe(int dy, int dx) override {
    Base::move_probe(dy, dx);
    this->backend_.for_each_part([&](Lane& lane, int, int part) {
      of_object_.restart(lane, object_sums_.updated(part), part);
      if (part < state_.copies()) of_probe_.restart(lane, state_.window(), part);
    });
  }

  void state(Archive& archive) override {
    Base::state(archive);
    of_object_.state(archive, "object");
    of_probe_.state(archive, "probe");
  }

 private:
  using Base::object_sums_;
  using Base::options_;
  using Base::problem_;
  using Base::state_;
  using Base::totals_;

  void update(const std::vector<int>& frames, bool update_probe) {
    Group group = split_group(problem_, frames);
    this->pass_.take(std::move(group.numbers));
    this->template sum_gradients<kernels::LossResidual>(update_probe, &group.touched,
                                                        Base::kDeviation, [](Lane&, int) {});
    this->backend_.for_each_part([&](Lane& lane, int, int part) {
      step_object(lane, part);
      if (update_probe && part < state_.copies()) step_probe(lane, part);
    });
  }

  void step_object(Lane& lane, int part) {
    constexpr double slope = NoiseModel::kSlope;
    // What is missing in the wave, all slices together add; Adam bounds the change of each.
    const bool adam = options_.object_optimiser == OptimiserKind::adam;
    const double schedule = adam ? object_schedule_ : object_schedule_ / state_.slices();
    for (int slice = 0; slice < state_.slices() && object_schedule_ > 0; ++slice)
      of_object_.step(lane, object_sums_.active(part), part, slice, state_.object(part, slice),
                      this->object_quotient(part, slope, slope * options_.object_inertia, slice),
                      object_amplitude(part), schedule);
    object_sums_.clear(lane, part);
  }

  void step_probe(Lane& lane, int part) {
    constexpr double slope = NoiseModel::kSlope;
    of_probe_.step(lane, state_.window(), part, 0, state_.probe(part),
                   this->probe_quotient(part, slope, slope * options_.probe_inertia),
                   probe_amplitude(part), probe_schedule_);
    this->probe_stepped(lane, part);
  }

  void measure_amplitudes() {
    this->backend_.for_each_part([&](Lane& lane, int, int part) {
      totals_.clear(lane, part, Base::kObjectPower, 1);
      lane.sum(object_sums_.owned(part), state_.object_images(),
               kernels::Power{state_.object(part)}, totals_.own(part, Base::kObjectPower));
      if (part < state_.copies()) this->constraints_.measure_power(lane, part, Base::kPower);
      totals_.share(lane, part);
    });
    totals_.exchange();
  }
  kernels::RootMeanSquare object_amplitude(int part) {
    const double pixels = double(problem_.layout().reached().pixels());
    return {totals_.across(part, Base::kObjectPower), pixels * state_.slices()};
  }
  kernels::RootMeanSquare probe_amplitude(int part) {
    return {totals_.alone(part, Base::kPower), double(state_.window().pixels())};
  }

  Optimiser<Backend> of_object_;
  Optimiser<Backend> of_probe_;
  double object_schedule_ = 1;
  double probe_schedule_ = 1;
};

}  // namespace exitwave
