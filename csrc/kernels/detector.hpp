#pragma once

#include <cmath>
#include <type_traits>

#include "core/complex.hpp"
#include "core/half.hpp"
#include "core/sums.hpp"
#include "core/view.hpp"
#include "kernels/sensor.hpp"

namespace exitwave::kernels {

// Counts widened to Real; invalid pixels become -1 whatever stands there, NaN included.
template <class Count>
struct Widen {
  BatchView<Real> measured;              // (frames, 1, ny, nx), written
  BatchView<const Count> counts;         // (stored frames, 1, ny, nx), zero frequency in the middle
  BatchView<const unsigned char> valid;  // (1, 1, ny, nx), as counts
  const int* counts_at;                  // batch entry -> stored frame

  EXITWAVE_HD void operator()(Pixel p, int from_y, int from_x) const {
    const Real count = Real(counts({counts_at[p.frame], 0, from_y, from_x}));
    measured(p) = valid({0, 0, from_y, from_x}) ? count : Real(-1);
  }
  // What a row reads.
  EXITWAVE_HD const Count* source(int batch_entry, int from_y) const {
    return counts.at({counts_at[batch_entry], 0, from_y, 0});
  }
};

// Keeps the division finite where the model is dark; far below one count.
inline constexpr Real kDark = Real(1e-20);

// sqrt(x) from y = 1 / sqrt(x): one Newton step takes away what the rounding of y left.
EXITWAVE_HD Real root(Real x, Real y) {
  const Real r = x * y;
  return r + Real(0.5) * y * (x - r * r);
}

// Modulus constraint for partially coherent data (Thibault & Menzel, Nature 494, 68 (2013)):
// factor = sqrt(I) / sqrt(sum_m |Psi_m|^2) - 1, so that factor * Psi leads from the model to the
// measured modulus, I being what the counts say of the waves. Total: squared amplitude deviation of
// counts and model over valid pixels.
template <class Sensor>
struct ModulusResidual {
  static constexpr int kSums = 1;
  static constexpr int kRoots = Sensor::kPlain ? 2 : 4;
  static constexpr int kTotals = 1;

  BatchView<Real> measured;        // (frames, 1, ny, nx): counts; factor on return
  BatchView<const Complex> model;  // (frames, modes, ny, nx)
  Real scale;                      // |model|^2 to counts
  Sensor sensor;

  EXITWAVE_HD Sums<1> term(Pixel p) const { return {{norm(model(p))}}; }

  EXITWAVE_HD Sums<kRoots> root_of(Pixel p, Sums<1> sum) const {
    const Real counts = measured(p);
    const Real known = counts < 0 ? Real(0) : counts;
    const Real waves = scale * sum.v[0];
    if constexpr (Sensor::kPlain)
      return {{waves + kDark, known + kDark}};
    else
      return {{waves + kDark, sensor.of_waves(p, known) + kDark, sensor.measured(p, waves) + kDark,
               known + kDark}};
  }

  EXITWAVE_HD Sums<1> finish(Pixel p, Sums<1> sum, Sums<kRoots> inverse) const {
    const Real counts = measured(p);
    const Real waves = scale * sum.v[0];
    const Real model_counts = sensor.measured(p, waves);
    const Real valid = counts < 0 || sensor.silent(counts, model_counts) ? Real(0) : Real(1);
    const Real amplitude = root(sensor.of_waves(p, valid * counts) + kDark, inverse.v[1]);
    const Real residual = valid * (amplitude - root(waves + kDark, inverse.v[0]));
    measured(p) = residual * inverse.v[0];
    Real deviation = residual;
    if constexpr (!Sensor::kPlain)
      deviation = valid * (root(valid * counts + kDark, inverse.v[3]) -
                           root(model_counts + kDark, inverse.v[2]));
    return {{deviation * deviation}};
  }
};

// Total: counts of the model at valid pixels.
struct ModelPower {
  static constexpr int kSums = 1;
  static constexpr int kRoots = 0;
  static constexpr int kTotals = 1;

  BatchView<const Real> measured;  // (frames, 1, ny, nx): counts
  BatchView<const Complex> model;  // (frames, modes, ny, nx)
  Real scale;                      // |model|^2 to counts

  EXITWAVE_HD Sums<1> term(Pixel p) const { return {{norm(model(p))}}; }
  EXITWAVE_HD Sums<1> finish(Pixel p, Sums<1> sum, Sums<0>) const {
    return {{measured(p) < 0 ? Real(0) : scale * sum.v[0]}};
  }
};

// Exit waves at the detector, kept from iteration to iteration as they are or in half precision.
template <class T>
struct KeptWaves {
  BatchView<T> waves;  // (stored frames, modes, ny, nx)
  const int* at;       // batch entry -> stored frame
  Real scale;          // stored value over true one; 1 in full precision

  EXITWAVE_HD Complex get(Pixel p) const {
    const Complex value = load(*waves.at({at[p.frame], p.mode, p.y, p.x}));
    if constexpr (std::is_same_v<T, Complex>) return value;
    return (1 / scale) * value;
  }
  EXITWAVE_HD void set(Pixel p, Complex value) const {
    if constexpr (std::is_same_v<T, Complex>)
      store(*waves.at({at[p.frame], p.mode, p.y, p.x}), value);
    else
      store(*waves.at({at[p.frame], p.mode, p.y, p.x}), scale * value);
  }
};

// Modulus constraint on the reflected wave 2 model - stored; ratio = sqrt(I) / |reflected|, 1 where
// the pixel is invalid. Totals: squared amplitude deviation of the model, and of the reflected
// wave.
template <class T, class Sensor>
struct ReflectedModulus {
  static constexpr int kSums = 2;
  static constexpr int kRoots = Sensor::kPlain ? 3 : 5;
  static constexpr int kTotals = 2;

  BatchView<Real> measured;        // (frames, 1, ny, nx): counts; ratio on return
  BatchView<const Complex> model;  // (frames, modes, ny, nx)
  KeptWaves<T> stored;
  Real scale;  // |model|^2 to counts
  Sensor sensor;

  EXITWAVE_HD Sums<2> term(Pixel p) const {
    const Complex wave = model(p);
    const Complex reflected = Real(2) * wave - stored.get(p);
    return {{norm(wave), norm(reflected)}};
  }

  EXITWAVE_HD Sums<kRoots> root_of(Pixel p, Sums<2> sum) const {
    const Real counts = measured(p);
    const Real known = counts < 0 ? Real(0) : counts;
    const Real model_counts = sensor.measured(p, scale * sum.v[0]);
    const Real reflected = scale * sum.v[1];
    if constexpr (Sensor::kPlain)
      return {{model_counts + kDark, reflected + kDark, known + kDark}};
    else
      return {{model_counts + kDark, reflected + kDark, known + kDark,
               sensor.of_waves(p, known) + kDark, sensor.measured(p, reflected) + kDark}};
  }

  EXITWAVE_HD Sums<2> finish(Pixel p, Sums<2> sum, Sums<kRoots> inverse) const {
    const Real counts = measured(p);
    const Real valid = counts < 0 ? Real(0) : Real(1);
    const Real model_counts = sensor.measured(p, scale * sum.v[0]);
    const Real waves = scale * sum.v[1];
    const Real amplitude = root(valid * counts + kDark, inverse.v[2]);
    const Real model = amplitude - root(model_counts + kDark, inverse.v[0]);
    if constexpr (Sensor::kPlain) {
      const Real reflected = valid * (amplitude - root(waves + kDark, inverse.v[1]));
      measured(p) = 1 + valid * (amplitude * inverse.v[1] - 1);
      return {{(valid * model) * (valid * model), reflected * reflected}};
    } else {
      const Real reflected_counts = sensor.measured(p, waves);
      const Real loud = sensor.silent(counts, reflected_counts) ? Real(0) : valid;
      const Real unheard = sensor.silent(counts, model_counts) ? Real(0) : valid;
      const Real target = root(sensor.of_waves(p, valid * counts) + kDark, inverse.v[3]);
      const Real reflected = loud * (amplitude - root(reflected_counts + kDark, inverse.v[4]));
      measured(p) = 1 + loud * (target * inverse.v[1] - 1);
      return {{(unheard * model) * (unheard * model), reflected * reflected}};
    }
  }
};

// Power bound (Giewekemeyer et al., PNAS 107, 529 (2010)): a frame whose mean squared amplitude
// deviation e is at most `bound` is left alone (keep = 1), any other goes to the bound
// (keep = sqrt(bound / e)). A frame of factors g is applied as g + (1 - g) keep.
struct PowerBound {
  Real* keep;               // (frames), written
  double* inside;           // (frames), written: 1 where the frame is left alone, else 0
  const double* deviation;  // (frames, stride): sum over valid pixels
  int stride;
  double bound;  // per pixel, times the number of valid pixels

  EXITWAVE_HD void operator()(Pixel p) const {
    using std::sqrt;
    const double e = deviation[p.frame * stride];
    keep[p.frame] = Real(e <= bound ? 1.0 : sqrt(bound / e));
    inside[p.frame] = e <= bound ? 1.0 : 0.0;
  }
};

// X = scale (1 - keep) factor Psi
struct ScaleWave {
  BatchView<Complex> wave;       // (frames, modes, ny, nx), changed
  BatchView<const Real> factor;  // (frames, 1, ny, nx)
  const Real* keep;              // (frames)
  Real scale;

  EXITWAVE_HD void operator()(Pixel p) const {
    const Real s = scale * (1 - keep[p.frame]) * factor({p.frame, 0, p.y, p.x});
    wave(p) = s * wave(p);
  }
};

// Difference map and RAAR at the detector (Thibault et al., Ultramicroscopy 109, 338 (2009); Luke,
// Inverse Problems 21, 37 (2005)), with w = 2 model - stored and g the factor of the bound:
//   stored <- (1 - a - b) stored + a model + b g w,   wave <- scale (stored - model)
template <class T>
struct ReflectWave {
  BatchView<Complex> wave;      // (frames, modes, ny, nx): model; residual on return
  KeptWaves<T> stored;          // changed
  BatchView<const Real> ratio;  // (frames, 1, ny, nx)
  const Real* keep;             // (frames)
  Real a;
  Real b;
  Real scale;

  EXITWAVE_HD void operator()(Pixel p) const {
    const Real r = ratio({p.frame, 0, p.y, p.x});
    const Real g = b * (r + (1 - r) * keep[p.frame]);
    const Complex model = load(wave(p));
    const Complex old = stored.get(p);
    const Complex next = (1 - a - b) * old + a * model + g * (Real(2) * model - old);
    stored.set(p, next);
    store(wave(p), scale * (next - model));
  }
};

// stored <- model: the exit waves that DM and RAAR start from.
template <class T>
struct StoreWave {
  KeptWaves<T> stored;            // written
  BatchView<const Complex> wave;  // (frames, modes, ny, nx)

  EXITWAVE_HD void operator()(Pixel p) const { stored.set(p, wave(p)); }
};

// Moves exit waves at the detector, as a move of probe and object moves them.
template <class T>
struct MoveWave {
  KeptWaves<T> stored;     // changed
  const Complex* along_y;  // (ny), a phase ramp
  const Complex* along_x;  // (nx)

  EXITWAVE_HD void operator()(Pixel p) const {
    stored.set(p, stored.get(p) * (along_y[p.y] * along_x[p.x]));
  }
};

}  // namespace exitwave::kernels
