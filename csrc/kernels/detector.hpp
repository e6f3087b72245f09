#pragma once

#include <cmath>

#include "core/complex.hpp"
#include "core/sums.hpp"
#include "core/view.hpp"

namespace exitwave::kernels {

// Counts widened to Real; invalid pixels become -1 whatever stands there, NaN included.
template <class Count>
struct Widen {
  BatchView<Real> measured;             // (frames, 1, ny, nx), written
  BatchView<const Count> counts;        // (stored frames, 1, ny, nx), any order of quadrants
  BatchView<const unsigned char> valid;  // (1, 1, ny, nx), same order as counts
  const int* stored;                    // frame of the part -> stored frame
  const int* frame;                     // batch entry -> frame of the part

  EXITWAVE_HD void operator()(Pixel p) const {
    const Real count = Real(counts({stored[frame[p.frame]], 0, p.y, p.x}));
    measured(p) = valid({0, 0, p.y, p.x}) ? count : Real(-1);
  }
};

// Keeps the division finite where the model is dark; far below one count.
inline constexpr Real kDark = Real(1e-20);

// Modulus constraint for partially coherent data (Thibault & Menzel, Nature 494, 68 (2013)):
// factor = sqrt(I) / sqrt(sum_m |Psi_m|^2) - 1, so that factor * Psi leads from the model to the
// measured modulus. Total: squared amplitude deviation over valid pixels.
struct ModulusResidual {
  static constexpr int kSums = 1;
  static constexpr int kTotals = 1;

  BatchView<Real> measured;         // (frames, 1, ny, nx): counts; factor on return
  BatchView<const Complex> model;   // (frames, modes, ny, nx)
  Real scale;                       // |model|^2 to counts

  EXITWAVE_HD Sums<1> term(Pixel p) const { return {{norm(model(p))}}; }

  EXITWAVE_HD Sums<1> finish(Pixel p, Sums<1> sum) const {
    using std::sqrt;
    const Real counts = measured(p);
    const Real intensity = scale * sum.v[0];
    const Real amplitude = sqrt(counts < 0 ? Real(0) : counts);
    const Real deviation = counts < 0 ? Real(0) : amplitude - sqrt(intensity);
    const Real ratio = amplitude / sqrt(intensity + kDark);
    measured(p) = counts < 0 ? Real(0) : ratio - 1;
    return {{deviation * deviation}};
  }
};

// Modulus constraint on the reflected wave 2 model - stored; ratio = sqrt(I) / |reflected|, 1 where
// the pixel is invalid. Totals: squared amplitude deviation of the model, and of the reflected wave.
struct ReflectedModulus {
  static constexpr int kSums = 2;
  static constexpr int kTotals = 2;

  BatchView<Real> measured;         // (frames, 1, ny, nx): counts; ratio on return
  BatchView<const Complex> model;   // (frames, modes, ny, nx)
  BatchView<const Complex> stored;  // (part's frames, modes, ny, nx): exit waves at the detector
  const int* frame;                 // batch entry -> frame of the part
  Real scale;                       // |model|^2 to counts

  EXITWAVE_HD Sums<2> term(Pixel p) const {
    const Complex wave = model(p);
    const Complex reflected = Real(2) * wave - stored({frame[p.frame], p.mode, p.y, p.x});
    return {{norm(wave), norm(reflected)}};
  }

  EXITWAVE_HD Sums<2> finish(Pixel p, Sums<2> sum) const {
    using std::sqrt;
    const Real counts = measured(p);
    const Real amplitude = sqrt(counts < 0 ? Real(0) : counts);
    const Real reflected = sqrt(scale * sum.v[1] + kDark);
    const Real model_deviation = counts < 0 ? Real(0) : amplitude - sqrt(scale * sum.v[0]);
    const Real deviation = counts < 0 ? Real(0) : amplitude - reflected;
    measured(p) = counts < 0 ? Real(1) : amplitude / reflected;
    return {{model_deviation * model_deviation, deviation * deviation}};
  }
};

// Power bound (Giewekemeyer et al., PNAS 107, 529 (2010)): a frame whose mean squared amplitude
// deviation e is at most `bound` is left alone (keep = 1), any other goes to the bound
// (keep = sqrt(bound / e)). A frame of factors g is applied as g + (1 - g) keep.
struct PowerBound {
  Real* keep;              // (frames), written
  const double* deviation;  // (frames, stride): sum over valid pixels
  int stride;
  double bound;  // per pixel, times the number of valid pixels

  EXITWAVE_HD void operator()(Pixel p) const {
    using std::sqrt;
    const double e = deviation[p.frame * stride];
    keep[p.frame] = Real(e <= bound ? 1.0 : sqrt(bound / e));
  }
};

// X = scale (1 - keep) factor Psi
struct ScaleWave {
  BatchView<Complex> wave;         // (frames, modes, ny, nx), changed
  BatchView<const Real> factor;    // (frames, 1, ny, nx)
  const Real* keep;                // (frames)
  Real scale;

  EXITWAVE_HD void operator()(Pixel p) const {
    const Real s = scale * (1 - keep[p.frame]) * factor({p.frame, 0, p.y, p.x});
    wave(p) = s * wave(p);
  }
};

// Difference map and RAAR at the detector (Thibault et al., Ultramicroscopy 109, 338 (2009); Luke,
// Inverse Problems 21, 37 (2005)), with w = 2 model - stored and g the factor of the bound:
//   stored <- (1 - a - b) stored + a model + b g w,   wave <- scale (stored - model)
struct ReflectWave {
  BatchView<Complex> wave;       // (frames, modes, ny, nx): model; residual on return
  BatchView<Complex> stored;     // (part's frames, modes, ny, nx), changed
  BatchView<const Real> ratio;   // (frames, 1, ny, nx)
  const Real* keep;              // (frames)
  const int* frame;              // batch entry -> frame of the part
  Real a;
  Real b;
  Real scale;

  EXITWAVE_HD void operator()(Pixel p) const {
    const Real r = ratio({p.frame, 0, p.y, p.x});
    const Real g = b * (r + (1 - r) * keep[p.frame]);
    const Pixel q{frame[p.frame], p.mode, p.y, p.x};
    const Complex model = wave(p);
    const Complex old = stored(q);
    const Complex next = (1 - a - b) * old + a * model + g * (Real(2) * model - old);
    stored(q) = next;
    wave(p) = scale * (next - model);
  }
};

// stored <- model: the exit waves that DM and RAAR start from.
struct StoreWave {
  BatchView<Complex> stored;      // (part's frames, modes, ny, nx), written
  BatchView<const Complex> wave;  // (frames, modes, ny, nx)
  const int* frame;

  EXITWAVE_HD void operator()(Pixel p) const {
    stored({frame[p.frame], p.mode, p.y, p.x}) = wave(p);
  }
};

}  // namespace exitwave::kernels
