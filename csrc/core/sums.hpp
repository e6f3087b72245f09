#pragma once

#include "core/complex.hpp"

namespace exitwave {

// A few numbers that are summed together, over modes or over pixels.
template <int N>
struct Sums {
  Real v[N > 0 ? N : 1];
};

}  // namespace exitwave
