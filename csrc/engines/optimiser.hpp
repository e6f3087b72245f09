#pragma once

#include <string>
#include <vector>

#include "core/region.hpp"
#include "engines/engine.hpp"
#include "engines/field.hpp"
#include "kernels/optimiser.hpp"

namespace exitwave {

// What an optimiser keeps of one field, object or probe, and the steps that it takes.
template <class Backend>
class Optimiser {
 public:
  using Lane = typename Backend::Lane;

  // `rate`: without the schedule.
  Optimiser(Backend& backend, const EngineOptions& options, OptimiserKind kind, double rate,
            const Rect& whole, const std::vector<Rect>& tiles, int modes, int slices)
      : kind_(kind),
        keep_(Real(options.step_memory)),
        keep_square_(Real(options.square_memory)),
        rate_(Real(rate)),
        modes_(modes),
        slices_(slices) {
    const int images = modes * slices;
    if (kind == OptimiserKind::sgd) return;
    mean_ = Field<Backend, Complex>(backend, "optimiser", whole, tiles, images);
    if (kind == OptimiserKind::momentum) return;
    square_ = Field<Backend, Real>(backend, "optimiser", whole, tiles, images);
    seen_ = Field<Backend, Complex>(backend, "optimiser", whole, tiles, images);
  }

  // Whether steps are measured by the field's amplitude.
  bool needs_amplitude() const { return kind_ == OptimiserKind::adam; }

  // One step on `region` of a slice; `schedule`: factor on the rate.
  void step(Lane& lane, const Region& region, int part, int slice, CanvasView<Complex> field,
            const kernels::Quotient& z, const kernels::RootMeanSquare& amplitude, double schedule) {
    const Real rate = rate_ * Real(schedule);
    if (kind_ == OptimiserKind::sgd)
      lane.map(region, modes_, kernels::QuotientStep{field, z, rate});
    else if (kind_ == OptimiserKind::momentum)
      lane.map(region, modes_,
               kernels::VelocityStep{field, of(mean_, part, slice), z, keep_, rate});
    else
      lane.map(region, modes_,
               kernels::AdamStep{field, of(mean_, part, slice), of(square_, part, slice),
                                 of(seen_, part, slice), z, keep_, keep_square_, amplitude, rate,
                                 rate_});
  }

  // Forgets the past, because the field has been moved.
  void restart(Lane& lane, const Region& region, int part) {
    if (kind_ == OptimiserKind::sgd) return;
    lane.map(region, modes_ * slices_, kernels::Clear<Complex>{mean_.view(part)});
    if (kind_ == OptimiserKind::momentum) return;
    lane.map(region, modes_ * slices_, kernels::Clear<Real>{square_.view(part)});
    lane.map(region, modes_ * slices_, kernels::Clear<Complex>{seen_.view(part)});
  }

  void state(Archive& archive, const std::string& name) {
    mean_.state(archive, name + "_mean");
    square_.state(archive, name + "_square");
    seen_.state(archive, name + "_seen");
  }

 private:
  template <class T>
  CanvasView<T> of(Field<Backend, T>& field, int part, int slice) {
    return field.view(part).every(slices_, slice);
  }

  OptimiserKind kind_;
  Real keep_;
  Real keep_square_;
  Real rate_;
  int modes_;
  int slices_;
  Field<Backend, Complex> mean_;  // of past steps; momentum: the velocity
  Field<Backend, Real> square_;
  Field<Backend, Complex> seen_;
};

}  // namespace exitwave
