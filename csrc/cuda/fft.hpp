#pragma once

#include <cuda_runtime.h>
#include <cufft.h>

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "core/complex.hpp"
#include "core/direction.hpp"
#include "core/shape.hpp"
#include "core/view.hpp"
#include "cuda/scratch.hpp"

namespace exitwave::cuda {

// Binds cuFFT from a shared library. Throws DeviceError naming the library and what it lacks.
void load_cufft(const std::string& path);
bool cufft_is_loaded();
// "12.5.0", empty before a library is bound.
std::string cufft_version();

// Unscaled transforms of images of one size, in place, on one stream. A plan is made when a number
// of images comes for the first time; all plans share one work area. Where it is too small for a
// plan, fewer images are transformed at once.
class FftPlans {
 public:
  // `work_bytes`: of the work area, which only a single image can make larger.
  FftPlans(Memory& memory, cudaStream_t stream, int ny, int nx, std::size_t work_bytes);
  ~FftPlans();
  FftPlans(const FftPlans&) = delete;
  FftPlans& operator=(const FftPlans&) = delete;

  void execute(Extent n, BatchView<Complex> wave, Direction direction);

 private:
  // Images that one plan takes, and how far apart they are [pixels].
  using Key = std::pair<int, int>;

  struct Plan;

  void execute(Complex* first, int images, std::ptrdiff_t distance, Direction direction);
  // Null where the work area has no room for so many images.
  const Plan* plan(const Key& key);

  cudaStream_t stream_;
  int ny_;
  int nx_;
  int most_;  // images at once
  Scratch work_area_;
  std::map<Key, std::unique_ptr<Plan>> plans_;
};

}  // namespace exitwave::cuda
