#pragma once

#include <algorithm>
#include <array>

#include "core/shape.hpp"
#include "core/stencil.hpp"
#include "core/view.hpp"
#include "cpu/simd_loop.hpp"

namespace exitwave {

// target(d) += weight source(d + step) along a row whose first pixel is pixel `first` of the
// detector. Stored rows break there, and both rows are contiguous between the breaks of either.
inline void add_neighbours(Real* target, const Real* source, Real weight, int nx, int step,
                           int first) {
  const auto stored = [&](int d) { return d < first ? d - first + nx : d - first; };
  const int begin = std::max(0, -step);
  const int end = std::max(begin, std::min(nx, nx - step));
  const auto inside = [&](int d) { return std::clamp(d, begin, end); };
  const std::array<int, 4> cuts{begin, inside(std::min(first, first - step)),
                                inside(std::max(first, first - step)), end};
  for (std::size_t piece = 0; piece < 3; ++piece) {
    const int from = cuts[piece];
    const int count = cuts[piece + 1] - from;
    if (count <= 0) continue;
    Real* to = target + stored(from);
    const Real* of = source + stored(from + step);
    EXITWAVE_SIMD_LOOP
    for (int x = 0; x < count; ++x) to[x] += weight * of[x];
  }
}

// All images of a batch, see Stencil; target and source are not the same.
inline void correlate_images(Extent n, BatchView<Real> target, BatchView<const Real> source,
                             const Stencil& s) {
  const auto row = [&](int frame, int mode, int y) {
    Real* to = target.at({frame, mode, y, 0});
    std::fill_n(to, n.nx, Real(0));
    const int d = (y + s.first.y) % n.ny;
    for (int k = std::max(0, s.ny / 2 - d); k < s.ny && d + k - s.ny / 2 < n.ny; ++k) {
      const int from = (d + k - s.ny / 2 - s.first.y + n.ny) % n.ny;
      const Real* of = source.at({frame, mode, from, 0});
      for (int l = 0; l < s.nx; ++l)
        add_neighbours(to, of, s.weights[k * s.nx + l], n.nx, l - s.nx / 2, s.first.x);
    }
  };
  for (int frame = 0; frame < n.frames; ++frame)
    for (int mode = 0; mode < n.modes; ++mode)
      for (int y = 0; y < n.ny; ++y) row(frame, mode, y);
}

}  // namespace exitwave
