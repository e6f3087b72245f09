#include "cpu/fft.hpp"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <tuple>
#include <utility>

#include "core/error.hpp"
#include "core/shared_library.hpp"

namespace exitwave {

namespace {

using Plan = void*;

// FFTW3's published C interface (single precision); constants from its manual.
struct Library {
  Plan (*plan_dft_2d)(int, int, Complex*, Complex*, int, unsigned) = nullptr;
  void (*execute_dft)(Plan, Complex*, Complex*) = nullptr;
  void (*destroy_plan)(Plan) = nullptr;
  int (*import_wisdom)(const char*) = nullptr;
  int (*export_wisdom)(const char*) = nullptr;
  const char* version = nullptr;
  std::string wisdom_path;
  bool always = false;
};
constexpr unsigned kMeasure = 0;
constexpr unsigned kEstimate = 1U << 6;
constexpr int kForwardSign = -1;
constexpr int kBackwardSign = 1;

Library library;
std::mutex mutex;  // guards the library, its planner and the table of plans
std::map<std::tuple<int, int, FftMaker>, std::shared_ptr<const FftPlan>> plans;

// Wisdom is written beside and renamed, so that processes that start together cannot spoil it.
void save_wisdom() {
  if (library.wisdom_path.empty()) return;
  const std::string beside = library.wisdom_path + "." + std::to_string(getpid());
  if (library.export_wisdom(beside.c_str()) == 0 ||
      std::rename(beside.c_str(), library.wisdom_path.c_str()) != 0)
    std::remove(beside.c_str());
}

}  // namespace

void load_fft_library(const std::string& library_path, const std::string& wisdom_path,
                      bool always) {
  const std::lock_guard lock(mutex);
  const SharedLibrary file(
      "FFT", library_path,
      "name a library with the FFTW3 single-precision interface in EXITWAVE_FFT");
  Library loaded;
  file.bind("fftwf_plan_dft_2d", loaded.plan_dft_2d);
  file.bind("fftwf_execute_dft", loaded.execute_dft);
  file.bind("fftwf_destroy_plan", loaded.destroy_plan);
  file.bind("fftwf_import_wisdom_from_filename", loaded.import_wisdom);
  file.bind("fftwf_export_wisdom_to_filename", loaded.export_wisdom);
  file.bind("fftwf_version", loaded.version);
  loaded.wisdom_path = wisdom_path;
  loaded.always = always;
  plans.clear();
  library = std::move(loaded);
  if (!wisdom_path.empty()) library.import_wisdom(wisdom_path.c_str());
}

std::string fft_library_version() {
  const std::lock_guard lock(mutex);
  return library.version == nullptr ? std::string() : std::string(library.version);
}

FftPlan::FftPlan(int ny, int nx, FftMaker maker) {
  const bool own = maker == FftMaker::fastest && !library.always && FastFft::pays();
  if (own && FastFft::supports(ny, nx)) {
    fast_ = std::make_unique<const FastFft>(ny, nx);
    return;
  }
  const std::size_t bytes = (sizeof(Complex) * std::size_t(ny) * std::size_t(nx) + 63) / 64 * 64;
  const std::unique_ptr<void, decltype(&std::free)> image(std::aligned_alloc(64, bytes),
                                                          &std::free);
  auto* data = static_cast<Complex*>(image.get());
  const unsigned effort = library.wisdom_path.empty() ? kEstimate : kMeasure;
  forward_ = library.plan_dft_2d(ny, nx, data, data, kForwardSign, effort);
  backward_ = library.plan_dft_2d(ny, nx, data, data, kBackwardSign, effort);
  if (forward_ == nullptr || backward_ == nullptr)
    throw DeviceError("FFT: no plan for frames of " + std::to_string(ny) + " x " +
                      std::to_string(nx));
}

FftPlan::~FftPlan() {
  if (fast_) return;
  library.destroy_plan(forward_);
  library.destroy_plan(backward_);
}

void FftPlan::execute(Complex* image, Direction direction) const {
  if (fast_) return fast_->execute(image, direction);
  library.execute_dft(direction == Direction::forward ? forward_ : backward_, image, image);
}

std::shared_ptr<const FftPlan> fft_plan(int ny, int nx, FftMaker maker) {
  const std::lock_guard lock(mutex);
  if (library.plan_dft_2d == nullptr)
    throw DeviceError("FFT: no library is bound; install pyfftw or name one in EXITWAVE_FFT");
  auto& plan = plans[{ny, nx, maker}];
  if (!plan) {
    plan = std::make_shared<const FftPlan>(ny, nx, maker);
    if (!plan->fast()) save_wisdom();
  }
  return plan;
}

}  // namespace exitwave
