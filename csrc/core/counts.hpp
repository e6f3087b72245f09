#pragma once

#include <cstddef>
#include <cstdint>

#include "core/error.hpp"
#include "core/place.hpp"

namespace exitwave {

// Detector counts stay in the type that they came in and become Real only on their way to a lane.
enum class CountType { uint8, uint16, uint32, float32 };

inline std::size_t bytes_of(CountType type) {
  switch (type) {
    case CountType::uint8:
      return 1;
    case CountType::uint16:
      return 2;
    default:
      return 4;
  }
}

// Frames of (ny, nx) counts, one after the other, zero frequency in the middle. Does not own.
struct Counts {
  const void* data = nullptr;
  CountType type = CountType::uint16;
  int device = kOnHost;  // where they are: kOnHost, or the number of a GPU
};

// Calls f with a typed pointer to the counts.
template <class F>
void with_counts(const Counts& counts, F&& f) {
  switch (counts.type) {
    case CountType::uint8:
      return f(static_cast<const std::uint8_t*>(counts.data));
    case CountType::uint16:
      return f(static_cast<const std::uint16_t*>(counts.data));
    case CountType::uint32:
      return f(static_cast<const std::uint32_t*>(counts.data));
    case CountType::float32:
      return f(static_cast<const float*>(counts.data));
  }
  throw InvalidArgument("data: unknown count type");
}

}  // namespace exitwave
