#pragma once

#include <utility>

#include "core/complex.hpp"

// Vectors of the widest registers that this file is compiled for, in the language that gcc and
// clang share, so that one source serves AVX-512, AVX2, SSE and NEON. Include it only where
// EXITWAVE_SIMD_FLAG is set.

namespace exitwave::vector {

#if defined(__AVX512F__)
inline constexpr int kLanes = 16;
#elif defined(__AVX__)
inline constexpr int kLanes = 8;
#else
inline constexpr int kLanes = 4;
#endif

using Vector = float __attribute__((vector_size(4 * kLanes)));
// The same in memory, wherever it begins.
using Stored = float __attribute__((vector_size(4 * kLanes), aligned(4), may_alias));

#define EXITWAVE_INLINE [[gnu::always_inline]] inline

EXITWAVE_INLINE Vector read(const Real* from) { return *reinterpret_cast<const Stored*>(from); }
EXITWAVE_INLINE void write(Real* to, Vector v) { *reinterpret_cast<Stored*>(to) = v; }
EXITWAVE_INLINE Vector broadcast(Real value) { return Vector{} + value; }

// Lane i of the result is lane Pattern::at(i) of a and b, one after the other.
template <class Pattern, int... I>
EXITWAVE_INLINE Vector shuffle(Vector a, Vector b, std::integer_sequence<int, I...>) {
  return __builtin_shufflevector(a, b, Pattern::at(I)...);
}
template <class Pattern>
EXITWAVE_INLINE Vector shuffle(Vector a, Vector b) {
  return shuffle<Pattern>(a, b, std::make_integer_sequence<int, kLanes>{});
}

// What registers do fast: shuffles within groups of four lanes, and of whole groups. `Odd` picks
// the second of the two vectors that each makes.
template <bool Odd>
struct Alternate {  // a0 b0 a1 b1 | a4 b4 a5 b5 | ...
  static constexpr int at(int i) {
    return i / 4 * 4 + (Odd ? 2 : 0) + i % 4 / 2 + (i % 2) * kLanes;
  }
};
template <bool Odd>
struct AlternatePairs {  // a0 a1 b0 b1 | a4 a5 b4 b5 | ...
  static constexpr int at(int i) {
    return i / 4 * 4 + (Odd ? 2 : 0) + i % 2 + (i % 4 / 2) * kLanes;
  }
};
template <bool Odd>
struct EverySecond {  // a0 a2 b0 b2 | a4 a6 b4 b6 | ...
  static constexpr int at(int i) {
    return i / 4 * 4 + 2 * (i % 2) + (Odd ? 1 : 0) + (i % 4 / 2) * kLanes;
  }
};
template <bool Odd>
struct EverySecondGroup {  // of the groups of a, then of those of b
  static constexpr int at(int i) { return (2 * (i / 4) + (Odd ? 1 : 0)) * 4 + i % 4; }
};

// v(row, lane) <- v(lane, row)
EXITWAVE_INLINE void transpose(Vector (&v)[kLanes]) {
  constexpr int kGroups = kLanes / 4;
  for (int i = 0; i < kLanes; i += 4) {
    const Vector low01 = shuffle<Alternate<false>>(v[i], v[i + 1]);
    const Vector low23 = shuffle<Alternate<false>>(v[i + 2], v[i + 3]);
    const Vector high01 = shuffle<Alternate<true>>(v[i], v[i + 1]);
    const Vector high23 = shuffle<Alternate<true>>(v[i + 2], v[i + 3]);
    v[i] = shuffle<AlternatePairs<false>>(low01, low23);
    v[i + 1] = shuffle<AlternatePairs<true>>(low01, low23);
    v[i + 2] = shuffle<AlternatePairs<false>>(high01, high23);
    v[i + 3] = shuffle<AlternatePairs<true>>(high01, high23);
  }
  if constexpr (kGroups == 2) {
    for (int c = 0; c < 4; ++c) {
      const Vector a = v[c];
      const Vector b = v[4 + c];
      v[c] = shuffle<EverySecondGroup<false>>(a, b);
      v[4 + c] = shuffle<EverySecondGroup<true>>(a, b);
    }
  } else if constexpr (kGroups == 4) {
    for (int c = 0; c < 4; ++c) {
      const Vector even01 = shuffle<EverySecondGroup<false>>(v[c], v[4 + c]);
      const Vector even23 = shuffle<EverySecondGroup<false>>(v[8 + c], v[12 + c]);
      const Vector odd01 = shuffle<EverySecondGroup<true>>(v[c], v[4 + c]);
      const Vector odd23 = shuffle<EverySecondGroup<true>>(v[8 + c], v[12 + c]);
      v[c] = shuffle<EverySecondGroup<false>>(even01, even23);
      v[4 + c] = shuffle<EverySecondGroup<false>>(odd01, odd23);
      v[8 + c] = shuffle<EverySecondGroup<true>>(even01, even23);
      v[12 + c] = shuffle<EverySecondGroup<true>>(odd01, odd23);
    }
  }
}

}  // namespace exitwave::vector
