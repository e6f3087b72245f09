#pragma once

#include <complex>
#include <vector>

#include "core/complex.hpp"
#include "core/scan.hpp"

namespace exitwave::test {

using Wave = std::vector<std::complex<double>>;  // (ny, nx)

// Unitary transform by its definition; `sign` -1 is forward.
Wave slow_transform(const Wave& wave, int ny, int nx, int sign);

struct SampleKind {
  bool fractional = false;
  bool near_field = false;
  int probe_modes = 1;
  int object_modes = 1;
};

// A simulated scan, 13 frames of 12 x 20, with the truth. Counts without noise, by the definitions
// of the transforms in double precision. Owns what `scan` borrows, so it must not be copied.
struct Sample {
  explicit Sample(const SampleKind& kind);
  Sample(const Sample&) = delete;
  Sample& operator=(const Sample&) = delete;

  // Frames 0, parts, 2 parts, ... in the first part, and so on: tiles overlap as much as they can.
  void cut_in_parts(int parts);

  SampleKind kind;
  std::vector<float> counts;
  std::vector<Complex> object;  // (object modes, ny, nx)
  std::vector<Complex> probe;   // (probe modes, ny, nx)
  std::vector<Complex> ones;    // start object
  Scan scan;
  double total_counts = 0;

 private:
  std::vector<double> intensity(int frame) const;
};

// |a - b| / |b|
double relative(const std::vector<Complex>& a, const std::vector<Complex>& b);

}  // namespace exitwave::test
