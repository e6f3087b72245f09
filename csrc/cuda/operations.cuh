#pragma once

#include <cuda_runtime.h>

#include <cstddef>

#include "core/shape.hpp"
#include "core/sums.hpp"
#include "cuda/launch.cuh"
#include "cuda/totals.cuh"

namespace exitwave::cuda {

// Operations of a lane that stay at one pixel of a frame. What several of them do at a pixel, one
// thread does, one after the other: none looks at another pixel than its own.

// body(pixel)
template <class Body>
struct Map {
  static constexpr int kTotals = 0;

  int modes;
  Body body;

  EXITWAVE_HD void prepare() { body = prepared(body); }
  EXITWAVE_HD void operator()(Extent, int frame, int y, int x, double*) const {
    for (int mode = 0; mode < modes; ++mode) body(Pixel{frame, mode, y, x});
  }
};

// body(pixel, source y, source x) where the source is the image rolled by (dy, dx).
template <class Body>
struct MapRolled {
  static constexpr int kTotals = 0;

  int ny;
  int dy;
  int dx;
  Body body;

  EXITWAVE_HD void prepare() { body = prepared(body); }
  EXITWAVE_HD void operator()(Extent n, int frame, int y, int x, double*) const {
    body(Pixel{frame, 0, y, x}, y + dy < ny ? y + dy : y + dy - ny,
         x + dx < n.nx ? x + dx : x + dx - n.nx);
  }
};

// finish(pixel, sum, roots) with sum = sum_m term(frame, m, y, x), and 1 / sqrt of the first
// Body::kRoots numbers of root_of(pixel, sum); totals[frame] gets what finish returns, summed
// over the frame.
template <class Body>
struct SumModes {
  static constexpr int kTotals = Body::kTotals;

  int modes;
  Body body;
  double* totals;  // (frames, Body::kTotals)

  EXITWAVE_HD void prepare() { body = prepared(body); }
  EXITWAVE_HD void operator()(Extent, int frame, int y, int x, double* total) const {
    Sums<Body::kSums> sum = body.term(Pixel{frame, 0, y, x});
    for (int mode = 1; mode < modes; ++mode) {
      const Sums<Body::kSums> term = body.term(Pixel{frame, mode, y, x});
      for (int i = 0; i < Body::kSums; ++i) sum.v[i] += term.v[i];
    }
    Sums<Body::kRoots> roots{};
    if constexpr (Body::kRoots > 0) {
      roots = body.root_of(Pixel{frame, 0, y, x}, sum);
      for (int i = 0; i < Body::kRoots; ++i) roots.v[i] = rsqrtf(roots.v[i]);
    }
    const Sums<Body::kTotals> found = body.finish(Pixel{frame, 0, y, x}, sum, roots);
    for (int i = 0; i < Body::kTotals; ++i) total[i] += double(found.v[i]);
  }
};

// Operations one after the other at the same pixel. At most one of them has totals.
template <class... Operations>
struct Chain {
  static constexpr int kTotals = 0;

  EXITWAVE_HD void prepare() {}
  EXITWAVE_HD void operator()(Extent, int, int, int, double*) const {}
  EXITWAVE_HD double* totals() const { return nullptr; }
};

template <class First, class... Rest>
struct Chain<First, Rest...> {
  static_assert(First::kTotals == 0 || Chain<Rest...>::kTotals == 0);
  static constexpr int kTotals = First::kTotals + Chain<Rest...>::kTotals;

  First first;
  Chain<Rest...> rest;

  EXITWAVE_HD void prepare() {
    first.prepare();
    rest.prepare();
  }
  EXITWAVE_HD void operator()(Extent n, int frame, int y, int x, double* total) const {
    first(n, frame, y, x, total);
    rest(n, frame, y, x, total);
  }
  EXITWAVE_HD double* totals() const {
    if constexpr (First::kTotals > 0) {
      return first.totals;
    } else {
      return rest.totals();
    }
  }
};

inline Chain<> chain() { return {}; }
template <class First, class... Rest>
Chain<First, Rest...> chain(const First& first, const Rest&... rest) {
  return {first, chain(rest...)};
}

// A chain over the pixels of all frames: each block takes some of one frame.
template <class Operations>
struct AtPixels {
  static constexpr int kTotals = Operations::kTotals;
  // Pixels of a thread: where totals follow, enough that adding them up is little beside.
  static constexpr unsigned kPixels = kTotals > 0 ? 4 : 1;

  Extent n;
  unsigned blocks;  // per frame
  Operations operations;
  Partials partials;

  static unsigned blocks_for(Extent n) {
    const std::size_t pixels = std::size_t(n.ny) * std::size_t(n.nx);
    return unsigned(cuda::blocks_for((pixels + kPixels - 1) / kPixels));
  }

  __device__ void operator()() const {
    const Operations at = prepared(operations);
    const unsigned frame = blockIdx.x / blocks;
    const unsigned block = blockIdx.x - frame * blocks;
    const unsigned pixels = unsigned(n.ny) * unsigned(n.nx);
    double total[kTotals > 0 ? kTotals : 1] = {};
    unsigned i = block * (kPixels * unsigned(kThreads)) + threadIdx.x;
    for (unsigned k = 0; k < kPixels && i < pixels; ++k, i += unsigned(kThreads)) {
      const unsigned y = i / unsigned(n.nx);
      at(n, int(frame), int(y), int(i - y * unsigned(n.nx)), total);
    }
    if constexpr (kTotals > 0)
      combine_over_blocks<Plus>(total, partials, frame, block, blocks,
                                [&](const double (&sum)[kTotals]) {
                                  for (int j = 0; j < kTotals; ++j)
                                    operations.totals()[frame * kTotals + j] = sum[j];
                                });
  }
};

// body(frame, mode, y, x) over all images
template <class Body>
struct AtImages {
  Extent n;
  unsigned blocks;  // per image
  Body body;

  __device__ void operator()() const {
    const unsigned image = blockIdx.x / blocks;
    const unsigned i = (blockIdx.x - image * blocks) * unsigned(kThreads) + threadIdx.x;
    if (i >= unsigned(n.ny) * unsigned(n.nx)) return;
    const unsigned frame = image / unsigned(n.modes);
    const unsigned y = i / unsigned(n.nx);
    prepared(body)(Pixel{int(frame), int(image - frame * unsigned(n.modes)), int(y),
                         int(i - y * unsigned(n.nx))});
  }
};

// total[i] += sum over frames of totals[frame][i], frames in order
struct AddTotals {
  static constexpr int kAtOnce = 512;

  int frames;
  int count;
  const double* totals;
  double* total;

  __device__ void operator()() const {
    auto* shared = reinterpret_cast<double*>(shared_bytes);
    const int numbers = frames * count;
    double sum = int(threadIdx.x) < count ? total[threadIdx.x] : 0.0;
    // A multiple of `count` at a time, so that thread i always adds totals[.][i].
    const int at_once = kAtOnce / count * count;
    for (int first = 0; first < numbers; first += at_once) {
      const int here = numbers - first < at_once ? numbers - first : at_once;
      for (int i = int(threadIdx.x); i < here; i += kThreads) shared[i] = totals[first + i];
      __syncthreads();
      if (int(threadIdx.x) < count)
        for (int i = int(threadIdx.x); i < here; i += count) sum += shared[i];
      __syncthreads();
    }
    if (int(threadIdx.x) < count) total[threadIdx.x] = sum;
  }
};

}  // namespace exitwave::cuda
