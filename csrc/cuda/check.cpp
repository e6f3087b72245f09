#include "cuda/check.hpp"

#include <cstdlib>
#include <string_view>

#include "core/error.hpp"

namespace exitwave::cuda {

std::string name_of(int device) { return "cuda:" + std::to_string(device); }

void check(cudaError_t status, const char* tried) {
  if (status == cudaSuccess) return;
  int device = 0;
  cudaGetDevice(&device);
  // An error that is not the end of the device must not be found again by the next check.
  cudaGetLastError();
  throw DeviceError("device " + name_of(device) + ": " + tried +
                    " failed: " + cudaGetErrorString(status) + " (" + cudaGetErrorName(status) +
                    "); run again, and if it fails again, in a new process or on another device");
}

bool waits_after_each_launch() {
  static const bool waits = [] {
    const char* value = std::getenv("EXITWAVE_SYNC");
    return value != nullptr && std::string_view(value) == "1";
  }();
  return waits;
}

OnDevice::OnDevice(int device) {
  check(cudaGetDevice(&before_), "asking for the current device");
  check(cudaSetDevice(device), "choosing it");
}

OnDevice::~OnDevice() { cudaSetDevice(before_); }

}  // namespace exitwave::cuda
