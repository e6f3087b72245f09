#include "check.hpp"
#include "core/error.hpp"
#include "cuda/engine.hpp"

namespace exitwave {

namespace {

TEST("a build without CUDA says so, and how to get one with it") {
  CHECK(why_no_cuda().find("EXITWAVE_CUDA=ON") != std::string::npos);
  CHECK(cuda_runtime_name().empty());
  test::check_throws<DeviceError>("no CUDA module", [] { cuda_devices(); });
  test::check_throws<DeviceError>("no CUDA module", [] { load_cufft_library("libcufft.so"); });
  test::check_throws<DeviceError>(
      "no CUDA module", [] { make_cuda_engine({}, Scan{}, EngineOptions{}, nullptr, nullptr); });
}

}  // namespace

}  // namespace exitwave
