#include "core/error.hpp"
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

std::unique_ptr<Engine> make_cuda_engine(const CudaSettings&, const Scan&, const EngineOptions&,
                                         const Complex*, const Complex*) {
  throw DeviceError(kReason);
}

}  // namespace exitwave
