#pragma once

#include <functional>
#include <string>

#include "engines/constraints.hpp"
#include "engines/engine.hpp"
#include "engines/field.hpp"
#include "engines/partial_sums.hpp"
#include "engines/problem.hpp"
#include "engines/state.hpp"
#include "engines/totals.hpp"
#include "kernels/descent.hpp"

namespace exitwave {

// What a direction is found from: an engine's object and probe, and their negative gradients in its
// sums. `object_z(part, slice)` and `probe_z(part)` give the preconditioned gradients.
template <class Backend>
struct GradientState {
  Backend& backend;
  Problem<Backend>& problem;
  State<Backend>& state;
  PartialSums<Backend>& object_sums;
  PartialSums<Backend>& probe_sums;
  Totals<Backend>& totals;
  Constraints<Backend>& constraints;
  const EngineOptions& options;
  std::function<kernels::Quotient(int, int)> object_z;
  std::function<kernels::Quotient(int)> probe_z;
};

// A direction of object and probe together, downhill, and what it remembers from one iteration to
// the next.
template <class Backend>
class SearchDirection {
 public:
  using Lane = typename Backend::Lane;

  explicit SearchDirection(GradientState<Backend> engine)
      : engine_(std::move(engine)),
        object_(object_field(1)),
        probe_(probe_field(1)),
        object_old_(object_field(1)),
        probe_old_(probe_field(1)) {
    for (int copy = 0; copy < engine_.state.copies(); ++copy)
      spectrum_.push_back(
          engine_.problem.fractional() && engine_.backend.holds(copy)
              ? Images<Complex>(engine_.backend.memory(copy),
                                {1, engine_.options.probe_modes, engine_.problem.scan().ny,
                                 engine_.problem.scan().nx})
              : Images<Complex>());
  }
  virtual ~SearchDirection() = default;
  SearchDirection(const SearchDirection&) = delete;
  SearchDirection& operator=(const SearchDirection&) = delete;

  // From the gradients in the sums, which are zero afterwards.
  void find(bool update_probe) {
    const bool restart = restart_ || update_probe != probe_moved_;
    next(update_probe, restart);
    engine_.backend.for_each_part([&](Lane& lane, int, int part) {
      if (part < engine_.state.copies())
        engine_.state.refresh_spectrum(lane, probe_.view(part), spectrum(part));
    });
    restart_ = false;
    probe_moved_ = update_probe;
  }
  // Before the step, which ends where the next gradient is taken.
  virtual void leave(bool /*update_probe*/) {}
  // Forgets the past, because object and probe have been moved.
  void restart() { restart_ = true; }

  CanvasView<Complex> object(int part) { return object_.view(part); }
  CanvasView<Complex> object(int part, int slice) { return slice_of(object_.view(part), slice); }
  CanvasView<Complex> probe(int part) { return probe_.view(part); }
  // Of the probe's direction, for fractional positions.
  Images<Complex>& spectrum(int part) {
    return spectrum_[spectrum_.size() == 1 ? 0 : std::size_t(part)];
  }

  virtual void state(Archive& archive) {
    object_old_.state(archive, "object_gradient");
    probe_old_.state(archive, "probe_gradient");
    archive.number("probe_moved", probe_moved_);
    archive.number("restart", restart_);
  }

 protected:
  virtual void next(bool update_probe, bool restart) = 0;

  // With `times` images for each of object or probe.
  Field<Backend, Complex> object_field(int times) {
    return {engine_.backend, "directions", engine_.problem.held(), engine_.problem.layout().tiles(),
            engine_.options.object_images() * times};
  }
  Field<Backend, Complex> probe_field(int times) {
    return {engine_.backend, "directions", engine_.problem.window(), engine_.state.windows(),
            engine_.options.probe_modes * times};
  }
  CanvasView<Complex> slice_of(CanvasView<Complex> field, int slice) const {
    return field.every(engine_.options.slices, slice);
  }

  // A preconditioned field of the probe, within its supports.
  void restrict_probe(Lane& lane, int part, CanvasView<Complex> z) {
    if (!engine_.state.has_supports()) return;
    engine_.constraints.measure_power(lane, part, found::kCutOf);
    measure_power_of(lane, part, z, found::kUncut);
    engine_.state.apply_supports(lane, part, z);
    measure_power_of(lane, part, z, found::kCut);
  }

  // What the parts have found becomes known to all. Not before all have read the weights, which are
  // in the same rows.
  void share() {
    engine_.backend.for_each_part(
        [&](Lane& lane, int, int part) { engine_.totals.share(lane, part); });
    engine_.totals.exchange();
  }

  GradientState<Backend> engine_;
  Field<Backend, Complex> object_;
  Field<Backend, Complex> probe_;
  Field<Backend, Complex> object_old_;  // gradients of the last iteration
  Field<Backend, Complex> probe_old_;

 private:
  void measure_power_of(Lane& lane, int part, CanvasView<const Complex> field, int place) {
    engine_.totals.clear(lane, part, place, 1);
    lane.sum(engine_.state.window(), engine_.options.probe_modes, kernels::Power{field},
             engine_.totals.own(part, place));
  }

  std::vector<Images<Complex>> spectrum_;
  bool probe_moved_ = false;
  bool restart_ = true;
};

// h <- z + beta h, Polak-Ribiere, beta >= 0. Per object pixel: direction and old gradient.
template <class Backend>
class ConjugateDirection final : public SearchDirection<Backend> {
  using Base = SearchDirection<Backend>;
  using typename Base::Lane;

 public:
  explicit ConjugateDirection(GradientState<Backend> engine)
      : Base(std::move(engine)), probe_step_(this->probe_field(1)) {}

  void state(Archive& archive) override {
    Base::state(archive);
    object_.state(archive, "object_direction");
    probe_.state(archive, "probe_direction");
    archive.number("even", even_);
  }

 private:
  using Base::engine_;
  using Base::object_;
  using Base::object_old_;
  using Base::probe_;
  using Base::probe_old_;

  void next(bool update_probe, bool restart) override {
    if (update_probe)
      engine_.state.for_each_copy(engine_.backend, [&](Lane& lane, int part) {
        // z of the probe is kept as an array, because the supports act on it.
        const CanvasView<Complex> z = probe_step_.view(part);
        lane.map(engine_.state.window(), engine_.options.probe_modes,
                 kernels::Store<kernels::Quotient>{z, engine_.probe_z(part)});
        this->restrict_probe(lane, part, z);
      });
    multiply_gradients(update_probe);
    engine_.backend.for_each_part([&](Lane& lane, int, int part) {
      const kernels::Conjugacy beta{engine_.totals.across(part, products()),
                                    engine_.totals.across(part, last_products()), restart};
      turn_object(lane, part, beta);
      if (part < engine_.state.copies()) turn_probe(lane, part, beta, update_probe);
    });
    even_ = !even_;
  }

  void turn_object(Lane& lane, int part, const kernels::Conjugacy& beta) {
    PartialSums<Backend>& sums = engine_.object_sums;
    for (int slice = 0; slice < engine_.options.slices; ++slice)
      lane.map(sums.updated(part), engine_.options.object_modes,
               kernels::NextDirection<kernels::Quotient>{
                   this->object(part, slice), this->slice_of(object_old_.view(part), slice),
                   sums.sum(part, slice), engine_.object_z(part, slice), beta});
    sums.clear(lane, part);
  }

  void turn_probe(Lane& lane, int part, const kernels::Conjugacy& beta, bool update_probe) {
    const int modes = engine_.options.probe_modes;
    if (!update_probe)
      return lane.map(engine_.state.window(), modes, kernels::Clear<Complex>{probe_.view(part)});
    lane.map(engine_.state.window(), modes,
             kernels::NextDirection<kernels::Stored>{
                 probe_.view(part), probe_old_.view(part), engine_.probe_sums.sum(part),
                 kernels::Stored{probe_step_.view(part)}, beta});
    engine_.probe_sums.clear(lane, part);
  }

  // Products for the Polak-Ribiere factor, over object and probe together.
  void multiply_gradients(bool update_probe) {
    PartialSums<Backend>& sums = engine_.object_sums;
    engine_.backend.for_each_part([&](Lane& lane, int, int part) {
      engine_.totals.clear(lane, part, products(), 3);
      double* found = engine_.totals.own(part, products());
      for (int slice = 0; slice < engine_.options.slices; ++slice)
        lane.sum(sums.owned(part), engine_.options.object_modes,
                 kernels::GradientProducts<kernels::Quotient>{
                     sums.sum(part, slice), this->slice_of(object_old_.view(part), slice),
                     this->object(part, slice), engine_.object_z(part, slice)},
                 found);
      if (part == 0 && update_probe)
        lane.sum(engine_.state.window(), engine_.options.probe_modes,
                 kernels::GradientProducts<kernels::Stored>{
                     engine_.probe_sums.sum(part), probe_old_.view(part), probe_.view(part),
                     kernels::Stored{probe_step_.view(part)}},
                 found);
    });
    this->share();
  }
  int products() const { return found::kProducts + (even_ ? 0 : 3); }
  int last_products() const { return found::kProducts + (even_ ? 3 : 0); }

  Field<Backend, Complex> probe_step_;
  bool even_ = true;  // of two places for the products, which one is this iteration's
};

}  // namespace exitwave
