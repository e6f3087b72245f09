#pragma once

#include "core/complex.hpp"
#include "core/sums.hpp"
#include "core/view.hpp"
#include "kernels/scalar.hpp"
#include "kernels/update.hpp"

namespace exitwave::kernels {

// Conjugate gradient on one field (object or probe). `gradient` is the negative gradient s and
// `preconditioned(mode, y, x)` gives z from it.

// z as an array
struct Stored {
  CanvasView<const Complex> field;

  EXITWAVE_HD void prepare() {}
  EXITWAVE_HD Complex operator()(int mode, int y, int x) const { return field(mode, y, x); }
};

// field <- z
template <class Preconditioned>
struct Store {
  CanvasView<Complex> field;
  Preconditioned preconditioned;

  EXITWAVE_HD void prepare() { preconditioned.prepare(); }
  EXITWAVE_HD void operator()(int mode, int y, int x) const {
    field(mode, y, x) = preconditioned(mode, y, x);
  }
};

// Totals: <s, z> and <s_old, z> for the Polak-Ribiere factor, <s, d> for the slope along the last
// direction d.
template <class Preconditioned>
struct GradientProducts {
  static constexpr int kTotals = 3;

  CanvasView<const Complex> gradient;
  CanvasView<const Complex> old;  // s of the last iteration
  CanvasView<const Complex> direction;
  Preconditioned preconditioned;

  EXITWAVE_HD void prepare() { preconditioned.prepare(); }
  EXITWAVE_HD Sums<3> operator()(int mode, int y, int x) const {
    const Complex z = preconditioned(mode, y, x);
    const Complex s = gradient(mode, y, x);
    return {{dot(s, z), dot(old(mode, y, x), z), dot(s, direction(mode, y, x))}};
  }
};

// Polak-Ribiere factor from the totals of GradientProducts, 0 at a restart and where the direction
// would lead uphill.
struct Conjugacy {
  Across products;
  Across last;  // of the last iteration
  bool restart;
  Real value = 0;

  EXITWAVE_HD void prepare() {
    const double before = last.sum();
    const double now = products.sum();
    double beta = restart || before <= 0 ? 0 : (now - products.sum(1)) / before;
    beta = beta > 0 ? beta : 0;
    value = now + beta * products.sum(2) <= 0 ? Real(0) : Real(beta);
  }
};

// Step to the minimum of the expansion c1 t + c2 t^2 of loss and regulariser; where c2 is next to
// nothing, or negative, only the part of it that cannot be negative is taken: the minimum of what
// is almost a straight line lies where the expansion says nothing of the loss. The regulariser is
// weight power(P) S(O).
struct StepLength {
  static constexpr double kLeastBend = 0.02;

  Across loss;         // c1, c2, the part of c2 (LineSearch)
  double smoothness;   // its weight, 0: none
  Across roughness;    // S0, S1, S2 (SmoothnessAlong)
  Across probe;        // power of P, Re <P, dP>, power of dP
  double prior_scale;  // its weight, 0: none
  Across prior;        // R1, R2 (PriorAlong)
  Real value = 0;

  EXITWAVE_HD void prepare() { value = Real(length()); }
  EXITWAVE_HD double length() const {
    double c1 = loss.sum(0);
    double c2 = loss.sum(1);
    double upward = loss.sum(2);
    if (smoothness > 0) {
      const double p0 = probe.sum(0);
      const double p1 = 2 * probe.sum(1);
      const double s0 = roughness.sum(0);
      const double s1 = roughness.sum(1);
      c1 += smoothness * (p0 * s1 + p1 * s0);
      const double bend = smoothness * (p0 * roughness.sum(2) + p1 * s1 + probe.sum(2) * s0);
      c2 += bend;
      upward += bend > 0 ? bend : 0;
    }
    if (prior_scale > 0) {
      c1 += prior_scale * prior.sum(0);
      c2 += prior_scale * prior.sum(1);
      upward += prior_scale * prior.sum(1);
    }
    const double curvature = c2 > kLeastBend * upward ? c2 : upward;
    return curvature > 0 ? -c1 / (2 * curvature) : 0;
  }
};

// direction <- z + beta direction;  old <- s
template <class Preconditioned>
struct NextDirection {
  CanvasView<Complex> direction;
  CanvasView<Complex> old;
  CanvasView<const Complex> gradient;
  Preconditioned preconditioned;
  Conjugacy beta;

  EXITWAVE_HD void prepare() {
    preconditioned.prepare();
    beta.prepare();
  }
  EXITWAVE_HD void operator()(int mode, int y, int x) const {
    direction(mode, y, x) = preconditioned(mode, y, x) + beta.value * direction(mode, y, x);
    old(mode, y, x) = gradient(mode, y, x);
  }
};

// Totals: power of P, Re <P, dP>, power of dP.
struct PowerAlong {
  static constexpr int kTotals = 3;
  CanvasView<const Complex> field;
  CanvasView<const Complex> direction;

  EXITWAVE_HD Sums<3> operator()(int mode, int y, int x) const {
    const Complex p = field(mode, y, x);
    const Complex d = direction(mode, y, x);
    return {{norm(p), dot(p, d), norm(d)}};
  }
};

}  // namespace exitwave::kernels
