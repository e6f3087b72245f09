#include "cuda/fft.hpp"

#include <algorithm>
#include <mutex>

#include "core/error.hpp"
#include "core/shared_library.hpp"
#include "cuda/check.hpp"

namespace exitwave::cuda {

namespace {

struct Library {
  decltype(&cufftCreate) create = nullptr;
  decltype(&cufftDestroy) destroy = nullptr;
  decltype(&cufftSetAutoAllocation) set_auto_allocation = nullptr;
  decltype(&cufftMakePlanMany) make_plan_many = nullptr;
  decltype(&cufftSetWorkArea) set_work_area = nullptr;
  decltype(&cufftSetStream) set_stream = nullptr;
  decltype(&cufftExecC2C) execute = nullptr;
  decltype(&cufftGetVersion) get_version = nullptr;
};

Library library;
std::mutex mutex;

// Numbers of pixels are ints in plans.
constexpr std::ptrdiff_t kMostPixels = std::ptrdiff_t(1) << 30;

void check_cufft(cufftResult status, const char* tried) {
  if (status == CUFFT_SUCCESS) return;
  cudaGetLastError();
  const std::string what =
      std::string("cuFFT: ") + tried + " failed with code " + std::to_string(int(status));
  if (status == CUFFT_ALLOC_FAILED)
    throw OutOfMemory(what + ", out of memory; set a smaller batch, or a memory_limit");
  throw DeviceError(what + "; run again, and if it fails again, with another cuFFT");
}

}  // namespace

void load_cufft(const std::string& path) {
  const std::lock_guard lock(mutex);
  const SharedLibrary file("cuFFT", path,
                           "install nvidia-cufft, or name cuFFT's library in EXITWAVE_CUFFT");
  Library loaded;
  file.bind("cufftCreate", loaded.create);
  file.bind("cufftDestroy", loaded.destroy);
  file.bind("cufftSetAutoAllocation", loaded.set_auto_allocation);
  file.bind("cufftMakePlanMany", loaded.make_plan_many);
  file.bind("cufftSetWorkArea", loaded.set_work_area);
  file.bind("cufftSetStream", loaded.set_stream);
  file.bind("cufftExecC2C", loaded.execute);
  file.bind("cufftGetVersion", loaded.get_version);
  library = loaded;
}

bool cufft_is_loaded() {
  const std::lock_guard lock(mutex);
  return library.create != nullptr;
}

std::string cufft_version() {
  const std::lock_guard lock(mutex);
  int number = 0;
  if (library.get_version == nullptr || library.get_version(&number) != CUFFT_SUCCESS) return {};
  return std::to_string(number / 1000) + "." + std::to_string(number / 100 % 10) + "." +
         std::to_string(number % 100);
}

struct FftPlans::Plan {
  Plan() { check_cufft(library.create(&handle), "making a plan"); }
  ~Plan() { library.destroy(handle); }
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;

  cufftHandle handle = 0;
};

FftPlans::FftPlans(Memory& memory, cudaStream_t stream, int ny, int nx, std::size_t work_bytes)
    : stream_(stream),
      ny_(ny),
      nx_(nx),
      most_(int(std::max<std::ptrdiff_t>(1, kMostPixels / (std::ptrdiff_t(ny) * nx)))),
      work_area_(memory, stream) {
  if (!cufft_is_loaded())
    throw DeviceError(
        "cuFFT: no library is bound; install nvidia-cufft or name cuFFT's library in "
        "EXITWAVE_CUFFT");
  work_area_.at_least(work_bytes);
}

FftPlans::~FftPlans() = default;

void FftPlans::execute(Extent n, BatchView<Complex> wave, Direction direction) {
  if (n.frames == 0 || n.modes == 0) return;
  // Images of a batch are evenly spaced; else frames are taken one by one.
  if (n.frames == 1 || wave.frame_stride == n.modes * wave.mode_stride)
    return execute(wave.data, n.frames * n.modes, wave.mode_stride, direction);
  for (int frame = 0; frame < n.frames; ++frame)
    execute(wave.data + frame * wave.frame_stride, n.modes, wave.mode_stride, direction);
}

void FftPlans::execute(Complex* first, int images, std::ptrdiff_t distance, Direction direction) {
  if (images == 1) distance = std::ptrdiff_t(ny_) * nx_;
  for (int done = 0; done < images;) {
    const int some = std::min(most_, images - done);
    const Plan* p = plan({some, int(distance)});
    if (p == nullptr) {
      most_ = some / 2;
      continue;
    }
    auto* data = reinterpret_cast<cufftComplex*>(first + done * distance);
    check_cufft(library.execute(p->handle, data, data,
                                direction == Direction::forward ? CUFFT_FORWARD : CUFFT_INVERSE),
                "a transform");
    done += some;
  }
}

const FftPlans::Plan* FftPlans::plan(const Key& key) {
  const auto known = plans_.find(key);
  if (known != plans_.end()) return known->second.get();
  auto made = std::make_unique<Plan>();
  auto [images, distance] = key;
  int n[2] = {ny_, nx_};
  std::size_t bytes = 0;
  check_cufft(library.set_auto_allocation(made->handle, 0), "making a plan");
  check_cufft(library.make_plan_many(made->handle, 2, n, n, 1, distance, n, 1, distance, CUFFT_C2C,
                                     images, &bytes),
              "making a plan");
  check_cufft(library.set_stream(made->handle, stream_), "making a plan");
  if (bytes > work_area_.bytes() && images > 1) return nullptr;
  // All plans must be told where the work area is, which may have moved.
  void* area = work_area_.at_least(bytes);
  const Plan* result = (plans_[key] = std::move(made)).get();
  for (const auto& [other, plan] : plans_)
    check_cufft(library.set_work_area(plan->handle, area), "making a plan");
  return result;
}

}  // namespace exitwave::cuda
