#pragma once

#include <memory>
#include <string>

#include "core/complex.hpp"
#include "core/direction.hpp"
#include "cpu/fast_fft.hpp"

namespace exitwave {

// Who makes transforms: the core's own code for the sizes that it supports and the library for the
// others, or the library alone.
enum class FftMaker { fastest, library };

// Transforms of one image size, unscaled, in place. Images must be aligned to 64 bytes.
class FftPlan {
 public:
  FftPlan(int ny, int nx, FftMaker maker);
  ~FftPlan();
  FftPlan(const FftPlan&) = delete;
  FftPlan& operator=(const FftPlan&) = delete;

  void execute(Complex* image, Direction direction) const;
  // The core's own transform, null where the library makes it.
  const FastFft* fast() const { return fast_.get(); }

 private:
  std::unique_ptr<const FastFft> fast_;
  // The library's plans, where there is no fast_.
  void* forward_ = nullptr;
  void* backward_ = nullptr;
};

// The plan of a size, made once per process.
std::shared_ptr<const FftPlan> fft_plan(int ny, int nx, FftMaker maker = FftMaker::fastest);

// Binds the FFTW3 single-precision interface of a shared library. `wisdom_path` is where measured
// plans are kept, so that the same machine makes the same plans; empty: plans are estimated.
// `always`: it makes the transforms of all sizes. Throws DeviceError naming the library and what it
// lacks.
void load_fft_library(const std::string& library_path, const std::string& wisdom_path,
                      bool always = false);

// Version string of the bound library, empty before one is bound.
std::string fft_library_version();

}  // namespace exitwave
