#pragma once

#include <cuda_runtime.h>

#include <cstddef>

#include "core/sums.hpp"
#include "core/view.hpp"
#include "cuda/launch.cuh"
#include "cuda/spans.hpp"
#include "cuda/totals.cuh"

namespace exitwave::cuda {

// Pieces of kThreads pixels, of which a block takes one at a time; spans end within a piece.
struct Pieces {
  DeviceSpans region;
  unsigned per_span;

  explicit Pieces(const DeviceSpans& spans)
      : region(spans), per_span(unsigned(blocks_for(std::size_t(spans.longest)))) {}

  EXITWAVE_HD std::size_t count() const { return std::size_t(region.count) * per_span; }

  // f(span, x) at the thread's pixel of a piece
  template <class F>
  __device__ void at(std::size_t piece, const F& f) const {
    const unsigned span = unsigned(piece / per_span);
    const Span s = region.spans[span];
    const int x =
        s.x0 + int((unsigned(piece) - span * per_span) * unsigned(kThreads) + threadIdx.x);
    if (x < s.x1) f(s, x);
  }
};

// body(mode, span, x) over a region
template <class Body>
struct AtRegion {
  Pieces pieces;
  Body body;

  __device__ void operator()() const {
    const std::size_t count = pieces.count();
    const unsigned mode = unsigned(blockIdx.x / count);
    const Body at = prepared(body);
    pieces.at(blockIdx.x - mode * count, [&](const Span& s, int x) { at(int(mode), s, x); });
  }
};

// body(mode, y, x)
template <class Body>
struct OnCanvas {
  Body body;

  EXITWAVE_HD void prepare() { body = prepared(body); }
  __device__ void operator()(int mode, const Span& s, int x) const { body(mode, s.y, x); }
};

enum class Packing { pack, unpack, unpack_add };

// A region of a canvas to one message, mode by mode, or back.
template <Packing kind, class Pixels, class Message>
struct Pack {
  CanvasView<Pixels> canvas;
  Message* message;
  std::size_t pixels;

  __device__ void operator()(int mode, const Span& s, int x) const {
    Message* packed = message + (std::size_t(mode) * pixels + s.offset + std::size_t(x - s.x0));
    Pixels* pixel = canvas.at(mode, s.y, x);
    if constexpr (kind == Packing::pack) *packed = load(*pixel);
    if constexpr (kind == Packing::unpack) *pixel = load(*packed);
    if constexpr (kind == Packing::unpack_add) *pixel += load(*packed);
  }
};

// totals[i] += sum of body(mode, y, x).v[i]
template <class Body>
struct SumRegion {
  static constexpr int kTotals = Body::kTotals;

  Pieces pieces;
  int modes;
  Body body;
  double* totals;
  Partials partials;

  __device__ void operator()() const {
    const Body at = prepared(body);
    const std::size_t count = pieces.count();
    double sum[kTotals] = {};
    for (int mode = 0; mode < modes; ++mode)
      for (std::size_t piece = blockIdx.x; piece < count; piece += gridDim.x)
        pieces.at(piece, [&](const Span& s, int x) {
          const Sums<kTotals> value = at(mode, s.y, x);
          for (int i = 0; i < kTotals; ++i) sum[i] += double(value.v[i]);
        });
    combine_over_blocks<Plus>(sum, partials, 0, blockIdx.x, gridDim.x,
                              [&](const double (&all)[kTotals]) {
                                for (int i = 0; i < kTotals; ++i) totals[i] += all[i];
                              });
  }
};

// *most <- largest value over a region, 0 where all are less
struct Largest {
  Pieces pieces;
  CanvasView<const Real> canvas;
  double* most;
  Partials partials;

  __device__ void operator()() const {
    const std::size_t count = pieces.count();
    double largest[1] = {};
    for (std::size_t piece = blockIdx.x; piece < count; piece += gridDim.x)
      pieces.at(piece, [&](const Span& s, int x) {
        largest[0] = Larger{}(largest[0], double(canvas(0, s.y, x)));
      });
    combine_over_blocks<Larger>(largest, partials, 0, blockIdx.x, gridDim.x,
                                [&](const double (&all)[1]) { *most = all[0]; });
  }
};

}  // namespace exitwave::cuda
