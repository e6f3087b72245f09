#include <cuda_runtime.h>

#include "core/error.hpp"
#include "cuda/check.hpp"
#include "cuda/engine.hpp"
#include "cuda/fft.hpp"

namespace exitwave {

namespace {

// 13010 -> "13.1"
std::string version(int number) {
  return std::to_string(number / 1000) + "." + std::to_string(number % 1000 / 10);
}

std::size_t attribute(cudaDeviceAttr which, int device) {
  int value = 0;
  cuda::check(cudaDeviceGetAttribute(&value, which, device), "asking for its properties");
  return std::size_t(value);
}

}  // namespace

std::string why_no_cuda() {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status == cudaSuccess && count > 0) return {};
  cudaGetLastError();
  int driver = 0;
  int runtime = 0;
  cudaDriverGetVersion(&driver);
  cudaRuntimeGetVersion(&runtime);
  if (driver == 0) return "there is no NVIDIA driver";
  if (driver / 1000 < runtime / 1000)
    return "the NVIDIA driver knows CUDA " + version(driver) + ", but this build needs " +
           version(runtime) + ", so the driver must be renewed";
  if (status == cudaSuccess || status == cudaErrorNoDevice) return "there is no NVIDIA GPU";
  return std::string("CUDA says: ") + cudaGetErrorString(status);
}

std::string cuda_runtime_name() {
#ifdef EXITWAVE_CUDA_ON_HOST
  return "a host stand-in for tests";
#else
  int runtime = 0;
  cudaRuntimeGetVersion(&runtime);
  return "CUDA " + version(runtime);
#endif
}

std::vector<CudaDevice> cuda_devices() {
  int count = 0;
  cuda::check(cudaGetDeviceCount(&count), "counting devices");
  std::vector<CudaDevice> devices;
  for (int number = 0; number < count; ++number) {
    cudaDeviceProp properties{};
    cuda::check(cudaGetDeviceProperties(&properties, number), "asking for its properties");
    CudaDevice device;
    device.name = properties.name;
    device.bytes = properties.totalGlobalMem;
    device.cache_bytes = attribute(cudaDevAttrL2CacheSize, number);
    devices.push_back(device);
  }
  return devices;
}

std::size_t cuda_free_bytes(int device) {
  const cuda::OnDevice on(device);
  std::size_t free = 0;
  std::size_t total = 0;
  cuda::check(cudaMemGetInfo(&free, &total), "asking for free memory");
  return free;
}

void load_cufft_library(const std::string& path) { cuda::load_cufft(path); }
std::string cufft_library_version() { return cuda::cufft_version(); }

}  // namespace exitwave
