#pragma once

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "core/complex.hpp"
#include "core/region.hpp"
#include "core/stencil.hpp"
#include "core/sums.hpp"
#include "core/view.hpp"
#include "cpu/fast_math.hpp"
#include "cpu/fft.hpp"
#include "cpu/simd_loop.hpp"
#include "cpu/stencil.hpp"

namespace exitwave {

// One thread's loops: rows outside, x inside and vectorised. Bodies are copied to the stack, so
// that the compiler knows that no store changes them.
class CpuLane {
 public:
  // --- operations -------------------------------------------------------------------------------

  // body(pixel)
  template <class Body>
  struct Map {
    int modes;
    Body body;

    void begin(CpuLane&, int) const {}
    void end(CpuLane&, int, int) const {}
    void row(CpuLane&, int nx, int frame, int y) const {
      const Body b = body;
      for (int mode = 0; mode < modes; ++mode) {
        EXITWAVE_SIMD_LOOP
        for (int x = 0; x < nx; ++x) b(Pixel{frame, mode, y, x});
      }
    }
  };

  // body(pixel, source y, source x) where the source is the image rolled by (dy, dx). Rolled halves
  // of rows are no order that the processor foresees, so that source(frame, y) is asked for ahead.
  template <class Body>
  struct MapRolled {
    int ny;
    int dy;
    int dx;
    Body body;
    static constexpr int kRowsAhead = 4;

    void begin(CpuLane&, int) const {}
    void end(CpuLane&, int, int) const {}
    void row(CpuLane&, int nx, int frame, int y) const {
      const Body b = body;
      const int from = y + dy < ny ? y + dy : y + dy - ny;
      const int rest = nx - dx;
      if constexpr (requires { b.source(frame, y); })
        expect(b.source(frame, (from + kRowsAhead) % ny), nx);
      EXITWAVE_SIMD_LOOP
      for (int x = 0; x < rest; ++x) b(Pixel{frame, 0, y, x}, from, x + dx);
      EXITWAVE_SIMD_LOOP
      for (int x = rest; x < nx; ++x) b(Pixel{frame, 0, y, x}, from, x - rest);
    }
  };

  // finish(pixel, sum, roots) with sum = sum_m term(frame, m, y, x), and 1 / sqrt of the first
  // Body::kRoots numbers of root_of(pixel, sum); totals[frame] gets what finish returns, summed
  // over the frame. The loop over modes stays outside x: inside, it is slower than the FFT.
  template <class Body>
  struct SumModes {
    int modes;
    Body body;
    double* totals;  // (frames, Body::kTotals)

    void begin(CpuLane& lane, int nx) const {
      std::fill_n(lane.rows_ + (Body::kSums + Body::kRoots) * nx, Body::kTotals * nx, Real(0));
    }
    void row(CpuLane& lane, int nx, int frame, int y) const {
      Real* sums = lane.rows_;
      add_terms<false>(sums, nx, frame, 0, y);
      for (int mode = 1; mode < modes; ++mode) add_terms<true>(sums, nx, frame, mode, y);
      Real* roots = sums + Body::kSums * nx;
      if constexpr (Body::kRoots > 0) take_roots(sums, roots, nx, frame, y);
      finish(sums, roots, roots + Body::kRoots * nx, nx, frame, y);
    }
    void end(CpuLane& lane, int nx, int frame) const {
      const Real* total = lane.rows_ + (Body::kSums + Body::kRoots) * nx;
      for (int i = 0; i < Body::kTotals; ++i) {
        double sum = 0;
        for (int x = 0; x < nx; ++x) sum += double(total[i * nx + x]);
        totals[frame * Body::kTotals + i] = sum;
      }
    }

   private:
    // One row per quantity, so that all loads and stores are contiguous.
    template <int N>
    static Sums<N> read(const Real* rows, int nx, int x) {
      Sums<N> values{};
      for (int i = 0; i < N; ++i) values.v[i] = rows[i * nx + x];
      return values;
    }
    template <bool Add, int N>
    static void write(Real* rows, int nx, int x, Sums<N> values) {
      for (int i = 0; i < N; ++i)
        rows[i * nx + x] = Add ? rows[i * nx + x] + values.v[i] : values.v[i];
    }

    template <bool Add>
    void add_terms(Real* sums, int nx, int frame, int mode, int y) const {
      const Body b = body;
      EXITWAVE_SIMD_LOOP
      for (int x = 0; x < nx; ++x) write<Add>(sums, nx, x, b.term(Pixel{frame, mode, y, x}));
    }
    void take_roots(const Real* sums, Real* roots, int nx, int frame, int y) const {
      const Body b = body;
      EXITWAVE_SIMD_LOOP
      for (int x = 0; x < nx; ++x)
        write<false>(roots, nx, x,
                     b.root_of(Pixel{frame, 0, y, x}, read<Body::kSums>(sums, nx, x)));
      inverse_roots(roots, Body::kRoots * nx);
    }
    // Totals are kept for each x until the frame ends: adding them up here would take longer.
    void finish(const Real* sums, const Real* roots, Real* total, int nx, int frame, int y) const {
      const Body b = body;
      EXITWAVE_SIMD_LOOP
      for (int x = 0; x < nx; ++x)
        write<true>(total, nx, x,
                    b.finish(Pixel{frame, 0, y, x}, read<Body::kSums>(sums, nx, x),
                             read<Body::kRoots>(roots, nx, x)));
    }
  };

  // canvas(target(mode), corner_j + r) += body(frame, mode, r), frames in order. Where `corner` is
  // null all frames add to the same window: a sum over frames.
  template <class T, class Body>
  struct ScatterAdd {
    int modes;
    CanvasView<T> canvas;
    Body body;
    const int* frame_of = nullptr;
    const Corner* corner = nullptr;

    void begin(CpuLane&, int) const {}
    void end(CpuLane&, int, int) const {}
    void row(CpuLane&, int nx, int frame, int y) const {
      const Body b = body;
      const Corner c = corner == nullptr ? Corner{0, 0} : corner[frame_of[frame]];
      for (int mode = 0; mode < modes; ++mode) {
        T* to = canvas.at(b.target(mode), c.y + y, c.x);
        EXITWAVE_SIMD_LOOP
        for (int x = 0; x < nx; ++x) to[x] += b(Pixel{frame, mode, y, x});
      }
    }
  };

  // Both sums of the overlap in one loop, so that waves, probe and object are read once:
  // object(k) += body.to_object at corner_j + r, probe(m) += body.to_probe at r.
  template <class Body>
  struct ScatterOverlap {
    int probe_modes;
    int object_modes;
    CanvasView<Complex> object;
    CanvasView<Complex> probe;
    Body body;
    const int* frame_of;
    const Corner* corner;

    void begin(CpuLane&, int) const {}
    void end(CpuLane&, int, int) const {}
    void row(CpuLane&, int nx, int frame, int y) const {
      const Body b = body;
      const Corner c = corner[frame_of[frame]];
      for (int mode = 0; mode < probe_modes * object_modes; ++mode) {
        Complex* to_object = object.at(mode % object_modes, c.y + y, c.x);
        Complex* to_probe = probe.at(mode / object_modes, y, 0);
        EXITWAVE_SIMD_LOOP
        for (int x = 0; x < nx; ++x) {
          to_object[x] += b.to_object(Pixel{frame, mode, y, x});
          to_probe[x] += b.to_probe(Pixel{frame, mode, y, x});
        }
      }
    }
  };

  // --- running them -----------------------------------------------------------------------------

  CpuLane(int ny, int nx)
      : plan_(fft_plan(ny, nx)),
        row_memory_(std::size_t(nx) * kMostRows + 64 / sizeof(Real)),
        nx_(nx) {
    void* start = row_memory_.data();
    std::size_t space = row_memory_.size() * sizeof(Real);
    rows_ = static_cast<Real*>(
        std::align(64, std::size_t(nx) * kMostRows * sizeof(Real), start, space));
  }
  CpuLane(const CpuLane&) = delete;
  CpuLane& operator=(const CpuLane&) = delete;

  // Runs operations (above) over frames and rows. They are taken row by row, one after the other,
  // so that what one writes the next still finds in the cache; each is free to have its own number
  // of modes. `n.modes` does not matter.
  template <class... Operations>
  void run(Extent n, Operations... operations) {
    for (int frame = 0; frame < n.frames; ++frame) {
      (operations.begin(*this, n.nx), ...);
      for (int y = 0; y < n.ny; ++y) (operations.row(*this, n.nx, frame, y), ...);
      (operations.end(*this, n.nx, frame), ...);
    }
  }
  // The same with all frames of a row before the next row: for sums over many frames.
  template <class... Operations>
  void run_rows(Extent n, Operations... operations) {
    for (int y = 0; y < n.ny; ++y)
      for (int frame = 0; frame < n.frames; ++frame) (operations.row(*this, n.nx, frame, y), ...);
  }
  // The same for one that scatters: all frames that reach a row of the canvas before its next row.
  template <class Scatter>
  void run_canvas_rows(Extent n, const Scatter& scatter) {
    int first = scatter.corner[scatter.frame_of[0]].y;
    int last = first;
    for (int frame = 1; frame < n.frames; ++frame) {
      first = std::min(first, scatter.corner[scatter.frame_of[frame]].y);
      last = std::max(last, scatter.corner[scatter.frame_of[frame]].y);
    }
    for (int canvas_y = first; canvas_y < last + n.ny; ++canvas_y)
      for (int frame = 0; frame < n.frames; ++frame) {
        const int y = canvas_y - scatter.corner[scatter.frame_of[frame]].y;
        if (y >= 0 && y < n.ny) scatter.row(*this, n.nx, frame, y);
      }
  }
  template <class Body>
  void map(Extent n, const Body& body) {
    run(n, Map<Body>{n.modes, body});
  }

  // Memory of lanes; `target` of copy may belong to another device.
  void copy(void* target, const void* source, std::size_t bytes) {
    std::memcpy(target, source, bytes);
  }
  void clear(void* target, std::size_t bytes) { std::memset(target, 0, bytes); }
  // From host memory, which may change when the call returns.
  void upload(void* target, const void* source, std::size_t bytes) {
    std::memcpy(target, source, bytes);
  }

  // Beside the lane's work where that goes on at the same time.
  void send(void* target, const void* source, std::size_t bytes) { copy(target, source, bytes); }

  // Copies between host and device on a thread beside the lane. Here they are made at once, and the
  // lane works at once, so that there is nothing to wait for.
  struct Mark {};
  void fetch(void* device, const void* host, std::size_t bytes) { copy(device, host, bytes); }
  void put_back(void* host, const void* device, std::size_t bytes) { copy(host, device, bytes); }
  void mark(Mark&) {}         // what the lane has done
  void mark_copies(Mark&) {}  // copies made
  void after_copies(const Mark&) {}
  void copies_after(const Mark&) {}
  void finish_copies() {}

  // total[i] += sum over frames of totals[frame][i], frames in order
  void add_totals(int frames, int count, const double* totals, double* total) {
    for (int frame = 0; frame < frames; ++frame)
      for (int i = 0; i < count; ++i) total[i] += totals[frame * count + i];
  }

  // Unscaled transforms of all images, in place.
  void fft2(Extent n, BatchView<Complex> wave, Direction direction) {
    for (int frame = 0; frame < n.frames; ++frame)
      for (int mode = 0; mode < n.modes; ++mode)
        plan_->execute(wave.at(Pixel{frame, mode, 0, 0}), direction);
  }

  // All images of a batch; target and source are not the same.
  void correlate(Extent n, BatchView<Real> target, BatchView<const Real> source,
                 const Stencil& stencil) {
    correlate_images(n, target, source, stencil, rows_);
  }

  // body(mode, y, x) over a region of a canvas; a body that has prepare() is prepared first
  template <class Body>
  void map(const Region& region, int modes, const Body& shared) {
    const Body body = prepared(shared);
    for (int mode = 0; mode < modes; ++mode) {
      for (const Span& s : region.spans()) {
        EXITWAVE_SIMD_LOOP
        for (int x = s.x0; x < s.x1; ++x) body(mode, s.y, x);
      }
    }
  }

  // totals[i] += sum of body(mode, y, x).v[i]
  template <class Body>
  void sum(const Region& region, int modes, const Body& shared, double* totals) {
    const Body body = prepared(shared);
    for (int mode = 0; mode < modes; ++mode) {
      for (const Span& s : region.spans()) {
        for (int x0 = s.x0; x0 < s.x1; x0 += nx_) {
          const int count = std::min(nx_, s.x1 - x0);
          Sums<Body::kTotals>* row = sums<Body::kTotals>();
          for (int x = 0; x < count; ++x) row[x] = body(mode, s.y, x0 + x);
          add_to(totals, row, count);
        }
      }
    }
  }

  // *most <- largest value, 0 where all are less
  void largest(const Region& region, CanvasView<const Real> canvas, double* most) {
    Real result = 0;
    for (const Span& s : region.spans()) {
      const Real* row = canvas.at(0, s.y, s.x0);
#pragma omp simd reduction(max : result)
      for (int x = 0; x < s.x1 - s.x0; ++x) result = row[x] > result ? row[x] : result;
    }
    *most = double(result);
  }

  // A region of a canvas, packed mode by mode into one message, and back.
  template <class T>
  void pack(const Region& region, int modes, CanvasView<const T> canvas, T* message) {
    for_each_packed(region, modes, [&](int mode, const Span& s, std::size_t at) {
      std::copy_n(canvas.at(mode, s.y, s.x0), s.x1 - s.x0, message + at);
    });
  }
  template <class T>
  void unpack(const Region& region, int modes, const T* message, CanvasView<T> canvas) {
    for_each_packed(region, modes, [&](int mode, const Span& s, std::size_t at) {
      std::copy_n(message + at, s.x1 - s.x0, canvas.at(mode, s.y, s.x0));
    });
  }
  template <class T>
  void unpack_add(const Region& region, int modes, const T* message, CanvasView<T> canvas) {
    for_each_packed(region, modes, [&](int mode, const Span& s, std::size_t at) {
      T* row = canvas.at(mode, s.y, s.x0);
      const T* from = message + at;
      EXITWAVE_SIMD_LOOP
      for (int x = 0; x < s.x1 - s.x0; ++x) row[x] += from[x];
    });
  }

 private:
  static constexpr int kMostRows = 10;  // sums, roots and totals of a SumModes

  template <int N>
  Sums<N>* sums() {
    static_assert(N <= kMostRows);
    return reinterpret_cast<Sums<N>*>(rows_);
  }

  template <class Body>
  static Body prepared(Body body) {
    if constexpr (requires { body.prepare(); }) body.prepare();
    return body;
  }

  template <class F>
  static void for_each_packed(const Region& region, int modes, F&& f) {
    const std::size_t pixels = region.pixels();
    for (int mode = 0; mode < modes; ++mode)
      for (const Span& s : region.spans()) f(mode, s, std::size_t(mode) * pixels + s.offset);
  }

  template <int N>
  static void add_to(double* totals, const Sums<N>* row, int count) {
    for (int i = 0; i < N; ++i) {
      double total = 0;
      for (int x = 0; x < count; ++x) total += double(row[x].v[i]);
      totals[i] += total;
    }
  }

  std::shared_ptr<const FftPlan> plan_;
  std::vector<Real> row_memory_;
  Real* rows_;  // in row_memory_, aligned to a cache line
  int nx_;
};

}  // namespace exitwave
