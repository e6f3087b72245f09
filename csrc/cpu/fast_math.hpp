#pragma once

#include <cmath>
#include <cstddef>

#include "core/complex.hpp"

#if defined(__AVX512F__) || defined(__AVX2__)
#include <immintrin.h>
#endif

namespace exitwave {

// values[i] <- 1 / sqrt(values[i]) for values that are normal and positive, to the last bit or two.
// Exact roots and divisions take longer than all the rest of a modulus constraint; compilers use
// the estimate and its Newton step only with flags that hide NaN.
inline void inverse_roots(Real* values, int count) {
  int i = 0;
#if defined(__AVX512F__)
  const __m512 half = _mm512_set1_ps(0.5F);
  const __m512 three_halves = _mm512_set1_ps(1.5F);
  for (; i + 16 <= count; i += 16) {
    const __m512 v = _mm512_loadu_ps(values + i);
    // The form without a mask is the same instruction, but gcc warns of its undefined argument.
    const __m512 y = _mm512_maskz_rsqrt14_ps(0xFFFF, v);
    const __m512 t = _mm512_mul_ps(_mm512_mul_ps(half, v), y);
    _mm512_storeu_ps(values + i, _mm512_mul_ps(y, _mm512_fnmadd_ps(t, y, three_halves)));
  }
#elif defined(__AVX2__)
  const __m256 half = _mm256_set1_ps(0.5F);
  const __m256 three_halves = _mm256_set1_ps(1.5F);
  for (; i + 8 <= count; i += 8) {
    const __m256 v = _mm256_loadu_ps(values + i);
    const __m256 y = _mm256_rsqrt_ps(v);
    const __m256 t = _mm256_mul_ps(_mm256_mul_ps(half, v), y);
    _mm256_storeu_ps(values + i,
                     _mm256_mul_ps(y, _mm256_sub_ps(three_halves, _mm256_mul_ps(t, y))));
  }
#endif
  for (; i < count; ++i) values[i] = 1 / std::sqrt(values[i]);
}

// Has `count` values fetched into the cache, to be there when they are read.
template <class T>
inline void expect(const T* values, int count) {
  constexpr std::ptrdiff_t kLine = 64 / sizeof(T);
  for (std::ptrdiff_t i = 0; i < count; i += kLine) __builtin_prefetch(values + i);
}

}  // namespace exitwave
