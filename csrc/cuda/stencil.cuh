#pragma once

#include "core/shape.hpp"
#include "core/stencil.hpp"
#include "core/view.hpp"

namespace exitwave::cuda {

// One pixel of a correlation, see Stencil.
struct Correlate {
  BatchView<Real> target;  // (frames, modes, ny, nx), written
  BatchView<const Real> source;
  Stencil stencil;
  int ny;
  int nx;

  EXITWAVE_HD void operator()(Pixel p) const {
    const Stencil& s = stencil;
    const int y0 = (p.y + s.first.y) % ny - s.ny / 2;
    const int x0 = (p.x + s.first.x) % nx - s.nx / 2;
    Real sum = 0;
    for (int k = 0; k < s.ny; ++k) {
      if (y0 + k < 0 || y0 + k >= ny) continue;
      const int y = (y0 + k - s.first.y + ny) % ny;
      for (int l = 0; l < s.nx; ++l) {
        if (x0 + l < 0 || x0 + l >= nx) continue;
        const int x = (x0 + l - s.first.x + nx) % nx;
        sum += s.weights[k * s.nx + l] * source({p.frame, p.mode, y, x});
      }
    }
    target(p) = sum;
  }
};

}  // namespace exitwave::cuda
