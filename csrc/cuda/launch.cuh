#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <string>

#include "core/error.hpp"
#include "core/gpu_needs.hpp"
#include "core/macros.hpp"
#include "cuda/check.hpp"
#include "cuda/stream.hpp"

namespace exitwave::cuda {

using gpu::blocks_for;
using gpu::kThreads;

// Shared memory of the block, for launches that ask for it.
extern __shared__ __align__(16) unsigned char shared_bytes[];

// The one kernel: a task is a struct whose call is what a thread does.
template <class Task>
__global__ void __launch_bounds__(kThreads, 4) execute(const __grid_constant__ Task task) {
  task();
}

// Blocks of kThreads threads. `shared_memory` in bytes; a task whose threads wait for each other
// needs some.
template <class Task>
void launch(cudaStream_t stream, std::size_t blocks, std::size_t shared_memory, const Task& task) {
  if (blocks == 0) return;
  if (blocks > 0x7FFFFFFF)
    throw DeviceError("a launch of " + std::to_string(blocks) +
                      " blocks is too large for CUDA; set a smaller batch");
  cudaLaunchConfig_t config{};
  config.gridDim = dim3{unsigned(blocks), 1, 1};
  config.blockDim = dim3{unsigned(kThreads), 1, 1};
  config.dynamicSmemBytes = shared_memory;
  config.stream = stream;
  check(cudaLaunchKernelEx(&config, execute<Task>, task), "a launch");
  if (waits_after_each_launch()) wait_on_host(stream);
}

// A body on a thread's own copy, which has looked up what it keeps in registers.
template <class Body>
EXITWAVE_HD Body prepared(Body body) {
  if constexpr (requires { body.prepare(); }) body.prepare();
  return body;
}

}  // namespace exitwave::cuda
