#pragma once

#include <cuda_runtime.h>

#include <cstddef>

#include "core/complex.hpp"
#include "core/shape.hpp"
#include "core/view.hpp"
#include "cuda/launch.cuh"

namespace exitwave::cuda {

// *target += value, also where others add to it at the same time
__device__ inline void add_together(Real* target, Real value) { atomicAdd(target, value); }
__device__ inline void add_together(Complex* target, Complex value) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  atomicAdd(reinterpret_cast<float2*>(target), make_float2(value.re, value.im));
#else
  atomicAdd(&target->re, value.re);
  atomicAdd(&target->im, value.im);
#endif
}

// canvas(target(mode), corner_j + r) += body(frame, mode, r), frames in order as far as the lane is
// deterministic. Where `corner` is null all frames add to the same window: a sum over frames.
template <class T, class Body>
struct ScatterAdd {
  using Value = T;

  int modes;
  CanvasView<T> canvas;
  Body body;
  const int* frame_of = nullptr;
  const Corner* corner = nullptr;
};

// Both sums of the overlap: object(k) += body.to_object at corner_j + r, probe(m) += body.to_probe
// at r.
template <class Body>
struct ScatterOverlap {
  int probe_modes;
  int object_modes;
  CanvasView<Complex> object;
  CanvasView<Complex> probe;
  Body body;
  const int* frame_of;
  const Corner* corner;
};

// The two halves of a ScatterOverlap's body.
template <class Body>
struct ToObject {
  Body body;
  int object_modes;

  EXITWAVE_HD void prepare() { body = prepared(body); }
  EXITWAVE_HD Complex operator()(Pixel p) const { return body.to_object(p); }
  EXITWAVE_HD int target(int mode) const { return mode % object_modes; }
};
template <class Body>
struct ToProbe {
  Body body;
  int object_modes;

  EXITWAVE_HD void prepare() { body = prepared(body); }
  EXITWAVE_HD Complex operator()(Pixel p) const { return body.to_probe(p); }
  EXITWAVE_HD int target(int mode) const { return mode / object_modes; }
};

// A thread for each pixel of each frame. Modes with the same target that follow each other are
// added up first.
template <class T, class Body>
struct Scatter {
  Extent n;
  unsigned blocks;  // per frame
  ScatterAdd<T, Body> add;

  __device__ void operator()() const {
    const unsigned frame = blockIdx.x / blocks;
    const unsigned i = (blockIdx.x - frame * blocks) * unsigned(kThreads) + threadIdx.x;
    if (i >= unsigned(n.ny) * unsigned(n.nx)) return;
    const Body body = prepared(add.body);
    const int y = int(i / unsigned(n.nx));
    const int x = int(i) - y * n.nx;
    const Corner c = add.corner[add.frame_of[frame]];
    T sum{};
    for (int mode = 0; mode < add.modes; ++mode) {
      sum += body(Pixel{int(frame), mode, y, x});
      const int target = body.target(mode);
      if (mode + 1 < add.modes && body.target(mode + 1) == target) continue;
      add_together(add.canvas.at(target, c.y + y, c.x + x), sum);
      sum = T{};
    }
  }
};

// A ScatterOverlap of a single mode: a thread for each pixel of the window and each `split`-th of
// the frames reads the residual once, and adds to the probe's sum once.
template <class Body>
struct OverlapOfOneMode {
  Extent n;
  int splits;
  unsigned blocks;  // per split
  ScatterOverlap<Body> add;

  __device__ void operator()() const {
    const unsigned split = blockIdx.x / blocks;
    const unsigned i = (blockIdx.x - split * blocks) * unsigned(kThreads) + threadIdx.x;
    if (i >= unsigned(n.ny) * unsigned(n.nx)) return;
    const Body body = prepared(add.body);
    const int y = int(i / unsigned(n.nx));
    const int x = int(i) - y * n.nx;
    const int last = int(long(n.frames) * (split + 1) / splits);
    Complex sum{};
    for (int frame = int(long(n.frames) * split / splits); frame < last; ++frame) {
      const Corner c = add.corner[add.frame_of[frame]];
      const Pixel p{frame, 0, y, x};
      add_together(add.object.at(0, c.y + y, c.x + x), body.to_object(p));
      sum += body.to_probe(p);
    }
    add_together(add.probe.at(0, y, x), sum);
  }
};

// A Scatter without atomics: a thread for each pixel of the canvas looks for the frames that reach
// it, in their order; a warp looks at 32 frames at once. The canvas is a whole tile.
template <class T, class Body>
struct Gather {
  static constexpr int kWarp = 32;

  Extent n;
  unsigned strips;  // warps per row of the canvas
  unsigned rows;
  ScatterAdd<T, Body> add;

  static unsigned strips_of(const CanvasView<T>& canvas) {
    return unsigned((canvas.row_stride + kWarp - 1) / kWarp);
  }
  static unsigned rows_of(const CanvasView<T>& canvas) {
    return unsigned(canvas.mode_stride / canvas.row_stride);
  }

  __device__ void operator()() const {
    const unsigned lane = threadIdx.x % unsigned(kWarp);
    const unsigned warp = blockIdx.x * unsigned(kThreads / kWarp) + threadIdx.x / unsigned(kWarp);
    const unsigned row = warp / strips;
    const unsigned column = (warp - row * strips) * unsigned(kWarp);
    const Strip strip{add.canvas.y0 + int(row), add.canvas.x0 + int(column)};
    const bool inside = row < rows && column + lane < unsigned(add.canvas.row_stride);
    const Body body = prepared(add.body);
    for (int target = 0; target < add.modes; ++target)
      if (has_target(body, target)) gather(body, target, strip, int(lane), inside);
  }

 private:
  // Pixels [x, x + 32) of a row of the canvas.
  struct Strip {
    int y;
    int x;
  };

  __device__ bool has_target(const Body& body, int target) const {
    for (int mode = 0; mode < add.modes; ++mode)
      if (body.target(mode) == target) return true;
    return false;
  }

  __device__ bool reaches(int frame, const Strip& s) const {
    const Corner c = add.corner[add.frame_of[frame]];
    return s.y >= c.y && s.y < c.y + n.ny && s.x + kWarp > c.x && s.x < c.x + n.nx;
  }

  __device__ void gather(const Body& body, int target, const Strip& s, int lane,
                         bool inside) const {
    T* to = inside ? add.canvas.at(target, s.y, s.x + lane) : nullptr;
    T sum = inside ? load(*to) : T{};
    for (int first = 0; first < n.frames; first += kWarp) {
      const int mine = first + lane;
      unsigned frames = __ballot_sync(0xFFFFFFFFU, mine < n.frames && reaches(mine, s) ? 1 : 0);
      for (; frames != 0; frames &= frames - 1) {
        const int frame = first + __ffs(int(frames)) - 1;
        const Corner c = add.corner[add.frame_of[frame]];
        const int x = s.x + lane - c.x;
        if (!inside || x < 0 || x >= n.nx) continue;
        for (int mode = 0; mode < add.modes; ++mode)
          if (body.target(mode) == target) sum += body(Pixel{frame, mode, s.y - c.y, x});
      }
    }
    if (inside) *to = sum;
  }
};

// Sums over frames into one window: a thread for each pixel of the window and each `split`-th of
// the frames. With one split it adds to the canvas, in the order of frames and modes; with more it
// leaves its sum in `partials`, which AddSplits adds in order.
template <class T, class Body>
struct SumFrames {
  Extent n;
  int splits;
  unsigned blocks;  // per split
  ScatterAdd<T, Body> add;
  T* partials;  // (splits, modes, ny, nx)

  __device__ void operator()() const {
    const unsigned split = blockIdx.x / blocks;
    const unsigned i = (blockIdx.x - split * blocks) * unsigned(kThreads) + threadIdx.x;
    const unsigned pixels = unsigned(n.ny) * unsigned(n.nx);
    if (i >= pixels) return;
    const Body body = prepared(add.body);
    const int y = int(i / unsigned(n.nx));
    const int x = int(i) - y * n.nx;
    const int first = int(long(n.frames) * split / splits);
    const int last = int(long(n.frames) * (split + 1) / splits);
    for (int target = 0; target < add.modes; ++target) {
      bool found = false;
      for (int mode = 0; mode < add.modes; ++mode) found = found || body.target(mode) == target;
      if (!found) continue;
      T* to = splits == 1 ? add.canvas.at(target, y, x)
                          : partials + (std::size_t(split) * add.modes + target) * pixels + i;
      T sum = splits == 1 ? load(*to) : T{};
      for (int frame = first; frame < last; ++frame)
        for (int mode = 0; mode < add.modes; ++mode)
          if (body.target(mode) == target) sum += body(Pixel{frame, mode, y, x});
      *to = sum;
    }
  }
};

template <class T, class Body>
struct AddSplits {
  Extent n;
  int splits;
  ScatterAdd<T, Body> add;
  const T* partials;

  __device__ void operator()() const {
    const unsigned i = blockIdx.x * unsigned(kThreads) + threadIdx.x;
    const unsigned pixels = unsigned(n.ny) * unsigned(n.nx);
    if (i >= pixels) return;
    const int y = int(i / unsigned(n.nx));
    for (int target = 0; target < add.modes; ++target) {
      bool found = false;
      for (int mode = 0; mode < add.modes; ++mode) found = found || add.body.target(mode) == target;
      if (!found) continue;
      T* to = add.canvas.at(target, y, int(i) - y * n.nx);
      T sum = load(*to);
      for (int split = 0; split < splits; ++split)
        sum += partials[(std::size_t(split) * add.modes + target) * pixels + i];
      *to = sum;
    }
  }
};

}  // namespace exitwave::cuda
