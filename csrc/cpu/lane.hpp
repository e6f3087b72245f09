#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "core/complex.hpp"
#include "core/region.hpp"
#include "core/sums.hpp"
#include "core/view.hpp"
#include "cpu/fft.hpp"

namespace exitwave {

// One thread's loops: rows outside, x inside and vectorised. Bodies are copied to the stack, so
// that the compiler knows that no store changes them.
class CpuLane {
 public:
  CpuLane(int ny, int nx)
      : plan_(fft_plan(ny, nx)), row_(std::size_t(nx) * kMostSums), nx_(nx) {}

  // body(pixel)
  template <class Body>
  void map(Extent n, const Body& shared) {
    const Body body = shared;
    for_each_row(n, [&](int frame, int mode, int y) {
#pragma omp simd
      for (int x = 0; x < n.nx; ++x) body(Pixel{frame, mode, y, x});
    });
  }

  // finish(pixel, sum_m term(frame, m, y, x)); totals[frame] gets what finish returns, summed over
  // the frame. The loop over modes stays outside x: inside, it is slower than the FFT.
  template <class Body>
  void sum_modes(Extent n, const Body& shared, double* totals) {
    const Body body = shared;
    for (int frame = 0; frame < n.frames; ++frame) {
      double total[Body::kTotals] = {};
      for (int y = 0; y < n.ny; ++y) {
        add_terms<true>(body, n, frame, 0, y);
        for (int mode = 1; mode < n.modes; ++mode) add_terms<false>(body, n, frame, mode, y);
        finish_row(body, n, frame, y, total);
      }
      for (int i = 0; i < Body::kTotals; ++i) totals[frame * Body::kTotals + i] = total[i];
    }
  }

  // total[i] += sum over frames of totals[frame][i], frames in order
  void add_totals(int frames, int count, const double* totals, double* total) {
    for (int frame = 0; frame < frames; ++frame)
      for (int i = 0; i < count; ++i) total[i] += totals[frame * count + i];
  }

  // canvas(target(mode), corner_j + r) += body(frame, mode, r), frames in order.
  template <class T, class Body>
  void scatter_add(Extent n, const int* frame_of, const Corner* corner, CanvasView<T> canvas,
                   const Body& shared) {
    const Body body = shared;
    for_each_row(n, [&](int frame, int mode, int y) {
      const Corner c = corner[frame_of[frame]];
      T* row = &canvas(body.target(mode), c.y + y, c.x);
#pragma omp simd
      for (int x = 0; x < n.nx; ++x) row[x] += body(Pixel{frame, mode, y, x});
    });
  }

  // canvas(target(mode), r) += sum over frames of body(frame, mode, r), frames in order.
  template <class T, class Body>
  void sum_frames(Extent n, CanvasView<T> canvas, const Body& shared) {
    const Body body = shared;
    for_each_row(n, [&](int frame, int mode, int y) {
      T* row = &canvas(body.target(mode), y, 0);
#pragma omp simd
      for (int x = 0; x < n.nx; ++x) row[x] += body(Pixel{frame, mode, y, x});
    });
  }

  // Unscaled transforms of all images, in place.
  void fft2(Extent n, BatchView<Complex> wave, Direction direction) {
    for (int frame = 0; frame < n.frames; ++frame)
      for (int mode = 0; mode < n.modes; ++mode)
        plan_->execute(&wave(Pixel{frame, mode, 0, 0}), direction);
  }

  // body(mode, y, x) over a region of a canvas
  template <class Body>
  void map(const Region& region, int modes, const Body& shared) {
    const Body body = shared;
    for (int mode = 0; mode < modes; ++mode) {
      for (const Span& s : region.spans()) {
#pragma omp simd
        for (int x = s.x0; x < s.x1; ++x) body(mode, s.y, x);
      }
    }
  }

  // totals[i] += sum of body(mode, y, x).v[i]
  template <class Body>
  void sum(const Region& region, int modes, const Body& shared, double* totals) {
    const Body body = shared;
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

  Real largest(const Region& region, CanvasView<const Real> canvas) {
    Real result = 0;
    for (const Span& s : region.spans()) {
      const Real* row = &canvas(0, s.y, s.x0);
#pragma omp simd reduction(max : result)
      for (int x = 0; x < s.x1 - s.x0; ++x) result = row[x] > result ? row[x] : result;
    }
    return result;
  }

  // A region of a canvas, packed mode by mode into one message, and back.
  template <class T>
  void pack(const Region& region, int modes, CanvasView<const T> canvas, T* message) {
    for_each_packed(region, modes, [&](int mode, const Span& s, std::size_t at) {
      std::copy_n(&canvas(mode, s.y, s.x0), s.x1 - s.x0, message + at);
    });
  }
  template <class T>
  void unpack(const Region& region, int modes, const T* message, CanvasView<T> canvas) {
    for_each_packed(region, modes, [&](int mode, const Span& s, std::size_t at) {
      std::copy_n(message + at, s.x1 - s.x0, &canvas(mode, s.y, s.x0));
    });
  }
  template <class T>
  void unpack_add(const Region& region, int modes, const T* message, CanvasView<T> canvas) {
    for_each_packed(region, modes, [&](int mode, const Span& s, std::size_t at) {
      T* row = &canvas(mode, s.y, s.x0);
      const T* from = message + at;
#pragma omp simd
      for (int x = 0; x < s.x1 - s.x0; ++x) row[x] += from[x];
    });
  }

 private:
  static constexpr int kMostSums = 4;

  template <int N>
  Sums<N>* sums() {
    static_assert(N <= kMostSums);
    return reinterpret_cast<Sums<N>*>(row_.data());
  }

  template <class F>
  static void for_each_row(Extent n, F&& f) {
    for (int frame = 0; frame < n.frames; ++frame)
      for (int mode = 0; mode < n.modes; ++mode)
        for (int y = 0; y < n.ny; ++y) f(frame, mode, y);
  }

  template <class F>
  static void for_each_packed(const Region& region, int modes, F&& f) {
    const std::size_t pixels = region.pixels();
    for (int mode = 0; mode < modes; ++mode)
      for (const Span& s : region.spans()) f(mode, s, std::size_t(mode) * pixels + s.offset);
  }

  // One row of partial sums per quantity, so that all loads and stores are contiguous.
  template <bool First, class Body>
  void add_terms(const Body& body, Extent n, int frame, int mode, int y) {
    Real* row = row_.data();
    const int stride = nx_;
#pragma omp simd
    for (int x = 0; x < n.nx; ++x) {
      const auto term = body.term(Pixel{frame, mode, y, x});
      for (int i = 0; i < Body::kSums; ++i) {
        if constexpr (First) {
          row[i * stride + x] = term.v[i];
        } else {
          row[i * stride + x] += term.v[i];
        }
      }
    }
  }

  template <class Body>
  void finish_row(const Body& body, Extent n, int frame, int y, double* totals) {
    const Real* row = row_.data();
    const int stride = nx_;
    Real total[Body::kTotals] = {};
#pragma omp simd reduction(+ : total)
    for (int x = 0; x < n.nx; ++x) {
      Sums<Body::kSums> sum;
      for (int i = 0; i < Body::kSums; ++i) sum.v[i] = row[i * stride + x];
      const auto value = body.finish(Pixel{frame, 0, y, x}, sum);
      for (int i = 0; i < Body::kTotals; ++i) total[i] += value.v[i];
    }
    for (int i = 0; i < Body::kTotals; ++i) totals[i] += double(total[i]);
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
  std::vector<Real> row_;
  int nx_;
};

}  // namespace exitwave
