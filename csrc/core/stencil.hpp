#pragma once

#include "core/complex.hpp"
#include "core/shape.hpp"

namespace exitwave {

// A small image of odd lengths that larger ones are correlated with,
//   target(r) = sum_k weights(k) source(r + k), k counted from its middle,
// where neighbours are those on the detector and nothing comes from beyond its edge. Does not own.
struct Stencil {
  const Real* weights;  // (ny, nx)
  int ny;
  int nx;
  Corner first;  // pixel of the detector that images have as their first one
};

}  // namespace exitwave
