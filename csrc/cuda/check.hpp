#pragma once

#include <cuda_runtime.h>

#include <string>

namespace exitwave::cuda {

// "cuda:1"
std::string name_of(int device);

// Throws DeviceError, which names the current device, what was tried and why it failed.
void check(cudaError_t status, const char* tried);

// EXITWAVE_SYNC=1: every launch is waited for, so that an error shows where it arose.
bool waits_after_each_launch();

// Makes a device the current one of this thread, until it goes out of scope.
class OnDevice {
 public:
  [[nodiscard]] explicit OnDevice(int device);
  ~OnDevice();
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;

 private:
  int before_ = 0;
};

}  // namespace exitwave::cuda
