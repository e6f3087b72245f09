#pragma once

#include <cuda_runtime.h>

#include <cstddef>

#include "core/host_memory.hpp"
#include "core/memory.hpp"
#include "cuda/check.hpp"
#include "cuda/staging.hpp"

namespace exitwave {

// Memory of one device. Copies from the host and zeros are queued on `stream`; a copy to the host
// waits for it. Not for use while lanes are given work.
class CudaMemory final : public Memory {
 public:
  CudaMemory(int device, cudaStream_t stream, std::size_t limit, bool planning = false)
      : Memory("device " + cuda::name_of(device), false, limit, planning),
        device_(device),
        stream_(stream),
        staging_(stream) {}

 private:
  void* take(std::size_t bytes) override;
  void give_back(void* pointer) noexcept override;
  void write(void* target, const void* source, std::size_t bytes) override;
  void read(void* target, const void* source, std::size_t bytes) override;
  void clear(void* target, std::size_t bytes) override;

  int device_;
  cudaStream_t stream_;
  cuda::StagingRing staging_;
};

// Memory of the host from which devices copy without waiting.
class PinnedMemory final : public HostMemory {
 public:
  explicit PinnedMemory(std::size_t limit, bool planning = false)
      : HostMemory("host memory", true, limit, planning) {}

 private:
  void* take(std::size_t bytes) override;
  void give_back(void* pointer) noexcept override;
};

}  // namespace exitwave
