#pragma once

#include <cmath>

#include "core/complex.hpp"
#include "core/sums.hpp"
#include "core/view.hpp"
#include "kernels/scalar.hpp"

namespace exitwave::kernels {

// Each frame has a factor on its waves, whose square is its intensity.

// wave <- factor wave
struct ScaleFrames {
  BatchView<Complex> wave;
  const double* factor;
  const int* at;  // batch entry -> place of its factor; null: its own number

  EXITWAVE_HD void operator()(Pixel p) const {
    const int place = at == nullptr ? p.frame : at[p.frame];
    wave(p) = Real(factor[place]) * wave(p);
  }
};

// Numbers of each frame <- numbers / factor
struct DivideByFactor {
  double* numbers;  // (frames, stride), changed
  int stride;
  const double* factor;  // (part's frames)
  const int* frame;      // batch entry -> frame of the part

  EXITWAVE_HD void operator()(Pixel p) const {
    numbers[p.frame * stride + p.x] /= factor[frame[p.frame]];
  }
};

// Totals over valid pixels, with the intensity I of the waves and what the counts say of it, n:
// sum sqrt(max(n, 0) I), sum I, sum n.
template <class Sensor>
struct FactorTerms {
  static constexpr int kSums = 1;
  static constexpr int kRoots = 0;
  static constexpr int kTotals = 3;

  BatchView<const Real> measured;  // (frames, 1, ny, nx): counts
  BatchView<const Complex> model;  // (frames, modes, ny, nx)
  Real scale;                      // |model|^2 to counts
  Sensor sensor;

  EXITWAVE_HD Sums<1> term(Pixel p) const { return {{norm(model(p))}}; }

  EXITWAVE_HD Sums<3> finish(Pixel p, Sums<1> sum, Sums<0>) const {
    using std::sqrt;
    const Real counts = measured(p);
    const Real known = counts < 0 ? Real(0) : counts;
    const Real waves = scale * sum.v[0];
    const Real valid =
        counts < 0 || sensor.silent(counts, sensor.measured(p, waves)) ? Real(0) : Real(1);
    const Real light = valid * waves;
    const Real root = sqrt(sensor.of_waves(p, known)) * sqrt(light);
    return {{valid * root, light, valid * sensor.without_background(p, known)}};
  }
};

// factor <- ratio factor, with the ratio that brings amplitudes, or counts where the noise is
// Poisson's, closest to what was measured; 1 for frames without light. It must be what the noise
// model of the residuals says as well: counts beside residuals of amplitudes, whose model has fewer
// counts than were measured, made object and factors run away from each other.
struct BringFactor {
  double* factor;        // (part's frames), changed
  double* ratio;         // (frames), written
  const double* totals;  // (frames, 3), of FactorTerms
  const int* frame;      // batch entry -> frame of the part
  bool poisson;

  EXITWAVE_HD void operator()(Pixel p) const {
    using std::sqrt;
    const double* t = totals + 3 * p.frame;
    double best = 1;
    if (t[0] > 0 && (!poisson || t[2] > 0)) best = poisson ? sqrt(t[2] / t[1]) : t[0] / t[1];
    ratio[p.frame] = best;
    factor[frame[p.frame]] *= best;
  }
};

// factor <- factor / mean
struct LevelFactor {
  double* factor;  // (part's frames), changed
  Across sum;
  double frames;  // of all parts

  EXITWAVE_HD void operator()(Pixel p) const { factor[p.frame] *= frames / sum.sum(); }
};

}  // namespace exitwave::kernels
