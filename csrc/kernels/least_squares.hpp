#pragma once

#include <cmath>

#include "core/complex.hpp"
#include "core/sums.hpp"
#include "core/view.hpp"
#include "kernels/exit_wave.hpp"
#include "kernels/noise.hpp"
#include "kernels/scalar.hpp"
#include "kernels/update.hpp"

namespace exitwave::kernels {

// Least-squares maximum likelihood (Odstrcil, Menzel & Guizar-Sicairos, Opt. Express 26, 3108
// (2018)): steps along directions that a group of frames has found together, from the residuals of
// each frame.

// Poisson's loss with half a count added to model and data. Without it a single pixel that is dark
// in the model, but not in the data, decides the step of its whole frame.
struct ShiftedPoisson {
  static constexpr Real kOffset = Real(0.5);

  EXITWAVE_HD static Real slope(Real model, Real counts) {
    return 1 - (counts + kOffset) / (model + kOffset);
  }
  EXITWAVE_HD static Real curvature(Real model, Real counts) {
    const Real safe = model + kOffset;
    return (counts + kOffset) / (safe * safe);
  }
};

// Loss of a frame along Psi (1 - alpha slope). factor = -slope; totals: squared amplitude deviation
// over valid pixels, first and second derivative of the loss at alpha = start.
template <class Noise, class Sensor>
struct LossAlongSlope {
  static constexpr int kSums = 1;
  static constexpr int kRoots = 0;
  static constexpr int kTotals = 3;

  BatchView<Real> measured;        // (frames, 1, ny, nx): counts; factor on return
  BatchView<const Complex> model;  // (frames, modes, ny, nx)
  Real scale;                      // |model|^2 to counts
  Sensor sensor;
  Real start;

  EXITWAVE_HD Sums<1> term(Pixel p) const { return {{norm(model(p))}}; }

  EXITWAVE_HD Sums<3> finish(Pixel p, Sums<1> sum, Sums<0>) const {
    using std::sqrt;
    const Real counts = measured(p);
    const Real known = counts < 0 ? Real(0) : counts;
    const Real light = scale * sum.v[0];
    const Real intensity = sensor.measured(p, light);
    const Real valid = counts < 0 || sensor.silent(counts, intensity) ? Real(0) : Real(1);
    const Real deviation = valid * (sqrt(known) - sqrt(intensity));
    const Real slope = valid * Noise::slope(intensity, known);
    const Real left = 1 - start * slope;
    const Real here = sensor.measured(p, light * left * left);
    const Real along = -2 * light * left * slope;
    const Real slope_here = valid * Noise::slope(here, known);
    const Real bend = Noise::curvature(here, known) * along * along;
    measured(p) = -slope;
    return {
        {deviation * deviation, slope_here * along, bend + 2 * slope_here * light * slope * slope}};
  }
};

// Newton's step from `start` to the minimum of the loss along the slope, as the keep = 1 - alpha of
// ScaleWave; alpha stays within [0, 1].
struct LineMinimum {
  Real* keep;            // (frames), written
  double* deviation;     // (frames), written: squared amplitude deviation
  const double* totals;  // (frames, 3), of LossAlongSlope
  double start;

  EXITWAVE_HD void operator()(Pixel p) const {
    const double* t = totals + 3 * p.frame;
    const double alpha = t[2] > 0 ? start - t[1] / t[2] : start;
    keep[p.frame] = Real(1 - (alpha < 0 ? 0.0 : (alpha > 1 ? 1.0 : alpha)));
    deviation[p.frame] = t[0];
  }
};

// direction = sum / sqrt(weight^2 + floor^2) for one mode of the object, 0 where that is 0 / 0;
// leaves the sum at zero for the next group, the last mode the weight.
template <bool Last>
struct ObjectDirection {
  CanvasView<Complex> direction;  // (modes, ...), written
  CanvasView<Complex> sum;
  CanvasView<Real> weight;
  LargestTimes floor;
  int mode;

  EXITWAVE_HD void prepare() { floor.prepare(); }
  EXITWAVE_HD void operator()(int, int y, int x) const {
    using std::sqrt;
    const Real w = weight(0, y, x);
    const Real denominator = sqrt(w * w + floor.value * floor.value);
    const Real inverse = denominator > kNoWeight ? 1 / denominator : Real(0);
    store(direction(mode, y, x), inverse * load(sum(mode, y, x)));
    store(sum(mode, y, x), Complex{0, 0});
    if constexpr (Last) weight(0, y, x) = 0;
  }
};

// Totals of a frame for ||chi - s_O P dO - s_P O dP||^2 over all modes: |P dO|^2, <P dO, O dP>,
// |O dP|^2, <P dO, chi>, <O dP, chi>.
struct StepTerms {
  static constexpr int kSums = 5;
  static constexpr int kRoots = 0;
  static constexpr int kTotals = 5;

  BatchView<const Complex> residual;  // chi (frames, wave modes, ny, nx)
  ProbeMode probe;
  ObjectWindow object;
  ProbeMode probe_direction;
  ObjectWindow object_direction;

  EXITWAVE_HD Sums<5> term(Pixel p) const {
    const Complex by_object = probe(p) * object_direction(p);
    const Complex by_probe = probe_direction(p) * object(p);
    const Complex chi = residual(p);
    return {{norm(by_object), dot(by_object, by_probe), norm(by_probe), dot(by_object, chi),
             dot(by_probe, chi)}};
  }
  EXITWAVE_HD Sums<5> finish(Pixel, Sums<5> sum, Sums<0>) const { return sum; }
};

// Totals of a frame for the change d that all slices make behind the last one, over all modes:
// |d|^2, <d, chi>.
struct ChangeTerms {
  static constexpr int kSums = 2;
  static constexpr int kRoots = 0;
  static constexpr int kTotals = 2;

  BatchView<const Complex> residual;  // chi (frames, wave modes, ny, nx)
  BatchView<const Complex> change;    // d, as residual

  EXITWAVE_HD Sums<2> term(Pixel p) const {
    const Complex d = change(p);
    return {{norm(d), dot(d, residual(p))}};
  }
  EXITWAVE_HD Sums<2> finish(Pixel, Sums<2> sum, Sums<0>) const { return sum; }
};

// What all slices change, in place of what the first one does. Its overlap with the probe's change
// stays that of the first slice: with all of it steps were safer, but no faster for two transforms
// more per gap, and slower from a poor probe.
struct TakeChangeTerms {
  double* totals;         // (frames, 5), of StepTerms; changed
  const double* changes;  // (frames, 2), of ChangeTerms

  EXITWAVE_HD void operator()(Pixel p) const {
    totals[5 * p.frame] = changes[2 * p.frame];
    totals[5 * p.frame + 3] = changes[2 * p.frame + 1];
  }
};

// (s_O, s_P) of each frame from its StepTerms. Damped, because where few frames make a group the
// two directions are nearly one.
struct FrameSteps {
  static constexpr double kDamping = 0.1;

  double* steps;         // (frames, 2), written
  const double* totals;  // (frames, 5)

  EXITWAVE_HD void operator()(Pixel p) const {
    const double* t = totals + 5 * p.frame;
    const double object = (1 + kDamping) * t[0];
    const double probe = (1 + kDamping) * t[2];
    const double both = object * probe - t[1] * t[1];
    double* step = steps + 2 * p.frame;
    step[0] = both > 0 ? (t[3] * probe - t[4] * t[1]) / both : (object > 0 ? t[3] / object : 0.0);
    step[1] = both > 0 ? (t[4] * object - t[3] * t[1]) / both : (probe > 0 ? t[4] / probe : 0.0);
  }
};

// What a number of each frame adds to the mean over all frames without the `cut` largest and the
// `cut` smallest. One comparison with each other frame needs no order, and no frame waits for
// another.
struct TrimmedShare {
  static constexpr int kNumbers = 2;

  double* shares;        // (frames, kNumbers), written
  const double* values;  // as shares
  int frames;
  int cut;

  EXITWAVE_HD void operator()(Pixel p) const {
    const double value = values[p.frame * kNumbers + p.x];
    int below = 0;
    for (int other = 0; other < frames; ++other) {
      const double v = values[other * kNumbers + p.x];
      below += v < value || (v == value && other < p.frame) ? 1 : 0;
    }
    const bool counts = below >= cut && below < frames - cut;
    shares[p.frame * kNumbers + p.x] = counts ? value / (frames - 2 * cut) : 0.0;
  }
};

}  // namespace exitwave::kernels
