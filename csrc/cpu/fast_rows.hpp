#pragma once

#include "core/complex.hpp"
#include "cpu/lane.hpp"
#include "kernels/exit_wave.hpp"
#include "kernels/least_squares.hpp"
#include "kernels/overlap.hpp"

#if defined(__AVX512F__) || (defined(__AVX2__) && defined(__FMA__))
#include <immintrin.h>
#endif

// Rows of the three bodies that are nothing but complex products, written by hand: a compiler takes
// real and imaginary parts apart and together again, which costs twice what the products do.
// Everywhere else, and for what is left of a row, the body itself is used.

namespace exitwave {

namespace fast {

#if defined(__AVX512F__)

using Vector = __m512;
inline constexpr int kWidth = 8;  // complex numbers
// Forms without a mask are the same instructions, but gcc warns of their undefined argument.
inline constexpr __mmask16 kAll = 0xFFFF;
inline Vector read(const Complex* p) { return _mm512_loadu_ps(&p->re); }
inline void write(Complex* p, Vector v) { _mm512_storeu_ps(&p->re, v); }
inline Vector add(Vector a, Vector b) { return _mm512_add_ps(a, b); }
inline Vector zero() { return _mm512_setzero_ps(); }
// sum + a b, number by number
inline Vector add_products(Vector a, Vector b, Vector sum) { return _mm512_fmadd_ps(a, b, sum); }
// a b
inline Vector product(Vector a, Vector b) {
  const Vector cross =
      _mm512_mul_ps(_mm512_maskz_movehdup_ps(kAll, a), _mm512_maskz_permute_ps(kAll, b, 0xB1));
  return _mm512_fmaddsub_ps(_mm512_maskz_moveldup_ps(kAll, a), b, cross);
}
// conj(a) b
inline Vector conjugate_product(Vector a, Vector b) {
  const Vector cross =
      _mm512_mul_ps(_mm512_maskz_movehdup_ps(kAll, a), _mm512_maskz_permute_ps(kAll, b, 0xB1));
  return _mm512_fmsubadd_ps(_mm512_maskz_moveldup_ps(kAll, a), b, cross);
}

#elif defined(__AVX2__) && defined(__FMA__)

using Vector = __m256;
inline constexpr int kWidth = 4;
inline Vector read(const Complex* p) { return _mm256_loadu_ps(&p->re); }
inline void write(Complex* p, Vector v) { _mm256_storeu_ps(&p->re, v); }
inline Vector add(Vector a, Vector b) { return _mm256_add_ps(a, b); }
inline Vector zero() { return _mm256_setzero_ps(); }
inline Vector add_products(Vector a, Vector b, Vector sum) { return _mm256_fmadd_ps(a, b, sum); }
inline Vector product(Vector a, Vector b) {
  const Vector cross = _mm256_mul_ps(_mm256_movehdup_ps(a), _mm256_permute_ps(b, 0xB1));
  return _mm256_fmaddsub_ps(_mm256_moveldup_ps(a), b, cross);
}
inline Vector conjugate_product(Vector a, Vector b) {
  const Vector cross = _mm256_mul_ps(_mm256_movehdup_ps(a), _mm256_permute_ps(b, 0xB1));
  return _mm256_fmsubadd_ps(_mm256_moveldup_ps(a), b, cross);
}

#endif

}  // namespace fast

#if defined(__AVX512F__) || (defined(__AVX2__) && defined(__FMA__))

template <>
inline void CpuLane::Map<kernels::ExitWave>::row(CpuLane&, int nx, int frame, int y) const {
  const kernels::ExitWave b = body;
  for (int mode = 0; mode < modes; ++mode) {
    const Pixel start{frame, mode, y, 0};
    Complex* exit = b.exit.at(start);
    const Complex* probe = b.probe.at(start);
    const Complex* object = b.object.at(start);
    int x = 0;
    for (; x + fast::kWidth <= nx; x += fast::kWidth)
      fast::write(exit + x, fast::product(fast::read(probe + x), fast::read(object + x)));
    for (; x < nx; ++x) b(Pixel{frame, mode, y, x});
  }
}

template <>
inline void CpuLane::ScatterOverlap<kernels::OverlapTerms>::row(CpuLane&, int nx, int frame,
                                                                int y) const {
  const kernels::OverlapTerms b = body;
  const Corner c = corner[frame_of[frame]];
  for (int mode = 0; mode < probe_modes * object_modes; ++mode) {
    const Pixel start{frame, mode, y, 0};
    Complex* to_object = object.at(mode % object_modes, c.y + y, c.x);
    Complex* to_probe = probe.at(mode / object_modes, y, 0);
    const Complex* residual = b.residual.at(start);
    const Complex* illumination = b.probe.at(start);
    const Complex* window = b.object.at(start);
    int x = 0;
    for (; x + fast::kWidth <= nx; x += fast::kWidth) {
      const fast::Vector chi = fast::read(residual + x);
      fast::write(to_object + x,
                  fast::add(fast::read(to_object + x),
                            fast::conjugate_product(fast::read(illumination + x), chi)));
      fast::write(to_probe + x, fast::add(fast::read(to_probe + x),
                                          fast::conjugate_product(fast::read(window + x), chi)));
    }
    for (; x < nx; ++x) {
      to_object[x] += b.to_object(Pixel{frame, mode, y, x});
      to_probe[x] += b.to_probe(Pixel{frame, mode, y, x});
    }
  }
}

// Sums stay in registers for a row, and then join the totals of the first pixels.
template <>
inline void CpuLane::SumModes<kernels::StepTerms>::row(CpuLane& lane, int nx, int frame,
                                                       int y) const {
  const kernels::StepTerms b = body;
  constexpr int kTotals = kernels::StepTerms::kTotals;
  constexpr int kRowsAhead = 3;
  Real* total = lane.rows_ + kTotals * nx;
  fast::Vector sum[kTotals];
  for (fast::Vector& s : sum) s = fast::zero();
  for (int mode = 0; mode < modes; ++mode) {
    const Pixel start{frame, mode, y, 0};
    const Complex* residual = b.residual.at(start);
    const Complex* probe = b.probe.at(start);
    const Complex* object = b.object.at(start);
    const Complex* probe_direction = b.probe_direction.at(start);
    const Complex* object_direction = b.object_direction.at(start);
    int x = 0;
    for (; x + fast::kWidth <= nx; x += fast::kWidth) {
      // Frames of a group are far from each other, so the next rows are in no near cache.
      __builtin_prefetch(residual + x + kRowsAhead * nx);
      __builtin_prefetch(object + x + kRowsAhead * b.object.object.row_stride);
      __builtin_prefetch(object_direction + x + kRowsAhead * b.object_direction.object.row_stride);
      const fast::Vector by_object =
          fast::product(fast::read(probe + x), fast::read(object_direction + x));
      const fast::Vector by_probe =
          fast::product(fast::read(probe_direction + x), fast::read(object + x));
      const fast::Vector chi = fast::read(residual + x);
      sum[0] = fast::add_products(by_object, by_object, sum[0]);
      sum[1] = fast::add_products(by_object, by_probe, sum[1]);
      sum[2] = fast::add_products(by_probe, by_probe, sum[2]);
      sum[3] = fast::add_products(by_object, chi, sum[3]);
      sum[4] = fast::add_products(by_probe, chi, sum[4]);
    }
    for (; x < nx; ++x) {
      const Sums<kTotals> term = b.term(Pixel{frame, mode, y, x});
      for (int i = 0; i < kTotals; ++i) total[i * nx + x] += term.v[i];
    }
  }
  if (nx < fast::kWidth) return;
  for (int i = 0; i < kTotals; ++i) {
    alignas(64) Complex parts[fast::kWidth];
    fast::write(parts, sum[i]);
    for (int x = 0; x < fast::kWidth; ++x) total[i * nx + x] += parts[x].re + parts[x].im;
  }
}

#endif

}  // namespace exitwave
