#pragma once

#include "core/complex.hpp"
#include "core/view.hpp"
#include "kernels/exit_wave.hpp"

namespace exitwave::kernels {

// Objects of several slices (Cowley & Moodie, Acta Cryst. 10, 609 (1957); Maiden, Humphry &
// Rodenburg, J. Opt. Soc. Am. A 29, 1606 (2012)): phi_s is the wave that meets slice s, and
// chi_s the residual behind it,
//   phi_0 = P,  phi_{s+1} = A_s[O_s phi_s],  chi_s = A_s^H[conj(O_{s+1}) chi_{s+1}].

// conj(phi_jmk) chi_jmk, to the slice.
struct SliceTerm {
  BatchView<const Complex> residual;  // chi (frames, wave modes, ny, nx)
  BatchView<const Complex> incoming;  // phi, as residual
  int object_modes;

  EXITWAVE_HD Complex operator()(Pixel p) const { return conj(incoming(p)) * residual(p); }
  EXITWAVE_HD int target(int mode) const { return mode % object_modes; }
};

// |phi_jmk|^2, summed over all modes, to the slice's weight.
struct SliceWeight {
  BatchView<const Complex> incoming;

  EXITWAVE_HD Real operator()(Pixel p) const { return norm(incoming(p)); }
  EXITWAVE_HD int target(int) const { return 0; }
};

// chi <- conj(O) chi
struct BackThroughSlice {
  BatchView<Complex> residual;  // changed
  ObjectWindow object;

  EXITWAVE_HD void operator()(Pixel p) const {
    store(residual(p), conj(object(p)) * load(residual(p)));
  }
};

// First-order change behind a slice O + dO of a wave phi + d that meets it: d <- O d + dO phi
struct ChangeThroughSlice {
  BatchView<Complex> change;          // d (frames, wave modes, ny, nx), changed
  BatchView<const Complex> incoming;  // phi, as change
  ObjectWindow object;
  ObjectWindow direction;

  EXITWAVE_HD void operator()(Pixel p) const {
    store(change(p), object(p) * load(change(p)) + direction(p) * incoming(p));
  }
};

// Second-order expansion behind a slice O + t dO of a wave w0 + t w1 + t^2 w2 that meets it, in
// place:  w2 <- O w2 + dO w1,  w1 <- O w1 + dO w0,  w0 <- O w0
struct ExpandThroughSlice {
  BatchView<Complex> wave;  // (frames, wave modes, ny, nx), changed, as the two others
  BatchView<Complex> first;
  BatchView<Complex> second;
  ObjectWindow object;
  ObjectWindow direction;

  EXITWAVE_HD void operator()(Pixel p) const {
    const Complex o = object(p);
    const Complex d = direction(p);
    const Complex w0 = load(wave(p));
    const Complex w1 = load(first(p));
    store(second(p), o * load(second(p)) + d * w1);
    store(first(p), o * w1 + d * w0);
    store(wave(p), o * w0);
  }
};

// change <- one Jacobi step of a slice to the minimum of |O' - O|^2 + strength |D O'|^2, D the
// differences of neighbouring slices. Before the first and behind the last stand copies of them.
struct SmoothSlice {
  CanvasView<Complex> change;  // (modes, ...), written, as the others
  CanvasView<const Complex> before;
  CanvasView<const Complex> here;
  CanvasView<const Complex> behind;
  Real strength;

  EXITWAVE_HD void operator()(int mode, int y, int x) const {
    const Complex o = here(mode, y, x);
    const Complex differing = (before(mode, y, x) - o) + (behind(mode, y, x) - o);
    change(mode, y, x) = (strength / (1 + 2 * strength)) * differing;
  }
};

}  // namespace exitwave::kernels
