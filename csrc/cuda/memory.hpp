#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <utility>
#include <vector>

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
      : Memory("device " + cuda::name_of(device), false, limit, planning, device),
        stream_(stream),
        staging_(stream) {}

  void finish() override;

 private:
  void* take(std::size_t bytes) override;
  void give_back(void* pointer) noexcept override;
  void write(void* target, const void* source, std::size_t bytes) override;
  void read(void* target, const void* source, std::size_t bytes) override;
  void clear(void* target, std::size_t bytes) override;
  void write_rows(void* target, const void* source, const Rows& rows) override;
  void read_rows(void* target, const void* source, const Rows& rows) override;

  cudaStream_t stream_;
  cuda::StagingRing staging_;
};

// Memory of the host from which devices copy without waiting.
class PinnedMemory final : public HostMemory {
 public:
  // `devices`: that copy from it.
  explicit PinnedMemory(std::size_t limit, bool planning = false, std::vector<int> devices = {0})
      : HostMemory("host memory", true, limit, planning), devices_(std::move(devices)) {}

  bool pin(const void* data, std::size_t bytes) override;
  // Waits for the devices, which may still copy from it where a run ended by an error.
  void let_go(const void* data) noexcept override;

 private:
  void* take(std::size_t bytes) override;
  void give_back(void* pointer) noexcept override;

  std::vector<int> devices_;
};

}  // namespace exitwave
