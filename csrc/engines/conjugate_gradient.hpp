#pragma once

#include <memory>
#include <vector>

#include "engines/loss_gradient.hpp"
#include "engines/probe_relaxation.hpp"
#include "engines/quasi_newton.hpp"
#include "engines/search_direction.hpp"
#include "kernels/descent.hpp"
#include "kernels/noise.hpp"
#include "kernels/regularise.hpp"

namespace exitwave {

// Maximum likelihood by preconditioned conjugate gradient (Thibault & Guizar-Sicairos, New J. Phys.
// 14, 063004 (2012)), or L-BFGS. One iteration:
//
//   gradient    model, slope of the loss, back: s = -g, as sums over frames          2 transforms
//   direction   from z = s / (weight + d max weight) and the last iterations: search_direction.hpp
//   search      second-order expansion of the loss along it, from D[P O], D[P dO + dP O], D[dP dO],
//               gives the step                                                       3 transforms
//
// Transforms are per frame and mode; no wave is kept.
template <class Backend, class NoiseModel>
class ConjugateGradient final : public LossGradient<Backend, NoiseModel> {
  using Base = LossGradient<Backend, NoiseModel>;
  using typename Base::Lane;

 public:
  ConjugateGradient(const typename Backend::Settings& settings, const Scan& scan,
                    const EngineOptions& options, const Complex* object, const Complex* probe)
      : Base(settings, scan, options, object, probe),
        relaxation_(this->backend_, problem_, state_, probe_sums_),
        direction_(make_direction()) {
    const Extent waves{model_.batch(), model_.wave_modes(), scan.ny, scan.nx};
    const Extent probes{model_.batch(), options.probe_modes, scan.ny, scan.nx};
    for (int lane = 0; lane < this->backend_.lanes(); ++lane) {
      Memory& memory = this->backend_.lane_memory(lane);
      memory.account("work");
      search_.push_back(
          {Images<Complex>(memory, waves), Images<Complex>(memory, waves),
           !model_.one_intensity() ? Images<Complex>(memory, probes) : Images<Complex>(),
           relaxation_.on() ? Images<Complex>(memory, probes) : Images<Complex>()});
    }
    if (smooth()) smoothness_weight_ = options.smoothness * prior().illumination(1);
  }

  IterationReport iterate(const std::vector<std::vector<int>>&, bool update_probe) override {
    this->forget(Base::kDeviation, 1);
    measure_smoothness();
    gradient(update_probe);
    direction_->find(update_probe);
    search();
    direction_->leave(update_probe);
    take_step(update_probe);
    this->step_background();
    if (options_.hold_power && prior().in_loss()) this->constraints_.hold_power();
    this->constraints_.apply(update_probe, false);
    return this->report();
  }

  // Loss, direction and step are the same for (P s, O / s), so the power is restored only here.
  // What is known of the object is not: there it is restored in each iteration.
  void finish() override {
    if (!options_.hold_power) return;
    this->constraints_.hold_power();
    this->constraints_.limit_object();
  }

  void move_probe(int dy, int dx) override {
    Base::move_probe(dy, dx);
    direction_->restart();
  }

  void relax_probe(bool on) override { relaxation_.allow(on); }
  void get_eigen_probes(Complex* eigen, Complex* weights) override {
    state_.eigen().read(eigen, weights);
  }
  void set_eigen_probes(const Complex* eigen, const Complex* weights) override {
    relaxation_.set(eigen, weights);
  }

  void state(Archive& archive) override {
    Base::state(archive);
    direction_->state(archive);
    relaxation_.state(archive);
  }

 private:
  using Base::model_;
  using Base::object_sums_;
  using Base::options_;
  using Base::probe_sums_;
  using Base::problem_;
  using Base::state_;
  using Base::totals_;

  // Waves of the line search, one set for each lane.
  struct SearchScratch {
    Images<Complex> first;
    Images<Complex> second;
    Images<Complex> probe_direction;
    Images<Complex> probe_bend;  // of second order, where frames have probes of their own
  };

  std::unique_ptr<SearchDirection<Backend>> make_direction() {
    const GradientState<Backend> here{
        this->backend_,
        problem_,
        state_,
        object_sums_,
        probe_sums_,
        totals_,
        this->constraints_,
        relaxation_,
        options_,
        [this](int part, int slice) {
          return this->object_quotient(part, 1.0, options_.object_inertia, slice);
        },
        [this](int part) { return this->probe_quotient(part, 1.0, options_.probe_inertia); }};
    if (options_.history > 0) return std::make_unique<QuasiNewtonDirection<Backend>>(here);
    return std::make_unique<ConjugateDirection<Backend>>(here);
  }

  // object_sums_ and probe_sums_ <- s, whole.
  void gradient(bool update_probe) {
    this->pass_.take_all();
    this->template sum_gradients<kernels::LossResidual>(
        update_probe, nullptr, Base::kDeviation, [&](Lane& lane, int part) {
          add_smoothness_gradient(lane, part);
          prior().add_gradient(lane, part, this->constraints_.power());
        });
    if (update_probe && smooth()) add_smoothness_to_probe();
  }

  void add_smoothness_gradient(Lane& lane, int part) {
    if (!smooth()) return;
    lane.map(
        object_sums_.owned(part), state_.object_images(),
        kernels::SmoothnessGradient{object_sums_.sum(part),
                                    neighbours(state_.object(part), part),
                                    {totals_.alone(part, Base::kProbeAlong), smoothness_weight_}});
  }

  void add_smoothness_to_probe() {
    this->for_each_copy([&](Lane& lane, int part) {
      lane.map(state_.window(), state_.probe_modes(),
               kernels::AddScaled<kernels::SumTimes>{
                   probe_sums_.sum(part),
                   state_.probe(part),
                   {totals_.across(part, Base::kRoughness), -smoothness_weight_}});
    });
  }

  // Expansion of loss and regulariser along the direction.
  void search() {
    this->forget(Base::kLoss, 3);
    relaxation_.forget_changes();
    this->backend_.for_each_part([&](Lane& lane, int lane_number, int part) {
      this->for_each_batch(lane, lane_number, part, [&](Scratch& s, const Batch& b) {
        expand(lane, s, search_[std::size_t(lane_number)], b);
        this->template add_totals<3>(lane, s, b, Base::kLoss);
      });
      if (smooth()) expand_smoothness(lane, part);
      prior().expand(lane, part, direction_->object(part), totals_.own(part, Base::kPrior));
      totals_.share(lane, part);
    });
    totals_.exchange();
    relaxation_.share_changes();
  }

  kernels::StepLength step_length(int part) {
    return {totals_.across(part, Base::kLoss),
            smoothness_weight_,
            totals_.across(part, Base::kRoughness),
            totals_.alone(part, Base::kProbeAlong),
            prior().in_loss() ? prior().illumination(this->constraints_.power()) : 0,
            totals_.across(part, Base::kPrior),
            relaxation_.change_powers(part)};
  }

  void expand(Lane& lane, Scratch& s, SearchScratch& search, const Batch& b) {
    const bool thin = state_.slices() == 1;
    const kernels::ProbeMode p = thin ? model_.model(lane, s, b) : model_.probe(lane, s, b);
    const kernels::ProbeMode dp = direction_of_probe(lane, search, b);
    const kernels::ObjectWindow o = model_.object(b, 0);
    const kernels::ObjectWindow d = direction_window(b, 0);
    lane.run(model_.frames(b),
             model_.map(kernels::ExitWaveChange{search.first.view(), p, o, dp, d}),
             model_.map(kernels::ExitWave{search.second.view(), dp, d}));
    if (relaxation_.on()) bend_probes(lane, s, search, b, o, dp, d);
    if (!thin) expand_slices(lane, s, search, b, p);
    model_.forward(lane, b, search.first.view());
    model_.forward(lane, b, search.second.view());
    problem_.with_sensor(b.part, [&]<class Sensor>(const Sensor& sensor) {
      const kernels::LineSearch<NoiseModel, Sensor> terms{s.measured(),        s.wave.view(),
                                                          search.first.view(), search.second.view(),
                                                          model_.scale(),      sensor};
      model_.detect(lane, s, b, model_.sum_modes(terms, s));
    });
  }

  // Model wave and its expansion from behind the first slice to behind the last; the model to the
  // detector.
  void expand_slices(Lane& lane, Scratch& s, SearchScratch& search, const Batch& b,
                     const kernels::ProbeMode& p) {
    const BatchView<Complex> wave = s.wave.view();
    const BatchView<Complex> first = search.first.view();
    const BatchView<Complex> second = search.second.view();
    lane.map(model_.waves(b), kernels::ExitWave{wave, p, model_.object(b, 0)});
    for (int slice = 1; slice < state_.slices(); ++slice) {
      for (const BatchView<Complex>& each : {wave, first, second})
        model_.to_next_slice(lane, b, each, slice - 1);
      lane.map(model_.waves(b),
               kernels::ExpandThroughSlice{wave, first, second, model_.object(b, slice),
                                           direction_window(b, slice)});
    }
    model_.forward(lane, b, wave);
  }

  kernels::ObjectWindow direction_window(const Batch& b, int slice) {
    return model_.object(direction_->object(b.part, slice), b);
  }
  kernels::ProbeMode direction_of_probe(Lane& lane, SearchScratch& search, const Batch& b) {
    const CanvasView<Complex> d = direction_->probe(b.part);
    Images<Complex>& spectrum = direction_->spectrum(b.part);
    if (!relaxation_.on())
      return model_.probe_direction(lane, b, d, spectrum, search.probe_direction);
    const BatchView<const Complex> images{d.data, 0, d.mode_stride, d.row_stride};
    const BatchView<const Complex> mean = problem_.fractional() ? spectrum.repeated() : images;
    relaxation_.compose_change(lane, b.part, b.frame, model_.probes(b),
                               search.probe_direction.view(), mean);
    return model_.placed(lane, search.probe_direction, b);
  }
  // second <- dP dO + P'' O, with the second order P'' of frames' probes
  void bend_probes(Lane& lane, Scratch& s, SearchScratch& search, const Batch& b,
                   const kernels::ObjectWindow& o, const kernels::ProbeMode& dp,
                   const kernels::ObjectWindow& d) {
    relaxation_.compose_bend(lane, b.part, b.frame, model_.probes(b), search.probe_bend.view());
    const kernels::ProbeMode bend = model_.placed(lane, search.probe_bend, b);
    const kernels::ChangePowers powers{search.first.view(), search.second.view()};
    lane.run(model_.frames(b),
             model_.map(kernels::ExitWaveChange{search.second.view(), dp, o, bend, d}),
             model_.sum_modes(powers, s));
    lane.add_totals(b.count, 2, s.totals.data(), relaxation_.own_changes(b.part));
  }

  void take_step(bool update_probe) {
    this->backend_.for_each_part([&](Lane& lane, int, int part) {
      lane.map(object_sums_.updated(part), state_.object_images(),
               kernels::AddScaled<kernels::StepLength>{
                   state_.object(part), direction_->object(part), step_length(part)});
      relaxation_.step(lane, part, step_length(part));
      if (!update_probe || part >= state_.copies()) return;
      lane.map(state_.window(), state_.probe_modes(),
               kernels::AddScaled<kernels::StepLength>{state_.probe(part), direction_->probe(part),
                                                       step_length(part)});
      state_.refresh(lane, part);
    });
  }

  Prior<Backend>& prior() { return this->constraints_.prior(); }
  // The regulariser is weight power(P) S(O), weight = smoothness frames / reached pixels: in units
  // of the mean illumination, whatever the exposure and however probe and object share a factor.
  bool smooth() const { return options_.smoothness > 0 && !options_.prior_of_phase; }

  void measure_smoothness() {
    if (!smooth()) return;
    this->backend_.for_each_part([&](Lane& lane, int, int part) {
      expand_smoothness(lane, part);
      totals_.share(lane, part);
    });
    totals_.exchange();
  }

  void expand_smoothness(Lane& lane, int part) {
    totals_.clear(lane, part, Base::kRoughness, 6);
    lane.sum(object_sums_.owned(part), state_.object_images(),
             kernels::SmoothnessAlong{neighbours(state_.object(part), part),
                                      neighbours(direction_->object(part), part)},
             totals_.own(part, Base::kRoughness));
    if (part >= state_.copies()) return;
    lane.sum(state_.window(), state_.probe_modes(),
             kernels::PowerAlong{state_.probe(part), direction_->probe(part)},
             totals_.own(part, Base::kProbeAlong));
  }

  kernels::Neighbours neighbours(CanvasView<const Complex> field, int part) {
    return {field, prior().reached(part), problem_.scan().object_ny, problem_.scan().object_nx};
  }

  ProbeRelaxation<Backend> relaxation_;
  std::unique_ptr<SearchDirection<Backend>> direction_;
  std::vector<SearchScratch> search_;
  double smoothness_weight_ = 0;
};

}  // namespace exitwave
