#pragma once

#include <cstddef>
#include <vector>

#include "core/complex.hpp"
#include "core/direction.hpp"

namespace exitwave {

// Transforms of one length, of as many lines at a time as a vector register has lanes: decimation
// in frequency, in place in a scratch that fits the first cache; results are put in order while
// they are written to the image. Forward and backward differ in that order alone.
class LineTransform {
 public:
  explicit LineTransform(int length);
  LineTransform(const LineTransform&) = delete;
  LineTransform& operator=(const LineTransform&) = delete;

  // Whether a length has only the prime factors 2, 3, 5 and 7, and is no prime.
  static bool supports(int length);

  int length() const { return length_; }
  // Reals of scratch that a transform needs: (length, re and im, lanes).
  std::size_t scratch_size() const;

  // The columns of the image from `first` on; rows are `stride` apart.
  void columns(Complex* first, std::ptrdiff_t stride, Direction direction, Real* scratch) const;
  // Lines that stand in the scratch; frequency k of the result is at place(direction)[k].
  void in_scratch(Real* scratch) const;
  const int* place(Direction direction) const { return order(direction).place.data(); }

 private:
  // Of `length` points into `radix` transforms of length / radix.
  struct Pass {
    int radix;
    int length;
    std::size_t twiddles;  // the first of (length / radix, radix - 1)
  };
  struct Order {
    std::vector<int> frequency;  // of what stands at a place of the scratch
    std::vector<int> place;      // of a frequency
  };

  const Order& order(Direction d) const { return d == Direction::forward ? forward_ : backward_; }
  // Passes from `pass` on for neighbouring transforms; last(offset, blocks) is the last of them.
  template <class Last>
  void run_passes(std::size_t pass, int offset, int blocks, Real* scratch, const Last& last) const;

  int length_;
  std::vector<Pass> passes_;
  std::vector<Complex> twiddles_;
  Order forward_;
  Order backward_;
};

// Transforms of images, (ny, nx), unscaled and in place, by this project's own code, which is
// compiled for the processor's vector extensions.
class FastFft {
 public:
  FastFft(int ny, int nx) : along_y_(ny), along_x_(nx) {}

  static bool supports(int ny, int nx) {
    return LineTransform::supports(ny) && LineTransform::supports(nx);
  }

  void execute(Complex* image, Direction direction) const;

 private:
  // Along y and along x.
  void columns(Complex* image, Direction direction, Real* scratch) const;
  void rows(Complex* image, Direction direction, Real* scratch) const;

  LineTransform along_y_;
  LineTransform along_x_;
};

}  // namespace exitwave
