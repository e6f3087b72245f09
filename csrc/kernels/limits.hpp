#pragma once

#include <cmath>

#include "core/complex.hpp"
#include "core/sums.hpp"
#include "core/view.hpp"
#include "kernels/scalar.hpp"

namespace exitwave::kernels {

// What pixels of object or probe are held to, one by one or by a number that all know.

// Negative real parts become zero.
struct PositiveReal {
  CanvasView<Complex> field;  // changed

  EXITWAVE_HD void operator()(int mode, int y, int x) const {
    const Real re = field(mode, y, x).re;
    field(mode, y, x).re = re < 0 ? Real(0) : re;
  }
};

// Phases of the other sign become zero, amplitudes stay.
struct PhaseSign {
  CanvasView<Complex> field;  // changed
  Real sign;                  // 1: none below zero; -1: none above

  EXITWAVE_HD void operator()(int mode, int y, int x) const {
    using std::sqrt;
    const Complex value = load(field(mode, y, x));
    const bool keep = sign * value.im >= 0;
    store(field(mode, y, x), keep ? value : Complex{sqrt(norm(value)), 0});
  }
};

// log O
EXITWAVE_HD Complex logarithm(Complex value) {
  using std::atan2;
  using std::log;
  constexpr Real kLeastPower = Real(1e-12);
  return {Real(0.5) * log(norm(value) + kLeastPower), atan2(value.im, value.re)};
}

// Totals: log amplitude times phase, and squared phase, weighted by the object's power, because
// noise of both is as large as the object is dark.
struct MaterialSums {
  static constexpr int kTotals = 2;
  CanvasView<const Complex> field;

  EXITWAVE_HD Sums<2> operator()(int mode, int y, int x) const {
    const Complex value = field(mode, y, x);
    const Complex l = logarithm(value);
    const Real weight = norm(value);
    return {{weight * l.re * l.im, weight * l.im * l.im}};
  }
};

// Log amplitude over phase of one material: least squares from MaterialSums, else what is given.
struct MaterialRatio {
  Across sums;  // of no part: given
  double given;
  Real value = 0;

  EXITWAVE_HD void prepare() { value = Real(best()); }
  EXITWAVE_HD double best() const {
    const double squares = sums.sum(1);
    return squares > 0 ? sums.sum(0) / squares : given;
  }
};

// log O = (kappa + i) t with the t that comes closest: an object of one material, whose absorption
// and phase have one thickness t in common.
struct OneMaterial {
  CanvasView<Complex> field;  // changed
  MaterialRatio kappa;

  EXITWAVE_HD void prepare() { kappa.prepare(); }
  EXITWAVE_HD void operator()(int mode, int y, int x) const {
    using std::cos;
    using std::exp;
    using std::sin;
    const Complex l = logarithm(load(field(mode, y, x)));
    const Real t = (kappa.value * l.re + l.im) / (1 + kappa.value * kappa.value);
    store(field(mode, y, x), exp(kappa.value * t) * Complex{cos(t), sin(t)});
  }
};

// Pixels of one mode that are at least so bright. Totals: real and imaginary part, and number.
struct FlatSum {
  static constexpr int kTotals = 3;
  CanvasView<const Complex> field;
  int mode;
  Real amplitude;

  EXITWAVE_HD bool bright(int y, int x) const {
    return norm(field(mode, y, x)) >= amplitude * amplitude;
  }
  EXITWAVE_HD Sums<3> operator()(int, int y, int x) const {
    const Complex value = field(mode, y, x);
    const Real counts = bright(y, x) ? Real(1) : Real(0);
    return {{counts * value.re, counts * value.im, counts}};
  }
};

// These pixels <- their mean.
struct Flatten {
  CanvasView<Complex> field;
  FlatSum flat;
  Across sums;
  Complex mean = {0, 0};

  EXITWAVE_HD void prepare() {
    const double count = sums.sum(2) > 0 ? sums.sum(2) : 1;
    mean = {Real(sums.sum(0) / count), Real(sums.sum(1) / count)};
  }
  EXITWAVE_HD void operator()(int, int y, int x) const {
    const Complex value = load(field(flat.mode, y, x));
    store(field(flat.mode, y, x), flat.bright(y, x) ? mean : value);
  }
};

// sum <- change of an image (ny, nx): one Jacobi step to the minimum of |P' - P|^2 + strength
// |D P'|^2. At its edges a pixel is its own neighbour.
struct SmoothChange {
  CanvasView<Complex> sum;
  CanvasView<const Complex> image;
  int ny;
  int nx;
  Real strength;

  EXITWAVE_HD void operator()(int mode, int y, int x) const {
    const Complex up = image(mode, y > 0 ? y - 1 : y, x);
    const Complex down = image(mode, y + 1 < ny ? y + 1 : y, x);
    const Complex left = image(mode, y, x > 0 ? x - 1 : x);
    const Complex right = image(mode, y, x + 1 < nx ? x + 1 : x);
    const Complex differing = (up + down) + (left + right) - Real(4) * image(mode, y, x);
    sum(mode, y, x) = (strength / (1 + 4 * strength)) * differing;
  }
};

// field <- field + sum,  sum <- 0
struct TakeChange {
  CanvasView<Complex> field;
  CanvasView<Complex> sum;

  EXITWAVE_HD void operator()(int mode, int y, int x) const {
    field(mode, y, x) += load(sum(mode, y, x));
    sum(mode, y, x) = Complex{0, 0};
  }
};

}  // namespace exitwave::kernels
