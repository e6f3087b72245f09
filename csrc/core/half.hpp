#pragma once

#include <cstdint>
#include <cstring>

#include "core/complex.hpp"

namespace exitwave {

// Two IEEE half-precision numbers. Conversions are written out, in a form that vectorises on any
// processor: few have instructions that compilers use by themselves.
struct HalfComplex {
  std::uint16_t re;
  std::uint16_t im;
};

namespace half {

EXITWAVE_HD float from_bits(std::uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}
EXITWAVE_HD std::uint32_t to_bits(float value) {
  std::uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

// Between the exponents of both formats lie 112 = 127 - 15.
inline constexpr std::uint32_t kExponentShift = 112U << 23;
inline constexpr std::uint32_t kSmallestNormal = 113U << 23;  // 2^-14 as float
inline constexpr std::uint32_t kInfinity = 0x7F800000U;

EXITWAVE_HD float widen(std::uint16_t h) {
  const std::uint32_t magnitude = std::uint32_t(h & 0x7FFFU) << 13;
  const std::uint32_t sign = std::uint32_t(h & 0x8000U) << 16;
  const std::uint32_t normal = magnitude + kExponentShift;
  // Below the smallest normal number the mantissa has no leading one: put it there, take it away.
  const std::uint32_t small =
      to_bits(from_bits(magnitude + kSmallestNormal) - from_bits(kSmallestNormal));
  const std::uint32_t special = normal + kExponentShift;  // infinity and NaN stay what they are
  const std::uint32_t finite = magnitude < (1U << 23) ? small : normal;
  return from_bits((magnitude >= (31U << 23) ? special : finite) | sign);
}

// To the nearest, ties to even; what is too large becomes infinite.
EXITWAVE_HD std::uint16_t narrow(float value) {
  const std::uint32_t bits = to_bits(value);
  const std::uint32_t magnitude = bits & 0x7FFFFFFFU;
  const std::uint32_t normal =
      (magnitude - kExponentShift + 0xFFFU + ((magnitude >> 13) & 1U)) >> 13;
  // Adding 2^-1 leaves the multiples of 2^-24, rounded, in the last bits.
  constexpr std::uint32_t kHalf = 126U << 23;
  const std::uint32_t small = to_bits(from_bits(magnitude) + from_bits(kHalf)) - kHalf;
  const std::uint32_t special = magnitude > kInfinity ? 0x7E00U : 0x7C00U;
  const std::uint32_t finite = magnitude < kSmallestNormal ? small : normal;
  const std::uint32_t result =
      magnitude >= (143U << 23) ? special : (finite > 0x7C00U ? 0x7C00U : finite);
  return std::uint16_t(result | ((bits >> 16) & 0x8000U));
}

}  // namespace half

EXITWAVE_HD Complex load(const HalfComplex& from) {
  return {half::widen(from.re), half::widen(from.im)};
}
EXITWAVE_HD void store(HalfComplex& to, Complex value) {
  to.re = half::narrow(value.re);
  to.im = half::narrow(value.im);
}

}  // namespace exitwave
