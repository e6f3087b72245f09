#pragma once

#include <memory>

#include "engines/background.hpp"
#include "engines/reconstruction.hpp"
#include "kernels/noise.hpp"

namespace exitwave {

// What engines share that go down the gradient of a loss: model, slope of the loss, and back, in
// two transforms per frame and mode.
template <class Backend, class NoiseModel>
class LossGradient : public Reconstruction<Backend> {
  using Base = Reconstruction<Backend>;

 public:
  using typename Base::Lane;

  LossGradient(const typename Backend::Settings& settings, const Scan& scan,
               const EngineOptions& options, const Complex* object, const Complex* probe)
      : Base(settings, scan, options, object, probe) {
    if (options.background_refinement)
      background_ = std::make_unique<Background<Backend>>(this->backend_, this->problem_,
                                                          this->state_, options);
  }

  void refine_background(bool on) override { refine_background_ = on; }
  void get_background(Real* target) override { background_->read(target); }

  void state(Archive& archive) override {
    Base::state(archive);
    if (background_) background_->state(archive);
  }

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
      if (!refine_background_)
        return this->model_.detect(lane, s, b, this->model_.sum_modes(rule, s),
                                   this->scale_wave(s));
      using Keep = kernels::KeepCurvature<NoiseModel, Rule<NoiseModel, Sensor>>;
      this->model_.detect(lane, s, b, this->model_.sum_modes(Keep{rule, s.curvature.view()}, s));
      background_->add(lane, this->model_, b, s.measured(), s.curvature.view());
      this->model_.change_waves(lane, s, b, this->scale_wave(s));
    });
  }

  // End of an iteration.
  void step_background() {
    if (refine_background_) background_->step();
  }

 private:
  std::unique_ptr<Background<Backend>> background_;
  bool refine_background_ = false;
};

}  // namespace exitwave
