#include "core/error.hpp"
#include "cuda/arrays.hpp"
#include "cuda/engine.hpp"

namespace exitwave {

namespace {
constexpr const char* kReason =
    "this build has no CUDA module, install it again where nvcc is, with -C "
    "cmake.define.EXITWAVE_CUDA=ON";
}

std::string why_no_cuda() { return kReason; }
std::string cuda_runtime_name() { return {}; }
std::vector<CudaDevice> cuda_devices() { throw DeviceError(kReason); }
std::size_t cuda_free_bytes(int) { throw DeviceError(kReason); }
void load_cufft_library(const std::string&) { throw DeviceError(kReason); }
std::string cufft_library_version() { return {}; }

int cuda_device_of(const void*) { throw DeviceError(kReason); }
void wait_for_cuda_stream(int, std::uintptr_t) { throw DeviceError(kReason); }
void wait_for_cuda_device(int) { throw DeviceError(kReason); }
std::string why_not_cuda_device(int) { return kReason; }
void copy_cuda_array(int, void*, const void*, std::size_t) { throw DeviceError(kReason); }
std::shared_ptr<void> make_cuda_array(int, std::size_t) { throw DeviceError(kReason); }
bool cuda_array_is_finite(int, const Complex*, std::size_t) { throw DeviceError(kReason); }
CountsSummary summarise_cuda_counts(const Counts&, int, int, std::size_t) {
  throw DeviceError(kReason);
}

std::unique_ptr<Engine> make_cuda_engine(const CudaSettings&, const Scan&, const EngineOptions&,
                                         const Complex*, const Complex*) {
  throw DeviceError(kReason);
}

}  // namespace exitwave
