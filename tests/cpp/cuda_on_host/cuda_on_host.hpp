#pragma once

#include <cstddef>
#include <functional>

#include "cuda_runtime.h"

// What tests can ask of the stand-in for the CUDA runtime.
namespace cuda_on_host {

struct Options {
  int devices = 2;
  std::size_t memory = std::size_t(1) << 30;  // bytes of each device
  bool peers = true;                          // devices see each other's memory
  bool pinnable = true;                       // memory that somebody else took can be pinned
  unsigned seed = 1;                          // of the order in which queued work is done
  bool guarded = true;                        // memory of devices is closed to the host
};

// Starts anew; nothing of before may still exist. Without it the environment's
// EXITWAVE_CUDA_ON_HOST="devices=3 memory=1000000 peers=0 pinnable=0 seed=5 guarded=0" holds, each
// of them optional.
void configure(const Options& options);

// From now on every call that concerns the device fails, as after a hardware error; false: it is
// well again.
void break_device(int device, bool broken = true);

// Operations done so far: launches, copies and transforms.
long operations_done();
// Bytes allocated on a device.
std::size_t bytes_in_use(int device);

// Queues work on a stream, as a library's kernels would be.
cudaError_t enqueue(cudaStream_t stream, std::function<void()> work);

}  // namespace cuda_on_host
