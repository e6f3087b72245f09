#pragma once

#include "engines/reconstruction.hpp"
#include "kernels/noise.hpp"

namespace exitwave {

// What engines share that go down the gradient of a loss: model, slope of the loss, and back, in
// two transforms per frame and mode.
template <class Backend, class NoiseModel>
class LossGradient : public Reconstruction<Backend> {
  using Base = Reconstruction<Backend>;

 public:
  using Base::Base;
  using typename Base::Lane;

 protected:
  // object_sums_ and probe_sums_ <- negative gradients -dL/d conj, whole, over the frames of the
  // pass, which reach the pixels `touched` (null: all). Rule: LossResidual, or a body like it,
  // whose totals go to the place `found`. `at_owner`: see complete().
  template <template <class, class> class Rule, class F>
  void sum_gradients(bool probe, const Region* touched, int found, const F& at_owner) {
    using ProbeSums = typename Base::ProbeSums;
    const auto sums = probe ? ProbeSums::terms_and_weights : ProbeSums::none;
    this->accumulate(sums, touched, {}, [&](Lane& lane, Scratch& s, const Batch& b) {
      find_residual<Rule>(lane, s, b);
      constexpr int kTotals = Rule<NoiseModel, kernels::PlainSensor>::kTotals;
      this->template add_totals<kTotals>(lane, s, b, found);
    });
    this->complete(true, probe, at_owner);
  }

  // s.wave: model to residual wave of the negative gradient
  template <template <class, class> class Rule>
  void find_residual(Lane& lane, Scratch& s, const Batch& b) {
    this->problem_.with_sensor(b.part, [&]<class Sensor>(const Sensor& sensor) {
      const Rule<NoiseModel, Sensor> rule{s.measured(), s.wave.view(), this->model_.scale(),
                                          sensor};
      this->model_.detect(lane, s, b, this->model_.sum_modes(rule, s), this->scale_wave(s));
    });
  }
};

}  // namespace exitwave
