#pragma once

#include <memory>
#include <string>

#include "core/complex.hpp"
#include "core/direction.hpp"

namespace exitwave {

// Transforms of one image size, unscaled, in place. Images must be aligned to 64 bytes.
class FftPlan {
 public:
  FftPlan(int ny, int nx);
  ~FftPlan();
  FftPlan(const FftPlan&) = delete;
  FftPlan& operator=(const FftPlan&) = delete;

  void execute(Complex* image, Direction direction) const;

 private:
  void* forward_;
  void* backward_;
};

// The plan of a size, made once per process.
std::shared_ptr<const FftPlan> fft_plan(int ny, int nx);

// Binds the FFTW3 single-precision interface of a shared library. `wisdom_path` is where measured
// plans are kept, so that the same machine makes the same plans; empty: plans are estimated.
// Throws DeviceError naming the library and what it lacks.
void load_fft_library(const std::string& library_path, const std::string& wisdom_path);

// Version string of the bound library, empty before one is bound.
std::string fft_library_version();

}  // namespace exitwave
