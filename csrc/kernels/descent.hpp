#pragma once

#include "core/complex.hpp"
#include "core/sums.hpp"
#include "core/view.hpp"
#include "kernels/update.hpp"

namespace exitwave::kernels {

// Conjugate gradient on one field (object or probe). `gradient` is the negative gradient s and
// `preconditioned(mode, y, x)` gives z from it.

// z as an array
struct Stored {
  CanvasView<const Complex> field;

  EXITWAVE_HD Complex operator()(int mode, int y, int x) const { return field(mode, y, x); }
};

// field <- z
template <class Preconditioned>
struct Store {
  CanvasView<Complex> field;
  Preconditioned preconditioned;

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

  EXITWAVE_HD Sums<3> operator()(int mode, int y, int x) const {
    const Complex z = preconditioned(mode, y, x);
    const Complex s = gradient(mode, y, x);
    return {{dot(s, z), dot(old(mode, y, x), z), dot(s, direction(mode, y, x))}};
  }
};

// direction <- z + beta direction;  old <- s
template <class Preconditioned>
struct NextDirection {
  CanvasView<Complex> direction;
  CanvasView<Complex> old;
  CanvasView<const Complex> gradient;
  Preconditioned preconditioned;
  Real beta;

  EXITWAVE_HD void operator()(int mode, int y, int x) const {
    direction(mode, y, x) = preconditioned(mode, y, x) + beta * direction(mode, y, x);
    old(mode, y, x) = gradient(mode, y, x);
  }
};

// Total: Re <a, b>
struct InnerProduct {
  static constexpr int kTotals = 1;
  CanvasView<const Complex> a;
  CanvasView<const Complex> b;

  EXITWAVE_HD Sums<1> operator()(int mode, int y, int x) const {
    return {{dot(a(mode, y, x), b(mode, y, x))}};
  }
};

}  // namespace exitwave::kernels
