#pragma once

#include "core/complex.hpp"
#include "core/sums.hpp"
#include "core/view.hpp"

namespace exitwave::kernels {

// A sum over modes in two steps, between which the detector spreads its light: what a body sums is
// linear in the light, so that its sums are spread, and then it finishes with them.

// sums <- what Body sums over modes
template <class Body>
struct KeepSums {
  static constexpr int kSums = Body::kSums;
  static constexpr int kRoots = 0;
  static constexpr int kTotals = 0;

  Body body;
  BatchView<Real> sums;  // (frames, kSums, ny, nx), written

  EXITWAVE_HD Sums<kSums> term(Pixel p) const { return body.term(p); }
  EXITWAVE_HD Sums<0> finish(Pixel p, Sums<kSums> sum, Sums<0> none) const {
    for (int i = 0; i < kSums; ++i) sums({p.frame, i, p.y, p.x}) = sum.v[i];
    return none;
  }
};

// Body with sums that are there
template <class Body>
struct WithSums {
  static constexpr int kSums = Body::kSums;
  static constexpr int kRoots = Body::kRoots;
  static constexpr int kTotals = Body::kTotals;

  Body body;
  BatchView<const Real> sums;

  EXITWAVE_HD Sums<kSums> term(Pixel p) const {
    Sums<kSums> sum{};
    for (int i = 0; i < kSums; ++i) sum.v[i] = sums({p.frame, i, p.y, p.x});
    return sum;
  }
  EXITWAVE_HD Sums<kRoots> root_of(Pixel p, Sums<kSums> sum) const { return body.root_of(p, sum); }
  EXITWAVE_HD Sums<kTotals> finish(Pixel p, Sums<kSums> sum, Sums<kRoots> inverse) const {
    return body.finish(p, sum, inverse);
  }
};

// target <- source
struct CopyImages {
  BatchView<Real> target;
  BatchView<const Real> source;

  EXITWAVE_HD void operator()(Pixel p) const { target(p) = source(p); }
};

}  // namespace exitwave::kernels
