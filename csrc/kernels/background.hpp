#pragma once

#include "core/complex.hpp"
#include "core/sums.hpp"
#include "core/view.hpp"
#include "kernels/scalar.hpp"
#include "kernels/update.hpp"

namespace exitwave::kernels {

// Refinement of the background b from S = -sum dL/dI and W = sum d2L/dI2 over frames, where W is
// what it is for counts that agree with the model: a step S / W is in counts, whatever the dose.

// Rule of a loss, which keeps its curvature as well.
template <class Noise, class Rule>
struct KeepCurvature {
  static constexpr int kSums = Rule::kSums;
  static constexpr int kRoots = Rule::kRoots;
  static constexpr int kTotals = Rule::kTotals;

  Rule rule;
  BatchView<Real> curvature;  // (frames, 1, ny, nx), written

  EXITWAVE_HD Sums<kSums> term(Pixel p) const { return rule.term(p); }
  EXITWAVE_HD Sums<kTotals> finish(Pixel p, Sums<kSums> sum, Sums<kRoots> none) const {
    const Real counts = rule.measured(p);
    const Real model = rule.sensor.measured(p, rule.scale * sum.v[0]);
    const bool unheard = counts < 0 || rule.sensor.silent(counts, model);
    curvature(p) = unheard ? Real(0) : Noise::curvature(model, model);
    return rule.finish(p, sum, none);
  }
};

// What a frame adds to the sums.
struct SlopeOfFrame {
  BatchView<const Real> slope;  // -dL/dI (frames, 1, ny, nx)

  EXITWAVE_HD Complex operator()(Pixel p) const { return {slope(p), 0}; }
  EXITWAVE_HD int target(int) const { return 0; }
};
struct CurvatureOfFrame {
  BatchView<const Real> curvature;  // (frames, 1, ny, nx)

  EXITWAVE_HD Real operator()(Pixel p) const { return curvature(p); }
  EXITWAVE_HD int target(int) const { return 0; }
};

// terms <- S, W
struct BackgroundTerms {
  CanvasView<Real> terms;
  CanvasView<const Complex> sum;
  CanvasView<const Real> weight;

  EXITWAVE_HD void operator()(int, int y, int x) const {
    terms(0, y, x) = sum(0, y, x).re;
    terms(1, y, x) = weight(0, y, x);
  }
};

// terms <- S / (W + floor), 1
struct BackgroundQuotient {
  CanvasView<Real> terms;
  LargestTimes floor;

  EXITWAVE_HD void prepare() { floor.prepare(); }
  EXITWAVE_HD void operator()(int, int y, int x) const {
    const Real weight = terms(1, y, x) + floor.value;
    terms(0, y, x) = weight > kNoWeight ? terms(0, y, x) / weight : Real(0);
    terms(1, y, x) = 1;
  }
};

// b <- max(0, b + step / part of the step that smoothing left inside the frame)
struct StepBackground {
  CanvasView<Real> background;
  CanvasView<const Real> terms;  // step, part

  EXITWAVE_HD void operator()(int, int y, int x) const {
    const Real next = background(0, y, x) + terms(0, y, x) / terms(1, y, x);
    background(0, y, x) = next > 0 ? next : Real(0);
  }
};

}  // namespace exitwave::kernels
