#pragma once

#include <cmath>

#include "core/complex.hpp"
#include "core/sums.hpp"
#include "core/view.hpp"

namespace exitwave::kernels {

// What is known of the object q, or of its phase, beforehand, as a penalty
//
//   R = sum_r  2 tv |D q|_e + smoothness |D q|^2 + 2 l1 |c|_e + l2 |c|^2 + reweighted log |c|_f^2
//
// with |x|_e^2 = |x|^2 + e^2, D q the differences to the next row and column, and c what q differs
// from the empty object by. It is treated as the quadratic that touches it at the present object
// and lies above it elsewhere (lagged diffusivity: Vogel & Oman, SIAM J. Sci. Comput. 17, 227
// (1996); reweighted L1: Candes, Wakin & Boyd, J. Fourier Anal. Appl. 14, 877 (2008)):
//
//   R = sum_r  w |D q|^2 + v |c|^2,   w = smoothness + tv / |D q|_e,
//                                     v = l2 + l1 / |c|_e + reweighted / |c|_f^2
struct PriorStrength {
  Real smoothness;
  Real tv;
  Real l1;
  Real reweighted_l1;
  Real l2;
};
inline constexpr Real kFlat = Real(0.01);   // e: differences below it are smoothed, not sharpened
inline constexpr Real kSparse = Real(0.1);  // f: contrast above it is left alone

// q = O; empty is 1.
struct WholeObject {
  EXITWAVE_HD static Complex difference(Complex a, Complex b) { return a - b; }
  EXITWAVE_HD static Complex contrast(Complex object) { return object - Complex{1, 0}; }
  // Change of q with a small change of the object, its adjoint, and the object's change for a
  // change of q.
  EXITWAVE_HD static Complex along(Complex, Complex change) { return change; }
  EXITWAVE_HD static Complex back(Complex, Complex gradient) { return gradient; }
  EXITWAVE_HD static Complex moved(Complex, Complex change) { return change; }
};

// q = arg O, a real number; empty is 0. Differences are those of phases that wrap.
struct ObjectPhase {
  static constexpr Real kDarkest = Real(1e-8);

  EXITWAVE_HD static Complex difference(Complex a, Complex b) { return contrast(a * conj(b)); }
  EXITWAVE_HD static Complex contrast(Complex object) {
    using std::atan2;
    return {atan2(object.im, object.re), 0};
  }
  EXITWAVE_HD static Complex along(Complex object, Complex change) {
    return {dot(turned(object), change) / (norm(object) + kDarkest), 0};
  }
  EXITWAVE_HD static Complex back(Complex object, Complex gradient) {
    return (gradient.re / (norm(object) + kDarkest)) * turned(object);
  }
  EXITWAVE_HD static Complex moved(Complex object, Complex change) {
    using std::cos;
    using std::sin;
    return object * Complex{cos(change.re) - 1, sin(change.re)};
  }
  EXITWAVE_HD static Complex turned(Complex z) { return {-z.im, z.re}; }
};

// An object and the weights w and v that follow from it. Tiles reach one pixel further than their
// frames, so that an owned pixel has its neighbours, and theirs, beside it.
template <class Quantity>
struct PriorField {
  CanvasView<const Complex> object;
  CanvasView<const Real> reached;  // (1, ...), 1 or 0
  int ny;                          // of the whole object
  int nx;
  PriorStrength strength;

  // At the edge of the whole object a pixel is its own neighbour.
  EXITWAVE_HD int row(int y) const { return y < 0 ? 0 : (y < ny ? y : ny - 1); }
  EXITWAVE_HD int column(int x) const { return x < 0 ? 0 : (x < nx ? x : nx - 1); }
  // 1 if these are two pixels, and some frame reaches both.
  EXITWAVE_HD Real edge(int y, int x, int v, int u) const {
    return v == y && u == x ? Real(0) : reached(0, y, x) * reached(0, v, u);
  }
  EXITWAVE_HD Complex difference(int mode, int y, int x, int v, int u) const {
    return edge(y, x, v, u) * Quantity::difference(object(mode, y, x), object(mode, v, u));
  }
  // w of the differences that start at a pixel
  EXITWAVE_HD Real edge_weight(int mode, int y, int x) const {
    using std::sqrt;
    const Complex down = difference(mode, y, x, row(y + 1), x);
    const Complex right = difference(mode, y, x, y, column(x + 1));
    return strength.smoothness + strength.tv / sqrt(norm(down) + norm(right) + kFlat * kFlat);
  }
  // v
  EXITWAVE_HD Real pixel_weight(Complex contrast) const {
    using std::sqrt;
    const Real power = norm(contrast);
    return strength.l2 + strength.l1 / sqrt(power + kFlat * kFlat) +
           strength.reweighted_l1 / (power + kSparse * kSparse);
  }
};

// Half of dR / dq at a pixel, and the sum of the weights there.
struct PriorSlope {
  Complex gradient;
  Real weight;
};
template <class Quantity>
EXITWAVE_HD PriorSlope prior_slope(const PriorField<Quantity>& f, int mode, int y, int x) {
  const Complex contrast = Quantity::contrast(f.object(mode, y, x));
  const Real own = f.pixel_weight(contrast);
  PriorSlope slope{own * contrast, own};
  const auto add = [&](int v, int u, Real weight) {
    slope.gradient += weight * f.difference(mode, y, x, v, u);
    slope.weight += weight * f.edge(y, x, v, u);
  };
  const Real here = f.edge_weight(mode, y, x);
  add(f.row(y + 1), x, here);
  add(y, f.column(x + 1), here);
  add(f.row(y - 1), x, f.edge_weight(mode, f.row(y - 1), x));
  add(y, f.column(x - 1), f.edge_weight(mode, y, f.column(x - 1)));
  return slope;
}

// sum <- change of the object: one Jacobi step to the minimum of |q' - q|^2 + R(q')
template <class Quantity>
struct PriorChange {
  CanvasView<Complex> sum;
  PriorField<Quantity> field;

  EXITWAVE_HD void operator()(int mode, int y, int x) const {
    const PriorSlope slope = prior_slope(field, mode, y, x);
    const Complex change = (-1 / (1 + slope.weight)) * slope.gradient;
    sum(mode, y, x) = Quantity::moved(field.object(mode, y, x), change);
  }
};

// sum <- sum - scale dR / d conj(O)
template <class Quantity>
struct PriorGradient {
  CanvasView<Complex> sum;
  PriorField<Quantity> field;
  Real scale;

  EXITWAVE_HD void operator()(int mode, int y, int x) const {
    const Complex gradient = prior_slope(field, mode, y, x).gradient;
    sum(mode, y, x) += -scale * Quantity::back(field.object(mode, y, x), gradient);
  }
};

// Totals of R(O + t dO) = R + t R1 + t^2 R2, the quadratic that touches R.
template <class Quantity>
struct PriorAlong {
  static constexpr int kTotals = 2;

  PriorField<Quantity> field;
  CanvasView<const Complex> direction;

  EXITWAVE_HD Sums<2> operator()(int mode, int y, int x) const {
    const Complex contrast = Quantity::contrast(field.object(mode, y, x));
    const Complex change = along(mode, y, x);
    const Real own = field.pixel_weight(contrast);
    const Real here = field.edge_weight(mode, y, x);
    Sums<2> total{{2 * own * dot(contrast, change), own * norm(change)}};
    const auto add = [&](int v, int u) {
      const Complex differing = field.edge(y, x, v, u) * (change - along(mode, v, u));
      total.v[0] += 2 * here * dot(field.difference(mode, y, x, v, u), differing);
      total.v[1] += here * norm(differing);
    };
    add(field.row(y + 1), x);
    add(y, field.column(x + 1));
    return total;
  }
  EXITWAVE_HD Complex along(int mode, int y, int x) const {
    return Quantity::along(field.object(mode, y, x), direction(mode, y, x));
  }
};

}  // namespace exitwave::kernels
