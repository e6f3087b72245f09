#pragma once

#include "core/complex.hpp"
#include "core/view.hpp"

namespace exitwave::kernels {

// Modes of a wave are numbered mode = probe_mode * object_modes + object_mode.

// The object under a frame's window: O_k(r + r_j).
struct ObjectWindow {
  CanvasView<const Complex> object;
  const Corner* corner;  // (part's frames)
  const int* frame;      // batch entry -> frame of the part
  int object_modes;

  EXITWAVE_HD const Complex* at(Pixel p) const {
    const Corner c = corner[frame[p.frame]];
    return object.at(p.mode % object_modes, c.y + p.y, c.x + p.x);
  }
  EXITWAVE_HD Complex operator()(Pixel p) const { return load(*at(p)); }
};

// The probe of a wave mode.
struct ProbeMode {
  BatchView<const Complex> probe;  // (frames or 1, probe modes, ny, nx)
  int object_modes;

  EXITWAVE_HD const Complex* at(Pixel p) const {
    return probe.at({p.frame, p.mode / object_modes, p.y, p.x});
  }
  EXITWAVE_HD Complex operator()(Pixel p) const { return load(*at(p)); }
};

// psi_jmk = P_jm O_kj
struct ExitWave {
  BatchView<Complex> exit;  // written
  ProbeMode probe;
  ObjectWindow object;

  EXITWAVE_HD void operator()(Pixel p) const { exit(p) = probe(p) * object(p); }
};

// First-order change of the exit wave along a direction: P dO + dP O.
struct ExitWaveChange {
  BatchView<Complex> change;  // written
  ProbeMode probe;
  ObjectWindow object;
  ProbeMode probe_direction;
  ObjectWindow object_direction;

  EXITWAVE_HD void operator()(Pixel p) const {
    change(p) = probe(p) * object_direction(p) + probe_direction(p) * object(p);
  }
};

}  // namespace exitwave::kernels
