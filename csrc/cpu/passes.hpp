#pragma once

#include <type_traits>

#include "core/complex.hpp"
#include "cpu/butterfly.hpp"

// Passes of a transform over points that registers hold side by side. Decimation in frequency: a
// pass makes R shorter transforms of one; the last leaves transforms of one point, out of order.

namespace exitwave::vector {

inline constexpr int kPoint = 2 * kLanes;  // reals of kLanes complex numbers

// Points of a scratch.
template <class T>
struct Scratch {
  T* first;

  EXITWAVE_INLINE Lanes read(int i) const {
    return {vector::read(first + i * kPoint), vector::read(first + i * kPoint + kLanes)};
  }
  EXITWAVE_INLINE void write(int i, Lanes v) const {
    vector::write(first + i * kPoint, v.re);
    vector::write(first + i * kPoint + kLanes, v.im);
  }
};
template <class T>
Scratch(T*) -> Scratch<T>;

// One transform of R times `stride` points into R of `stride`. twiddle(i) are what turns
// point j of the k-th, one after the other.
template <int R, class From, class Twiddle>
void divide(int stride, From from, Twiddle twiddle, Scratch<Real> to) {
  for (int j = 0; j < stride; ++j) {
    Lanes v[R];
    for (int q = 0; q < R; ++q) v[q] = from.read(j + q * stride);
    Butterfly<R>::run(v);
    to.write(j, v[0]);
    for (int k = 1; k < R; ++k) to.write(j + k * stride, v[k] * twiddle(j * (R - 1) + k - 1));
  }
}

// Neighbouring transforms of R points.
template <int R>
void conclude(int blocks, Scratch<Real> scratch) {
  for (int i = 0; i < blocks * R; i += R) {
    Lanes v[R];
    for (int q = 0; q < R; ++q) v[q] = scratch.read(i + q);
    Butterfly<R>::run(v);
    for (int k = 0; k < R; ++k) scratch.write(i + k, v[k]);
  }
}

// f with the radix as a compile-time constant
template <class F>
void with_radix(int radix, const F& f) {
  switch (radix) {
    case 2:
      return f(std::integral_constant<int, 2>{});
    case 3:
      return f(std::integral_constant<int, 3>{});
    case 4:
      return f(std::integral_constant<int, 4>{});
    case 5:
      return f(std::integral_constant<int, 5>{});
    case 7:
      return f(std::integral_constant<int, 7>{});
    default:
      return f(std::integral_constant<int, 8>{});
  }
}

}  // namespace exitwave::vector
