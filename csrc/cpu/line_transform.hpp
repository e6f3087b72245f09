#pragma once

#include <cstddef>
#include <vector>

#include "core/complex.hpp"
#include "core/direction.hpp"

namespace exitwave {

// Transforms of one length, of as many lines at a time as a vector register has lanes, in place in
// a scratch: (length, re and im, lanes) reals. Decimation in frequency, so that results do not
// stand in order; whoever reads them asks for their place. Forward and backward differ in that
// place alone. The way back from there is the mirror image, decimation in time, whose results do.
class LineTransform {
 public:
  explicit LineTransform(int length);
  LineTransform(const LineTransform&) = delete;
  LineTransform& operator=(const LineTransform&) = delete;

  // Whether a length has only the prime factors 2, 3, 5 and 7, and is no prime.
  static bool supports(int length);

  int length() const { return length_; }
  // Reals in the scratch.
  std::size_t scratch_size() const;

  void run(Real* scratch) const;
  // The same of the columns of an image from `first` on; rows are `stride` apart.
  void run_columns(const Complex* first, std::ptrdiff_t stride, Real* scratch) const;
  // Frequency -> point of the scratch.
  const int* place(Direction d) const {
    return d == Direction::forward ? forward_place_.data() : backward_place_.data();
  }

 private:
  // Of `length` points into `radix` transforms of length / radix.
  struct Pass {
    int radix;
    int length;
    std::size_t twiddles;  // the first of (length / radix, radix - 1)
  };
  const Complex* twiddles(const Pass& pass) const { return &twiddles_[pass.twiddles]; }
  // Passes from `pass` on, of neighbouring transforms.
  void run_passes(std::size_t pass, int blocks, Real* scratch) const;

  int length_;
  std::vector<Pass> passes_;
  std::vector<Complex> twiddles_;
  std::vector<int> forward_place_;
  std::vector<int> backward_place_;
};

}  // namespace exitwave
