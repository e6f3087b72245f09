#pragma once

#include "core/macros.hpp"

namespace exitwave {

// Two-field aggregate: std::complex multiplies slowly without extra flags and not on a device.
// Aligned so that a device reads and writes both fields at once.
template <class T>
struct alignas(2 * sizeof(T)) ComplexOf {
  T re;
  T im;
};

using Real = float;
using Complex = ComplexOf<Real>;

// Reads and writes field by field: a copy of the whole struct keeps a loop from being vectorised.
template <class T>
EXITWAVE_HD T load(const T& from) {
  return from;
}
template <class T>
EXITWAVE_HD ComplexOf<T> load(const ComplexOf<T>& from) {
  return {from.re, from.im};
}
template <class T>
EXITWAVE_HD void store(ComplexOf<T>& to, ComplexOf<T> value) {
  to.re = value.re;
  to.im = value.im;
}

template <class T>
EXITWAVE_HD ComplexOf<T> operator+(ComplexOf<T> a, ComplexOf<T> b) {
  return {a.re + b.re, a.im + b.im};
}
template <class T>
EXITWAVE_HD ComplexOf<T> operator-(ComplexOf<T> a, ComplexOf<T> b) {
  return {a.re - b.re, a.im - b.im};
}
template <class T>
EXITWAVE_HD ComplexOf<T> operator*(ComplexOf<T> a, ComplexOf<T> b) {
  return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}
template <class T>
EXITWAVE_HD ComplexOf<T> operator*(T s, ComplexOf<T> a) {
  return {s * a.re, s * a.im};
}
template <class T>
EXITWAVE_HD ComplexOf<T>& operator+=(ComplexOf<T>& a, ComplexOf<T> b) {
  a.re += b.re;
  a.im += b.im;
  return a;
}

template <class T>
EXITWAVE_HD ComplexOf<T> conj(ComplexOf<T> a) {
  return {a.re, -a.im};
}
// |a|^2
template <class T>
EXITWAVE_HD T norm(ComplexOf<T> a) {
  return a.re * a.re + a.im * a.im;
}
// Re(conj(a) b)
template <class T>
EXITWAVE_HD T dot(ComplexOf<T> a, ComplexOf<T> b) {
  return a.re * b.re + a.im * b.im;
}

}  // namespace exitwave
