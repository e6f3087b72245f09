#pragma once

#include <array>
#include <vector>

#include "engines/reconstruction.hpp"
#include "kernels/descent.hpp"
#include "kernels/noise.hpp"
#include "kernels/regularise.hpp"

namespace exitwave {

// Maximum likelihood by preconditioned conjugate gradient (Thibault & Guizar-Sicairos, New J. Phys.
// 14, 063004 (2012)). One iteration:
//
//   gradient    model, slope of the loss, back: s = -g, as sums over frames          2 transforms
//   direction   z = s / (weight + d max weight);  h <- z + beta h, Polak-Ribiere, beta >= 0
//   search      second-order expansion of the loss along h from D[P O], D[P dO + dP O], D[dP dO]
//               gives the step                                                       3 transforms
//
// Transforms are per frame and mode; no wave is kept. Per object pixel: direction and old gradient.
template <class Backend, class NoiseModel>
class ConjugateGradient final : public Reconstruction<Backend> {
  using Base = Reconstruction<Backend>;
  using typename Base::Lane;

 public:
  ConjugateGradient(const typename Backend::Settings& settings, const Scan& scan,
                    const EngineOptions& options, const Complex* object, const Complex* probe)
      : Base(settings, scan, options, object, probe),
        object_direction_(object_field(options.object_modes)),
        object_old_(object_field(options.object_modes)),
        probe_direction_(probe_field(options.probe_modes)),
        probe_old_(probe_field(options.probe_modes)),
        probe_step_(probe_field(options.probe_modes)) {
    Memory& memory = this->backend_.memory();
    const Extent waves{model_.batch(), model_.wave_modes(), scan.ny, scan.nx};
    const Extent probes{model_.batch(), options.probe_modes, scan.ny, scan.nx};
    for (int lane = 0; lane < this->backend_.lanes(); ++lane) {
      search_.push_back(
          {Images<Complex>(memory, waves), Images<Complex>(memory, waves),
           problem_.fractional() ? Images<Complex>(memory, probes) : Images<Complex>()});
    }
    for (int copy = 0; copy < state_.copies(); ++copy)
      direction_spectrum_.push_back(
          problem_.fractional()
              ? Images<Complex>(memory, {1, options.probe_modes, scan.ny, scan.nx})
              : Images<Complex>());
    if (options.smoothness > 0) prepare_smoothness(scan, options.smoothness);
  }

  IterationReport iterate(const std::vector<std::vector<int>>&, bool update_probe) override {
    measure_smoothness();
    gradient(update_probe);
    IterationReport report;
    report.deviation = this->take_totals()[0];
    next_direction(update_probe);
    report.cut_power = this->cut_power_;
    report.step = search();
    take_step(report.step, update_probe);
    this->constrain(false);
    return report;
  }

  // Loss, direction and step are the same for (P s, O / s), so the power is restored only here.
  void finish() override {
    if (options_.hold_power) this->constrain(true);
  }

  void move_probe(int dy, int dx) override {
    Base::move_probe(dy, dx);
    restart_ = true;
  }

 private:
  using Base::model_;
  using Base::object_sums_;
  using Base::options_;
  using Base::probe_sums_;
  using Base::problem_;
  using Base::state_;

  // Waves of the line search, one set for each lane.
  struct SearchScratch {
    Images<Complex> first;
    Images<Complex> second;
    Images<Complex> probe_direction;
  };
  using ObjectZ = kernels::Quotient;

  Field<Backend, Complex> object_field(int modes) {
    return {this->backend_,
            {0, 0, problem_.scan().object_ny, problem_.scan().object_nx},
            problem_.layout().tiles(),
            modes};
  }
  Field<Backend, Complex> probe_field(int modes) {
    return {this->backend_, problem_.window(), state_.windows(), modes};
  }

  // object_sums_ and probe_sums_ <- s, whole.
  void gradient(bool update_probe) {
    this->set_all_frames();
    const auto sums = update_probe ? Base::ProbeSums::terms_and_weights : Base::ProbeSums::none;
    this->accumulate(sums, nullptr, [&](Lane& lane, Scratch& s, const Batch& b) {
      const kernels::LossResidual<NoiseModel> loss{s.measured(), s.wave.view(), model_.scale()};
      model_.detect(lane, s, b, model_.sum_modes(loss, s), this->scale_wave(s));
      this->template add_totals<1>(lane, s, b);
    });
    largest_ = this->complete(true, update_probe,
                              [&](Lane& lane, int part) { add_smoothness_gradient(lane, part); });
  }

  void add_smoothness_gradient(Lane& lane, int part) {
    if (options_.smoothness == 0) return;
    lane.map(object_sums_.owned(part), state_.object_modes(),
             kernels::SmoothnessGradient{object_sums_.sum(part), neighbours(state_.object(), part),
                                         Real(smoothness_weight_ * probe_power_)});
  }

  // z of the probe is kept as an array, because the supports act on it.
  void precondition_probe(Lane& lane, int part, double floor) {
    if (options_.smoothness > 0)
      lane.map(state_.window(), state_.probe_modes(),
               kernels::AddScaled{probe_sums_.sum(part), state_.probe(part),
                                  Real(-smoothness_weight_ * roughness_)});
    const CanvasView<Complex> z = probe_step_.view(part);
    lane.map(state_.window(), state_.probe_modes(),
             kernels::Store<ObjectZ>{z, this->probe_quotient(part, 1.0, floor)});
    if (!state_.has_supports()) return;
    const double before = power_of(lane, z);
    state_.apply_supports(lane, part, z);
    if (part == 0) this->cut_power_ = (before - power_of(lane, z)) / state_.probe_power(lane, part);
  }

  double power_of(Lane& lane, CanvasView<const Complex> field) {
    double total[1] = {};
    lane.sum(state_.window(), state_.probe_modes(), kernels::Power{field}, total);
    return total[0];
  }

  void next_direction(bool update_probe) {
    const double floor = options_.object_inertia * largest_.object;
    if (update_probe) {
      const double probe_floor = options_.probe_inertia * largest_.probe;
      this->for_each_copy(
          [&](Lane& lane, int part) { precondition_probe(lane, part, probe_floor); });
    }
    const Real beta = conjugacy(floor, update_probe);
    this->backend_.for_each_part(this->parts(), [&](Lane& lane, int, int part) {
      lane.map(
          object_sums_.updated(part), state_.object_modes(),
          kernels::NextDirection<ObjectZ>{object_direction_.view(part), object_old_.view(part),
                                          object_sums_.sum(part), object_z(part, floor), beta});
      object_sums_.clear(lane, part);
      if (part >= state_.copies()) return;
      if (update_probe) {
        lane.map(state_.window(), state_.probe_modes(),
                 kernels::NextDirection<kernels::Stored>{
                     probe_direction_.view(part), probe_old_.view(part), probe_sums_.sum(part),
                     kernels::Stored{probe_step_.view(part)}, beta});
        probe_sums_.clear(lane, part);
      } else {
        lane.map(state_.window(), state_.probe_modes(),
                 kernels::Clear<Complex>{probe_direction_.view(part)});
      }
      state_.refresh_spectrum(lane, probe_direction_.view(part), spectrum(part));
    });
  }

  // Polak-Ribiere factor over object and probe together, 0 at a restart and where the direction
  // would lead uphill.
  Real conjugacy(double floor, bool update_probe) {
    std::vector<std::array<double, 3>> products(std::size_t(this->parts()), {0, 0, 0});
    this->backend_.for_each_part(this->parts(), [&](Lane& lane, int, int part) {
      double* totals = products[std::size_t(part)].data();
      lane.sum(
          object_sums_.owned(part), state_.object_modes(),
          kernels::GradientProducts<ObjectZ>{object_sums_.sum(part), object_old_.view(part),
                                             object_direction_.view(part), object_z(part, floor)},
          totals);
      if (part == 0 && update_probe)
        lane.sum(state_.window(), state_.probe_modes(),
                 kernels::GradientProducts<kernels::Stored>{
                     probe_sums_.sum(part), probe_old_.view(part), probe_direction_.view(part),
                     kernels::Stored{probe_step_.view(part)}},
                 totals);
    });
    std::array<double, 3> p{0, 0, 0};
    for (const auto& product : products)
      for (std::size_t i = 0; i < 3; ++i) p[i] += product[i];
    const bool restart = restart_ || update_probe != probe_moved_ || last_product_ <= 0;
    double beta = restart ? 0.0 : std::max(0.0, (p[0] - p[1]) / last_product_);
    if (p[0] + beta * p[2] <= 0) beta = 0;
    restart_ = false;
    probe_moved_ = update_probe;
    last_product_ = p[0];
    return Real(beta);
  }

  // Step to the minimum of the expansion c1 t + c2 t^2; where c2 is not positive, only the part of
  // it that cannot be negative is taken.
  double search() {
    this->backend_.for_each_part(this->parts(), [&](Lane& lane, int lane_number, int part) {
      this->for_each_batch(lane_number, part, [&](Scratch& s, const Batch& b) {
        expand(lane, s, search_[std::size_t(lane_number)], b);
        this->template add_totals<3>(lane, s, b);
      });
    });
    std::vector<double> c = this->take_totals();
    if (options_.smoothness > 0) add_smoothness(c);
    const double curvature = c[1] > 0 ? c[1] : c[2];
    return curvature > 0 ? -c[0] / (2 * curvature) : 0.0;
  }

  void expand(Lane& lane, Scratch& s, SearchScratch& search, const Batch& b) {
    const kernels::ProbeMode p = model_.model(lane, s, b);
    const kernels::ProbeMode dp = direction_of_probe(lane, search, b);
    const kernels::ObjectWindow o = model_.object(state_.object(b.part), b);
    const kernels::ObjectWindow d = model_.object(object_direction_.view(b.part), b);
    lane.run(model_.frames(b),
             model_.map(kernels::ExitWaveChange{search.first.view(), p, o, dp, d}),
             model_.map(kernels::ExitWave{search.second.view(), dp, d}));
    model_.forward(lane, b, search.first.view());
    model_.forward(lane, b, search.second.view());
    const kernels::LineSearch<NoiseModel> terms{s.measured(), s.wave.view(), search.first.view(),
                                                search.second.view(), model_.scale()};
    model_.detect(lane, s, b, model_.sum_modes(terms, s));
  }

  kernels::ProbeMode direction_of_probe(Lane& lane, SearchScratch& search, const Batch& b) {
    if (problem_.fractional())
      return model_.shifted(lane, spectrum(b.part).repeated(), search.probe_direction, b);
    const CanvasView<Complex> d = probe_direction_.view(b.part);
    return {{d.data, 0, d.mode_stride, d.row_stride}, state_.object_modes()};
  }

  void take_step(double step, bool update_probe) {
    this->backend_.for_each_part(this->parts(), [&](Lane& lane, int, int part) {
      lane.map(object_sums_.updated(part), state_.object_modes(),
               kernels::AddScaled{state_.object(part), object_direction_.view(part), Real(step)});
      if (!update_probe || part >= state_.copies()) return;
      lane.map(state_.window(), state_.probe_modes(),
               kernels::AddScaled{state_.probe(part), probe_direction_.view(part), Real(step)});
      state_.refresh(lane, part);
    });
  }

  // The regulariser is weight power(P) S(O), weight = smoothness frames / reached pixels: in units
  // of the mean illumination, whatever the exposure and however probe and object share a factor.
  void prepare_smoothness(const Scan& scan, double smoothness) {
    const Region& reached = problem_.layout().reached();
    smoothness_weight_ = smoothness * scan.frames / double(reached.pixels());
    std::vector<Real> mask(std::size_t(scan.object_ny) * std::size_t(scan.object_nx), Real(0));
    for (const Span& s : reached.spans())
      for (int x = s.x0; x < s.x1; ++x)
        mask[std::size_t(s.y) * std::size_t(scan.object_nx) + std::size_t(x)] = 1;
    reached_ = Field<Backend, Real>(this->backend_, {0, 0, scan.object_ny, scan.object_nx},
                                    problem_.layout().tiles(), 1);
    reached_.upload(mask.data());
  }

  void measure_smoothness() {
    if (options_.smoothness == 0) return;
    roughness_ = smoothness_along()[0];
    this->for_each_copy([&](Lane& lane, int part) {
      if (part == 0) probe_power_ = state_.probe_power(lane, part);
    });
  }

  std::array<double, 3> smoothness_along() {
    std::vector<std::array<double, 3>> sums(std::size_t(this->parts()), {0, 0, 0});
    this->backend_.for_each_part(this->parts(), [&](Lane& lane, int, int part) {
      lane.sum(object_sums_.owned(part), state_.object_modes(),
               kernels::SmoothnessAlong{neighbours(state_.object(), part),
                                        neighbours(object_direction_, part)},
               sums[std::size_t(part)].data());
    });
    std::array<double, 3> total{0, 0, 0};
    for (const auto& sum : sums)
      for (std::size_t i = 0; i < 3; ++i) total[i] += sum[i];
    return total;
  }

  void add_smoothness(std::vector<double>& c) {
    const std::array<double, 3> rough = smoothness_along();
    std::array<double, 2> power{0, 0};
    this->for_each_copy([&](Lane& lane, int part) {
      if (part != 0) return;
      lane.sum(state_.window(), state_.probe_modes(),
               kernels::InnerProduct{state_.probe(part), probe_direction_.view(part)}, &power[0]);
      lane.sum(state_.window(), state_.probe_modes(),
               kernels::InnerProduct{probe_direction_.view(part), probe_direction_.view(part)},
               &power[1]);
    });
    const double p1 = 2 * power[0];
    const double r2 =
        smoothness_weight_ * (probe_power_ * rough[2] + p1 * rough[1] + power[1] * rough[0]);
    c[0] += smoothness_weight_ * (probe_power_ * rough[1] + p1 * rough[0]);
    c[1] += r2;
    c[2] += std::max(r2, 0.0);
  }

  kernels::Neighbours neighbours(Field<Backend, Complex>& field, int part) {
    return {field.view(part), reached_.view(part), problem_.scan().object_ny,
            problem_.scan().object_nx};
  }

  ObjectZ object_z(int part, double floor) { return this->object_quotient(part, 1.0, floor); }
  Images<Complex>& spectrum(int part) {
    return direction_spectrum_[direction_spectrum_.size() == 1 ? 0 : std::size_t(part)];
  }

  Field<Backend, Complex> object_direction_;
  Field<Backend, Complex> object_old_;
  Field<Backend, Complex> probe_direction_;
  Field<Backend, Complex> probe_old_;
  Field<Backend, Complex> probe_step_;
  std::vector<SearchScratch> search_;
  std::vector<Images<Complex>> direction_spectrum_;
  Field<Backend, Real> reached_;
  double smoothness_weight_ = 0;
  double roughness_ = 0;
  double probe_power_ = 0;
  typename Base::Largest largest_;
  double last_product_ = 0;
  bool probe_moved_ = false;
  bool restart_ = true;
};

}  // namespace exitwave
