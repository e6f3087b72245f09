#pragma once

#include <cmath>
#include <vector>

#include "core/complex.hpp"
#include "core/view.hpp"

namespace exitwave::kernels {

// exp(-2 pi i q move) for the n frequencies q of a transform, zero first: what moves an image by
// `move` pixels when multiplied onto its spectrum.
inline std::vector<Complex> phase_ramp(int n, Real move) {
  std::vector<Complex> ramp;
  ramp.reserve(std::size_t(n));
  for (int i = 0; i < n; ++i) {
    const int q = i < (n + 1) / 2 ? i : i - n;
    const double angle = -2 * 3.14159265358979323846 * double(move) * q / n;
    ramp.push_back({Real(std::cos(angle)), Real(std::sin(angle))});
  }
  return ramp;
}

// exp(-2 pi i q f_j) for the fraction f_j of a frame's position: shifts an image by +f_j when
// multiplied onto its spectrum. Separable, so it is kept as one row and one column per frame.
struct FractionPhase {
  const Complex* along_y;  // (part's frames, ny)
  const Complex* along_x;  // (part's frames, nx)
  const int* frame;        // batch entry -> frame of the part
  int ny;
  int nx;

  EXITWAVE_HD Complex operator()(Pixel p) const {
    const int j = frame[p.frame];
    return along_y[j * ny + p.y] * along_x[j * nx + p.x];
  }
};

// Spectrum of the probe moved by the fraction of the position: S(f_j) P.
struct ShiftSpectrum {
  BatchView<Complex> shifted;         // (frames, modes, ny, nx), written
  BatchView<const Complex> spectrum;  // (1, modes, ny, nx)
  FractionPhase phase;
  Real scale;

  EXITWAVE_HD void operator()(Pixel p) const {
    shifted(p) = scale * (spectrum({0, p.mode, p.y, p.x}) * phase(p));
  }
};

// Near field: spectrum times propagation kernel, forward or adjoint.
template <bool Forward>
struct Propagate {
  BatchView<Complex> spectrum;      // (frames, modes, ny, nx), changed
  BatchView<const Complex> kernel;  // (1, 1, ny, nx), FFT order, scaled by 1 / (ny nx)

  EXITWAVE_HD void operator()(Pixel p) const {
    const Complex h = kernel({0, 0, p.y, p.x});
    spectrum(p) = (Forward ? h : conj(h)) * spectrum(p);
  }
};

// Near field with a fraction of a position: the beam stands still on the detector, so the wave is
// moved back by f_j on its way there.
template <bool Forward>
struct PropagateFraction {
  BatchView<Complex> spectrum;
  BatchView<const Complex> kernel;
  FractionPhase phase;

  EXITWAVE_HD void operator()(Pixel p) const {
    const Complex h = kernel({0, 0, p.y, p.x}) * conj(phase(p));
    spectrum(p) = (Forward ? h : conj(h)) * spectrum(p);
  }
};

}  // namespace exitwave::kernels
