#pragma once

#include <cstddef>

#include "core/complex.hpp"
#include "core/sums.hpp"
#include "core/view.hpp"
#include "kernels/exit_wave.hpp"

namespace exitwave::kernels {

// Normal equations of the move d of a frame's window over the object that takes most of the
// residual away, min_d ||chi - sum_s d_s P dO/ds||^2 over all pixels and modes (Odstrcil, Menzel &
// Guizar-Sicairos, Opt. Express 26, 3108 (2018)). Totals: a_yy, a_yx, a_xx, b_y, b_x.
//
// The object's derivatives are central differences inside the window, so pixels are counted from
// (1, 1) of the window and the outermost ones play no part: what lies outside may never have been
// seen.
struct PositionTerms {
  static constexpr int kSums = 5;
  static constexpr int kRoots = 0;
  static constexpr int kTotals = 5;

  BatchView<const Complex> residual;  // chi (frames, wave modes, ny, nx)
  ProbeMode probe;
  ObjectWindow object;

  EXITWAVE_HD Sums<5> term(Pixel inner) const {
    const Pixel p{inner.frame, inner.mode, inner.y + 1, inner.x + 1};
    const Complex* o = object.at(p);
    const std::ptrdiff_t row = object.object.row_stride;
    const Complex half = Real(0.5) * probe(p);
    const Complex along_y = half * (load(o[row]) - load(o[-row]));
    const Complex along_x = half * (load(o[1]) - load(o[-1]));
    const Complex chi = residual(p);
    return {{norm(along_y), dot(along_y, along_x), norm(along_x), dot(along_y, chi),
             dot(along_x, chi)}};
  }
  EXITWAVE_HD Sums<5> finish(Pixel, Sums<5> sum, Sums<0>) const { return sum; }
};

// Numbers of the frames of a batch, each to the place of its frame.
struct KeepTotals {
  double* kept;          // (part's frames, count), written
  const double* totals;  // (frames, count)
  const int* frame;      // batch entry -> frame of the part
  int count;

  EXITWAVE_HD void operator()(Pixel p) const {
    kept[frame[p.frame] * count + p.x] = totals[p.frame * count + p.x];
  }
};

}  // namespace exitwave::kernels
