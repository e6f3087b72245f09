#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "cuda/settings.hpp"
#include "engines/engine.hpp"

namespace exitwave {

struct CudaDevice {
  std::string name;
  std::size_t bytes = 0;
  std::size_t cache_bytes = 0;  // second level
};

// Empty where CUDA devices can be used, else the reason why not.
std::string why_no_cuda();
// What this build calls a CUDA device: "CUDA 13.0", or the stand-in that tests use.
std::string cuda_runtime_name();
// Throws DeviceError where none can be used. Asking takes nothing of the devices.
std::vector<CudaDevice> cuda_devices();
// What is free now; the process has a context on the device from then on.
std::size_t cuda_free_bytes(int device);

// Binds cuFFT, which every engine on a device needs, from a shared library.
void load_cufft_library(const std::string& path);
// Empty before a library is bound.
std::string cufft_library_version();

std::unique_ptr<Engine> make_cuda_engine(const CudaSettings& settings, const Scan& scan,
                                         const EngineOptions& options, const Complex* object,
                                         const Complex* probe);

}  // namespace exitwave
