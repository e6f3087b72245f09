#pragma once

#include <cstddef>
#include <vector>

#include "core/complex.hpp"
#include "core/direction.hpp"

namespace exitwave {

// Transforms of single rows, where a register holds neighbours of the row: passes until every
// register holds a transform of its own, and then as many of these as a register has lanes at a
// time, transposed. Reads and writes memory in order, and its scratch is one row, so that it is
// faster than rows side by side where those do not fit the first cache: from 512 points on. Only
// for multiples of the lanes squared.
class RowTransform {
 public:
  explicit RowTransform(int length);
  RowTransform(const RowTransform&) = delete;
  RowTransform& operator=(const RowTransform&) = delete;

  static bool supports(int length);
  // Reals in the scratch.
  std::size_t scratch_size() const { return 2 * std::size_t(length_); }

  void run(Complex* row, Direction direction, Real* scratch) const;

 private:
  // Of `length` points into `radix` transforms of length / radix.
  struct Pass {
    int radix;
    int length;
    std::size_t twiddles;  // the first of (registers, radix - 1, re and im, lanes)
  };

  template <bool Exchange>
  void run(Complex* row, Real* scratch) const;
  void run_passes(std::size_t pass, int blocks, Real* scratch) const;
  template <bool Exchange>
  void write(Complex* row, const Real* scratch) const;
  const Real* twiddles(const Pass& pass) const { return &twiddles_[pass.twiddles]; }

  int length_;
  std::vector<Pass> passes_;
  std::vector<Real> twiddles_;
  std::vector<int> register_of_;  // frequency, modulo registers -> register of the scratch
};

}  // namespace exitwave
