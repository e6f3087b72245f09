#pragma once

#include "core/complex.hpp"
#include "cpu/vector.hpp"

// Short transforms of lanes, forward and unscaled, in registers: v_k <- sum_q w^(q k) v_q with
// w = exp(-2 pi i / R).

namespace exitwave::vector {

// One complex number for each of kLanes independent transforms.
struct Lanes {
  Vector re;
  Vector im;
};

// From and to kLanes neighbours in memory. Lane i holds number_of(i) of them, which is how shuffles
// within groups of four lanes, the fastest, leave them.
constexpr int number_of(int lane) { return lane / 4 * 2 + lane % 2 + lane % 4 / 2 * (kLanes / 2); }
EXITWAVE_INLINE Lanes read_neighbours(const Complex* from) {
  const Vector a = read(&from->re);
  const Vector b = read(&from->re + kLanes);
  return {shuffle<EverySecond<false>>(a, b), shuffle<EverySecond<true>>(a, b)};
}
EXITWAVE_INLINE void write_neighbours(Complex* to, Lanes v) {
  write(&to->re, shuffle<Alternate<false>>(v.re, v.im));
  write(&to->re + kLanes, shuffle<Alternate<true>>(v.re, v.im));
}

EXITWAVE_INLINE Lanes operator+(Lanes a, Lanes b) { return {a.re + b.re, a.im + b.im}; }
EXITWAVE_INLINE Lanes operator-(Lanes a, Lanes b) { return {a.re - b.re, a.im - b.im}; }
EXITWAVE_INLINE Lanes operator*(Lanes a, Complex w) {
  return {a.re * w.re - a.im * w.im, a.im * w.re + a.re * w.im};
}
EXITWAVE_INLINE Lanes operator*(Lanes a, Lanes b) {
  return {a.re * b.re - a.im * b.im, a.im * b.re + a.re * b.im};
}
EXITWAVE_INLINE Lanes operator*(Real s, Lanes a) { return {s * a.re, s * a.im}; }
EXITWAVE_INLINE Lanes times_minus_i(Lanes a) { return {a.im, -a.re}; }

template <int R>
struct Butterfly;

template <>
struct Butterfly<2> {
  EXITWAVE_INLINE static void run(Lanes& a, Lanes& b) {
    const Lanes sum = a + b;
    b = a - b;
    a = sum;
  }
  EXITWAVE_INLINE static void run(Lanes (&v)[2]) { run(v[0], v[1]); }
};

template <>
struct Butterfly<3> {
  EXITWAVE_INLINE static void run(Lanes (&v)[3]) {
    constexpr Real kSine = Real(0.86602540378443864676);
    const Lanes sum = v[1] + v[2];
    const Lanes middle = v[0] - Real(0.5) * sum;
    const Lanes turned = kSine * times_minus_i(v[1] - v[2]);
    v[0] = v[0] + sum;
    v[1] = middle + turned;
    v[2] = middle - turned;
  }
};

template <>
struct Butterfly<4> {
  EXITWAVE_INLINE static void run(Lanes& a, Lanes& b, Lanes& c, Lanes& d) {
    const Lanes sum = a + c;
    const Lanes difference = a - c;
    const Lanes other_sum = b + d;
    const Lanes turned = times_minus_i(b - d);
    a = sum + other_sum;
    b = difference + turned;
    c = sum - other_sum;
    d = difference - turned;
  }
  EXITWAVE_INLINE static void run(Lanes (&v)[4]) { run(v[0], v[1], v[2], v[3]); }
};

// Odd prime lengths by their definition, folded: v_q + v_(R-q) has the cosines, the difference the
// sines.
template <int R>
EXITWAVE_INLINE void folded(Lanes (&v)[R], const Real (&cosine)[R], const Real (&sine)[R]) {
  constexpr int kHalf = (R - 1) / 2;
  Lanes even[kHalf];
  Lanes odd[kHalf];
  for (int q = 0; q < kHalf; ++q) {
    even[q] = v[q + 1] + v[R - 1 - q];
    odd[q] = v[q + 1] - v[R - 1 - q];
  }
  const Lanes first = v[0];
  for (int q = 0; q < kHalf; ++q) v[0] = v[0] + even[q];
  for (int k = 1; k <= kHalf; ++k) {
    Lanes middle = first;
    Lanes turned = sine[k] * odd[0];
    middle = middle + cosine[k] * even[0];
    for (int q = 1; q < kHalf; ++q) {
      middle = middle + cosine[(q + 1) * k % R] * even[q];
      turned = turned + sine[(q + 1) * k % R] * odd[q];
    }
    turned = times_minus_i(turned);
    v[k] = middle + turned;
    v[R - k] = middle - turned;
  }
}

template <>
struct Butterfly<5> {
  EXITWAVE_INLINE static void run(Lanes (&v)[5]) {
    constexpr Real kCosine1 = Real(0.30901699437494742410);
    constexpr Real kCosine2 = Real(-0.80901699437494742410);
    constexpr Real kSine1 = Real(0.95105651629515357212);
    constexpr Real kSine2 = Real(0.58778525229247312917);
    folded<5>(v, {1, kCosine1, kCosine2, kCosine2, kCosine1},
              {0, kSine1, kSine2, -kSine2, -kSine1});
  }
};

template <>
struct Butterfly<7> {
  EXITWAVE_INLINE static void run(Lanes (&v)[7]) {
    constexpr Real kCosine1 = Real(0.62348980185873353053);
    constexpr Real kCosine2 = Real(-0.22252093395631440429);
    constexpr Real kCosine3 = Real(-0.90096886790241912624);
    constexpr Real kSine1 = Real(0.78183148246802980871);
    constexpr Real kSine2 = Real(0.97492791218182360702);
    constexpr Real kSine3 = Real(0.43388373911755812048);
    folded<7>(v, {1, kCosine1, kCosine2, kCosine3, kCosine3, kCosine2, kCosine1},
              {0, kSine1, kSine2, kSine3, -kSine3, -kSine2, -kSine1});
  }
};

inline constexpr Real kEighth = Real(0.70710678118654752440);  // cos(pi / 4)

// a exp(-2 pi i / 8) and its cube
EXITWAVE_INLINE Lanes turned_by_1_8(Lanes a) {
  return {kEighth * (a.re + a.im), kEighth * (a.im - a.re)};
}
EXITWAVE_INLINE Lanes turned_by_3_8(Lanes a) {
  return {kEighth * (a.im - a.re), -kEighth * (a.re + a.im)};
}

template <>
struct Butterfly<8> {
  EXITWAVE_INLINE static void run(Lanes (&v)[8]) {
    for (int i = 0; i < 4; ++i) Butterfly<2>::run(v[i], v[i + 4]);
    v[5] = turned_by_1_8(v[5]);
    v[6] = times_minus_i(v[6]);
    v[7] = turned_by_3_8(v[7]);
    Butterfly<4>::run(v[0], v[1], v[2], v[3]);
    Butterfly<4>::run(v[4], v[5], v[6], v[7]);
    const Lanes w[8] = {v[0], v[4], v[1], v[5], v[2], v[6], v[3], v[7]};
    for (int i = 0; i < 8; ++i) v[i] = w[i];
  }
};

template <>
struct Butterfly<16> {
  EXITWAVE_INLINE static void run(Lanes (&v)[16]) {
    constexpr Real kCosine = Real(0.92387953251128675613);  // cos(pi / 8)
    constexpr Real kSine = Real(0.38268343236508977173);
    for (int i = 0; i < 4; ++i) Butterfly<4>::run(v[i], v[i + 4], v[i + 8], v[i + 12]);
    v[5] = v[5] * Complex{kCosine, -kSine};
    v[6] = turned_by_1_8(v[6]);
    v[7] = v[7] * Complex{kSine, -kCosine};
    v[9] = turned_by_1_8(v[9]);
    v[10] = times_minus_i(v[10]);
    v[11] = turned_by_3_8(v[11]);
    v[13] = v[13] * Complex{kSine, -kCosine};
    v[14] = turned_by_3_8(v[14]);
    v[15] = v[15] * Complex{-kCosine, kSine};
    for (int i = 0; i < 16; i += 4) Butterfly<4>::run(v[i], v[i + 1], v[i + 2], v[i + 3]);
    Lanes w[16];
    for (int i = 0; i < 16; ++i) w[i] = v[i % 4 * 4 + i / 4];
    for (int i = 0; i < 16; ++i) v[i] = w[i];
  }
};

}  // namespace exitwave::vector
