#pragma once

#include "core/complex.hpp"
#include "core/view.hpp"
#include "kernels/exit_wave.hpp"
#include "kernels/propagate.hpp"

namespace exitwave::kernels {

// Terms of the sums over frames from which object and probe are updated. `target` says which mode
// of the sum a mode of the wave belongs to.

// conj(P_jm) chi_jmk, to the object
struct ObjectTerm {
  BatchView<const Complex> residual;  // chi (frames, wave modes, ny, nx)
  ProbeMode probe;

  EXITWAVE_HD Complex operator()(Pixel p) const { return conj(probe(p)) * residual(p); }
  EXITWAVE_HD int target(int mode) const { return mode % probe.object_modes; }
};

// Both at once: conj(P_jm) chi_jmk to the object, conj(O_kj) chi_jmk to the probe.
struct OverlapTerms {
  BatchView<const Complex> residual;
  ProbeMode probe;
  ObjectWindow object;

  EXITWAVE_HD Complex to_object(Pixel p) const { return conj(probe(p)) * residual(p); }
  EXITWAVE_HD Complex to_probe(Pixel p) const { return conj(object(p)) * residual(p); }
};

// sum_k conj(O_kj) chi_jmk of one frame, before it is moved back by the fraction of the position.
template <bool Add>
struct FrameProbeTerm {
  BatchView<Complex> term;  // (frames, probe modes, ny, nx), written or added to
  BatchView<const Complex> residual;
  ObjectWindow object;
  int object_mode;

  EXITWAVE_HD void operator()(Pixel p) const {
    const Pixel q{p.frame, p.mode * object.object_modes + object_mode, p.y, p.x};
    const Complex value = conj(object(q)) * residual(q);
    if constexpr (Add) {
      term(p) += value;
    } else {
      term(p) = value;
    }
  }
};

// Spectrum of a frame's probe term, moved back by the fraction of the position.
struct UnshiftedSpectrum {
  BatchView<const Complex> spectrum;  // (frames, probe modes, ny, nx)
  FractionPhase phase;

  EXITWAVE_HD Complex operator()(Pixel p) const { return conj(phase(p)) * spectrum(p); }
  EXITWAVE_HD int target(int mode) const { return mode; }
};

// |P_jm|^2, summed over probe modes, to the object's weight
struct ProbeWeight {
  BatchView<const Complex> probe;  // (frames or 1, probe modes, ny, nx)

  EXITWAVE_HD Real operator()(Pixel p) const { return norm(probe(p)); }
  EXITWAVE_HD int target(int) const { return 0; }
};

// sum_m |P_m|^2, the same for all frames, to the object's weight
struct ProbeIntensity {
  BatchView<const Real> intensity;  // (1, 1, ny, nx)

  EXITWAVE_HD Real operator()(Pixel p) const { return intensity({0, 0, p.y, p.x}); }
  EXITWAVE_HD int target(int) const { return 0; }
};

// |O_kj|^2, summed over object modes, to the probe's weight
struct ObjectWeight {
  ObjectWindow object;

  EXITWAVE_HD Real operator()(Pixel p) const { return norm(object(p)); }
  EXITWAVE_HD int target(int) const { return 0; }
};

// An image under a frame's window, to a sum over frames.
template <class T>
struct Window {
  CanvasView<const T> image;  // (1, ...)
  const Corner* corner;
  const int* frame;

  EXITWAVE_HD T operator()(Pixel p) const {
    const Corner c = corner[frame[p.frame]];
    return image(0, c.y + p.y, c.x + p.x);
  }
  EXITWAVE_HD int target(int mode) const { return mode; }
};

}  // namespace exitwave::kernels
