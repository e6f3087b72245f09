#pragma once

#include <cmath>

#include "core/complex.hpp"

namespace exitwave::kernels {

// Numbers that stay where the lanes are, so that no update waits for the host. A body that needs
// one has prepare(), which a lane calls on its own copy of the body before the first pixel.

// Numbers that the parts found, one row of them for each part.
struct Across {
  const double* values = nullptr;  // of the first part
  int stride = 0;                  // from part to part
  int parts = 0;

  // Parts in order, so that everybody gets the same bits.
  EXITWAVE_HD double sum(int which = 0) const {
    double total = 0;
    for (int part = 0; part < parts; ++part) total += values[part * stride + which];
    return total;
  }
  EXITWAVE_HD double largest(int which = 0) const {
    double most = 0;
    for (int part = 0; part < parts; ++part) {
      const double value = values[part * stride + which];
      most = value > most ? value : most;
    }
    return most;
  }
};

// A number that the host knows.
struct Given {
  Real value;

  EXITWAVE_HD void prepare() {}
};

// factor * sum over parts
struct SumTimes {
  Across across;
  double factor;
  Real value = 0;

  EXITWAVE_HD void prepare() { value = Real(factor * across.sum()); }
};

// factor * largest over parts
struct LargestTimes {
  Across across;
  double factor;
  Real value = 0;

  EXITWAVE_HD void prepare() { value = Real(factor * across.largest()); }
};

// What brings a power to its target when multiplied onto a field, 1 where there is no power; or the
// inverse of it.
struct PowerFactor {
  Across power;
  double target;
  bool inverse;
  Real value = 1;

  EXITWAVE_HD void prepare() {
    using std::sqrt;
    const double p = power.sum();
    const Real factor = p > 0 ? Real(sqrt(target / p)) : Real(1);
    value = inverse ? 1 / factor : factor;
  }
};

}  // namespace exitwave::kernels
