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
  static constexpr int kSlopes = 3;  // the first of b_y, b_x

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

// Where an object has slices, P dO/ds is the change T of the wave behind the last one when all
// slices move. In place, slice by slice: T_s <- O T_s + phi dO/ds, with phi the wave that meets the
// slice; at the first there is no T yet. At the window's edge a neighbour inside stands for the one
// outside.
template <bool First>
struct MoveThroughSlice {
  BatchView<Complex> along_y;  // (frames, wave modes, ny, nx), changed
  BatchView<Complex> along_x;  // as along_y
  ProbeMode incoming;          // phi
  ObjectWindow object;
  int ny;
  int nx;

  EXITWAVE_HD void operator()(Pixel p) const {
    const Complex* o = object.at(p);
    const std::ptrdiff_t row = object.object.row_stride;
    const std::ptrdiff_t down = p.y + 1 < ny ? row : 0;
    const std::ptrdiff_t up = p.y > 0 ? row : 0;
    const std::ptrdiff_t right = p.x + 1 < nx ? 1 : 0;
    const std::ptrdiff_t left = p.x > 0 ? 1 : 0;
    const Complex half = Real(0.5) * incoming(p);
    const Complex dy = half * (load(o[down]) - load(o[-up]));
    const Complex dx = half * (load(o[right]) - load(o[-left]));
    if constexpr (First) {
      store(along_y(p), dy);
      store(along_x(p), dx);
    } else {
      const Complex here = load(*o);
      store(along_y(p), here * load(along_y(p)) + dy);
      store(along_x(p), here * load(along_x(p)) + dx);
    }
  }
};

// The same totals from T and the residual behind the last slice.
struct ThickPositionTerms {
  static constexpr int kSums = 5;
  static constexpr int kRoots = 0;
  static constexpr int kTotals = 5;

  BatchView<const Complex> residual;  // chi (frames, wave modes, ny, nx)
  BatchView<const Complex> along_y;   // T, as residual
  BatchView<const Complex> along_x;

  EXITWAVE_HD Sums<5> term(Pixel p) const {
    const Complex y = along_y(p);
    const Complex x = along_x(p);
    const Complex chi = residual(p);
    return {{norm(y), dot(y, x), norm(x), dot(y, chi), dot(x, chi)}};
  }
  EXITWAVE_HD Sums<5> finish(Pixel, Sums<5> sum, Sums<0>) const { return sum; }
};

// What a loss changes by when a wave moves by one pixel: its spectrum is multiplied by -2 pi i q
// (q in cycles per pixel), so that with r the spectrum of the negative gradient
//   totals: factor sum Re <r, -2 pi i q wave> along y, and along x.
struct MoveSlope {
  static constexpr int kSums = 2;
  static constexpr int kRoots = 0;
  static constexpr int kTotals = 2;

  BatchView<const Complex> residual;  // r (frames, modes, ny, nx), zero frequency first
  BatchView<const Complex> wave;      // its spectrum, alike
  Real factor;
  int ny;
  int nx;

  EXITWAVE_HD Sums<2> term(Pixel p) const {
    const Complex r = residual(p);
    const Complex w = wave(p);
    const Real turned = r.re * w.im - r.im * w.re;
    const Real q_y = Real(2 * p.y < ny ? p.y : p.y - ny) / Real(ny);
    const Real q_x = Real(2 * p.x < nx ? p.x : p.x - nx) / Real(nx);
    return {{factor * q_y * turned, factor * q_x * turned}};
  }
  EXITWAVE_HD Sums<2> finish(Pixel, Sums<2> sum, Sums<0>) const { return sum; }
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
