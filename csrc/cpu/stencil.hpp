#pragma once

#include <algorithm>
#include <cstddef>

#include "core/shape.hpp"
#include "core/stencil.hpp"
#include "core/view.hpp"
#include "cpu/simd_loop.hpp"

namespace exitwave {

// to[x] += sum_i weights[i] from[i step + x]: four at a time, so that a sum is loaded and stored
// once for four products.
inline void add_weighted(Real* to, const Real* from, std::ptrdiff_t step, const Real* weights,
                         int count, int nx) {
  int i = 0;
  for (; i + 4 <= count; i += 4) {
    const Real* f = from + i * step;
    const Real w0 = weights[i];
    const Real w1 = weights[i + 1];
    const Real w2 = weights[i + 2];
    const Real w3 = weights[i + 3];
    EXITWAVE_SIMD_LOOP
    for (int x = 0; x < nx; ++x)
      to[x] += (w0 * f[x] + w1 * f[x + step]) + (w2 * f[x + 2 * step] + w3 * f[x + 3 * step]);
  }
  for (; i < count; ++i) {
    const Real* f = from + i * step;
    const Real w = weights[i];
    EXITWAVE_SIMD_LOOP
    for (int x = 0; x < nx; ++x) to[x] += w * f[x];
  }
}

// All images of a batch, see Stencil; target and source are not the same. `work`: 4 nx numbers.
inline void correlate_images(Extent n, BatchView<Real> target, BatchView<const Real> source,
                             const Stencil& s, Real* work) {
  const int half = std::min(s.nx / 2, n.nx - 1);  // beyond it no two pixels of a row meet
  const Real* middle = s.weights + s.nx / 2 - half;
  Real* line = work + n.nx;  // a row as on the detector, between zeros
  const auto stored_row = [&](int d) {
    return d < s.first.y ? d - s.first.y + n.ny : d - s.first.y;
  };
  // Rows of the detector [from, end), which are stored one after the other.
  const auto add_rows = [&](Real* to, Pixel p, int d, int from, int end) {
    if (from < end)
      add_weighted(to, source.at({p.frame, p.mode, stored_row(from), 0}), source.row_stride,
                   s.weights + from - d + s.ny / 2, end - from, n.nx);
  };
  const auto add_row = [&](Real* to, Pixel p, int d, int from) {
    const Real* row = source.at({p.frame, p.mode, stored_row(from), 0});
    std::copy_n(row + n.nx - s.first.x, s.first.x, line + half);
    std::copy_n(row, n.nx - s.first.x, line + half + s.first.x);
    add_weighted(to, line, 1, middle + (from - d + s.ny / 2) * s.nx, 2 * half + 1, n.nx);
  };
  std::fill_n(line, half, Real(0));
  std::fill_n(line + half + n.nx, half, Real(0));
  for (int frame = 0; frame < n.frames; ++frame)
    for (int mode = 0; mode < n.modes; ++mode)
      for (int d = 0; d < n.ny; ++d) {
        const Pixel p{frame, mode, stored_row(d), 0};
        const int from = std::max(0, d - s.ny / 2);
        const int end = std::min(n.ny, d + s.ny / 2 + 1);
        Real* to = target.at(p);
        if (s.nx == 1) {
          std::fill_n(to, n.nx, Real(0));
          add_rows(to, p, d, from, std::min(end, s.first.y));
          add_rows(to, p, d, std::max(from, s.first.y), end);
          continue;
        }
        std::fill_n(work, n.nx, Real(0));
        for (int row = from; row < end; ++row) add_row(work, p, d, row);
        std::copy_n(work + s.first.x, n.nx - s.first.x, to);
        std::copy_n(work, s.first.x, to + n.nx - s.first.x);
      }
}

}  // namespace exitwave
