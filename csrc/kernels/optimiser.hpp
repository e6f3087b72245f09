#pragma once

#include <cmath>

#include "core/complex.hpp"
#include "core/view.hpp"
#include "kernels/scalar.hpp"
#include "kernels/update.hpp"

namespace exitwave::kernels {

// Steps along z, the preconditioned negative gradient, which is in the units of the field: near the
// solution z is about what is missing. (Plain steps are QuotientStep.)

// velocity <- keep velocity + (1 - keep) z;  field <- field + rate velocity
struct VelocityStep {
  CanvasView<Complex> field;
  CanvasView<Complex> velocity;
  Quotient z;
  Real keep;
  Real rate;

  EXITWAVE_HD void prepare() { z.prepare(); }
  EXITWAVE_HD void operator()(int mode, int y, int x) const {
    const Complex v = keep * load(velocity(mode, y, x)) + (1 - keep) * z(mode, y, x);
    store(velocity(mode, y, x), v);
    store(field(mode, y, x), load(field(mode, y, x)) + rate * v);
  }
};

// Root mean square of a field from its power.
struct RootMeanSquare {
  Across power;
  double pixels;
  Real value = 0;

  EXITWAVE_HD void prepare() {
    using std::sqrt;
    value = Real(sqrt(power.sum() / pixels));
  }
};

// Adam (Kingma & Ba, arXiv:1412.6980) on complex numbers, with a = rms amplitude of the field:
//   mean <- keep mean + (1 - keep) z,  square <- keep' square + (1 - keep') |z|^2,
//   field <- field + rate a mean^ / (sqrt(square^) + damping a),
// where ^ divides by what the same average of ones is (`seen`), counted for each pixel, because
// groups reach some more often than others. Steps are at most about rate a; where z is far below
// damping a they are (rate / damping) mean^, so that the end is a descent and no wandering.
struct AdamStep {
  CanvasView<Complex> field;
  CanvasView<Complex> mean;
  CanvasView<Real> square;
  CanvasView<Complex> seen;  // of mean, and of square
  Quotient z;
  Real keep;
  Real keep_square;
  RootMeanSquare amplitude;
  Real rate;
  Real damping;

  EXITWAVE_HD void prepare() {
    z.prepare();
    amplitude.prepare();
  }
  EXITWAVE_HD void operator()(int mode, int y, int x) const {
    using std::sqrt;
    const Complex step = z(mode, y, x);
    const Complex past = load(seen(mode, y, x));
    const Complex now{keep * past.re + (1 - keep), keep_square * past.im + (1 - keep_square)};
    const Complex m = keep * load(mean(mode, y, x)) + (1 - keep) * step;
    const Real s = keep_square * square(mode, y, x) + (1 - keep_square) * norm(step);
    const Real spread = sqrt(s / now.im) + damping * amplitude.value;
    const Real factor = rate * amplitude.value / (now.re * (spread > 0 ? spread : Real(1)));
    store(seen(mode, y, x), now);
    store(mean(mode, y, x), m);
    square(mode, y, x) = s;
    store(field(mode, y, x), load(field(mode, y, x)) + factor * m);
  }
};

}  // namespace exitwave::kernels
