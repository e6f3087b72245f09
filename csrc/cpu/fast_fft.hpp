#pragma once

#include <memory>

#include "core/complex.hpp"
#include "core/direction.hpp"
#include "cpu/line_transform.hpp"
#include "cpu/row_transform.hpp"

namespace exitwave {

// Transforms of images, (ny, nx), unscaled and in place, by this project's own code, which is
// compiled for the processor's vector extensions.
class FastFft {
 public:
  FastFft(int ny, int nx);

  static bool supports(int ny, int nx) {
    return LineTransform::supports(ny) && LineTransform::supports(nx);
  }
  // Whether registers are wide enough for it to be faster than a library.
  static bool pays();

  void execute(Complex* image, Direction direction) const;

 private:
  // Neighbouring columns of an image.
  struct Band {
    int x;
    int width;
  };

  void columns(Complex* image, Direction direction, Real* scratch) const;
  void rows(Complex* image, Direction direction, Real* scratch) const;
  void read_band(const Complex* image, Band band, Real* scratch) const;
  void write_band(Complex* image, Band band, Direction direction, const Real* scratch) const;

  LineTransform along_y_;
  LineTransform along_x_;
  std::unique_ptr<const RowTransform> row_;  // in place of along_x_, where it can
};

}  // namespace exitwave
