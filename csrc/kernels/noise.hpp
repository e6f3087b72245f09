#pragma once

#include <cmath>

#include "core/complex.hpp"
#include "core/sums.hpp"
#include "core/view.hpp"
#include "kernels/sensor.hpp"

namespace exitwave::kernels {

// Loss per pixel L(I; n) of a model intensity I against n counts, its slope dL/dI and curvature
// d2L/dI2 (Thibault & Guizar-Sicairos, New J. Phys. 14, 063004 (2012)). The loss is in double
// precision, because it is the difference of numbers that nearly agree, and 0 where they do.
// kSlope: what the slope is near I = n, in units of that of squared amplitudes.

// A model pixel darker than this counts as this bright; only slope and curvature see it.
inline constexpr Real kDarkCounts = Real(1e-6);

// I - n ln I, less what it is at I = n
struct Poisson {
  static constexpr double kSlope = 2;

  EXITWAVE_HD static double loss(double model, double counts) {
    using std::log;
    const double safe = counts > 0 ? counts : 1.0;
    return model - counts - counts * log(model / safe);
  }
  EXITWAVE_HD static Real slope(Real model, Real counts) {
    return 1 - counts / (model > kDarkCounts ? model : kDarkCounts);
  }
  EXITWAVE_HD static Real curvature(Real model, Real counts) {
    const Real safe = model > kDarkCounts ? model : kDarkCounts;
    return counts / (safe * safe);
  }
};

// (sqrt(I + offset) - sqrt(n + offset))^2
template <int EighthsOfACount>
struct SquareRoot {
  static constexpr double kSlope = 1;
  static constexpr Real kOffset = Real(EighthsOfACount) / 8;

  EXITWAVE_HD static double loss(double model, double counts) {
    using std::sqrt;
    const double deviation = sqrt(model + double(kOffset)) - sqrt(counts + double(kOffset));
    return deviation * deviation;
  }
  EXITWAVE_HD static Real slope(Real model, Real counts) {
    using std::sqrt;
    const Real safe = model > kDarkCounts ? model : kDarkCounts;
    return 1 - sqrt((counts + kOffset) / (safe + kOffset));
  }
  EXITWAVE_HD static Real curvature(Real model, Real counts) {
    using std::sqrt;
    const Real safe = (model > kDarkCounts ? model : kDarkCounts) + kOffset;
    return Real(0.5) * sqrt((counts + kOffset) / safe) / safe;
  }
};
using Amplitude = SquareRoot<0>;
using Anscombe = SquareRoot<3>;

// (I - n)^2 / (2 (n + 1))
struct Gaussian {
  static constexpr double kSlope = 2;

  EXITWAVE_HD static double loss(double model, double counts) {
    return (model - counts) * (model - counts) / (2 * (counts + 1));
  }
  EXITWAVE_HD static Real slope(Real model, Real counts) { return (model - counts) / (counts + 1); }
  EXITWAVE_HD static Real curvature(Real, Real counts) { return 1 / (counts + 1); }
};

// factor = -dL/dI, so that factor * Psi is the residual wave of the negative gradient.
// Total: squared amplitude deviation over valid pixels.
template <class Noise, class Sensor>
struct LossResidual {
  static constexpr int kSums = 1;
  static constexpr int kRoots = 0;
  static constexpr int kTotals = 1;

  BatchView<Real> measured;        // (frames, 1, ny, nx): counts; factor on return
  BatchView<const Complex> model;  // (frames, modes, ny, nx)
  Real scale;                      // |model|^2 to counts
  Sensor sensor;

  EXITWAVE_HD Sums<1> term(Pixel p) const { return {{norm(model(p))}}; }

  EXITWAVE_HD Sums<1> finish(Pixel p, Sums<1> sum, Sums<0>) const {
    using std::sqrt;
    const Real counts = measured(p);
    const Real known = counts < 0 ? Real(0) : counts;
    const Real intensity = sensor.measured(p, scale * sum.v[0]);
    const bool unheard = counts < 0 || sensor.silent(counts, intensity);
    const Real deviation = unheard ? Real(0) : sqrt(known) - sqrt(intensity);
    const Real slope = Noise::slope(intensity, known);
    measured(p) = unheard ? Real(0) : -slope;
    return {{deviation * deviation}};
  }
};

// The same with the loss before the deviation in the totals. Below kDarkCounts the loss goes on
// with the slope that LossResidual takes there.
template <class Noise, class Sensor>
struct LossAndResidual {
  static constexpr int kSums = 1;
  static constexpr int kRoots = 0;
  static constexpr int kTotals = 2;

  BatchView<Real> measured;        // (frames, 1, ny, nx): counts; factor on return
  BatchView<const Complex> model;  // (frames, modes, ny, nx)
  Real scale;                      // |model|^2 to counts
  Sensor sensor;

  EXITWAVE_HD Sums<1> term(Pixel p) const { return {{norm(model(p))}}; }

  EXITWAVE_HD Sums<2> finish(Pixel p, Sums<1> sum, Sums<0> none) const {
    const Real counts = measured(p);
    const Real known = counts < 0 ? Real(0) : counts;
    const Real intensity = sensor.measured(p, scale * sum.v[0]);
    const Real safe = intensity > kDarkCounts ? intensity : kDarkCounts;
    const double loss = Noise::loss(double(safe), double(known)) +
                        double(Noise::slope(safe, known)) * double(intensity - safe);
    const bool unheard = counts < 0 || sensor.silent(counts, intensity);
    const LossResidual<Noise, Sensor> residual{measured, model, scale, sensor};
    return {{unheard ? Real(0) : Real(loss), residual.finish(p, sum, none).v[0]}};
  }
};

// Second-order expansion of the loss along a direction. With Psi + t A1 + t^2 A2,
//   I1 = 2 Re(conj(Psi) A1),  I2 = |A1|^2 + 2 Re(conj(Psi) A2);
// totals: c1 = sum L' I1,  c2 = sum L' I2 + L'' I1^2 / 2, and the part of c2 that cannot be
// negative, max(L', 0) |A1|^2 + L'' I1^2 / 2.
template <class Noise, class Sensor>
struct LineSearch {
  static constexpr int kSums = 4;
  static constexpr int kRoots = 0;
  static constexpr int kTotals = 3;

  BatchView<const Real> measured;   // (frames, 1, ny, nx): counts
  BatchView<const Complex> model;   // Psi (frames, modes, ny, nx)
  BatchView<const Complex> first;   // A1
  BatchView<const Complex> second;  // A2
  Real scale;
  Sensor sensor;

  EXITWAVE_HD Sums<4> term(Pixel p) const {
    const Complex psi = model(p);
    const Complex a1 = first(p);
    return {{norm(psi), dot(psi, a1), norm(a1), dot(psi, second(p))}};
  }

  EXITWAVE_HD Sums<3> finish(Pixel p, Sums<4> sum, Sums<0>) const {
    const Real counts = measured(p);
    const Real known = counts < 0 ? Real(0) : counts;
    const Real intensity = sensor.measured(p, scale * sum.v[0]);
    const Real valid = counts < 0 || sensor.silent(counts, intensity) ? Real(0) : Real(1);
    const Real i1 = 2 * scale * sum.v[1];
    const Real a1 = scale * sum.v[2];
    const Real i2 = a1 + 2 * scale * sum.v[3];
    const Real slope = valid * Noise::slope(intensity, known);
    const Real bend = valid * (Real(0.5) * Noise::curvature(intensity, known) * i1 * i1);
    const Real upward = slope > 0 ? slope : Real(0);
    return {{slope * i1, slope * i2 + bend, upward * a1 + bend}};
  }
};

}  // namespace exitwave::kernels
