#include "cuda/memory.hpp"

#include <string>

#include "core/error.hpp"
#include "cuda/check.hpp"
#include "cuda/stream.hpp"

namespace exitwave {

using cuda::check;
using cuda::OnDevice;

void* CudaMemory::take(std::size_t bytes) {
  const OnDevice on(device_);
  void* pointer = nullptr;
  const cudaError_t status = cudaMalloc(&pointer, bytes);
  if (status != cudaErrorMemoryAllocation) {
    check(status, "taking memory");
    return pointer;
  }
  cudaGetLastError();  // forgets it: the device works on
  std::size_t free = 0;
  std::size_t total = 0;
  check(cudaMemGetInfo(&free, &total), "asking for free memory");
  throw OutOfMemory(name() + ": " + std::to_string(bytes) + " bytes asked for, " +
                    std::to_string(free) + " of " + std::to_string(total) +
                    " free; set a memory_limit, so that frames go there in blocks, or a smaller "
                    "batch, or more devices");
}

void CudaMemory::give_back(void* pointer) noexcept { cudaFree(pointer); }

void CudaMemory::write(void* target, const void* source, std::size_t bytes) {
  const OnDevice on(device_);
  staging_.copy(target, source, bytes);
}

void CudaMemory::read(void* target, const void* source, std::size_t bytes) {
  const OnDevice on(device_);
  check(cudaMemcpyAsync(target, source, bytes, cudaMemcpyDeviceToHost, stream_),
        "copying to the host");
  cuda::wait_on_host(stream_);
}

void CudaMemory::clear(void* target, std::size_t bytes) {
  const OnDevice on(device_);
  check(cudaMemsetAsync(target, 0, bytes, stream_), "setting memory to zero");
}

void* PinnedMemory::take(std::size_t bytes) {
  void* pointer = nullptr;
  const cudaError_t status = cudaHostAlloc(&pointer, bytes, cudaHostAllocPortable);
  if (status != cudaErrorMemoryAllocation) {
    check(status, "pinning host memory");
    return pointer;
  }
  cudaGetLastError();
  throw OutOfMemory(name() + ": " + std::to_string(bytes) +
                    " bytes asked for and not available; crop or bin the frames, or raise what "
                    "the system allows a process to lock");
}

void PinnedMemory::give_back(void* pointer) noexcept { cudaFreeHost(pointer); }

}  // namespace exitwave
