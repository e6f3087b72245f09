#pragma once

#include <cuda_runtime.h>

#include <atomic>
#include <cstddef>
#include <string>

#include "core/memory.hpp"
#include "cuda/check.hpp"
#include "cuda/staging.hpp"

namespace exitwave {

// Memory of one device, at most `limit` bytes of it (0: all). Copies from the host and zeros are
// queued on `stream`; a copy to the host waits for it. Not for use while lanes are given work. With
// `planning` it only counts.
class CudaMemory final : public Memory {
 public:
  CudaMemory(int device, cudaStream_t stream, std::size_t limit, bool planning = false)
      : name_("device " + cuda::name_of(device)),
        device_(device),
        stream_(stream),
        limit_(planning ? 0 : limit),
        planning_(planning),
        staging_(stream) {}

  void* allocate(std::size_t bytes) override;
  void deallocate(void* pointer, std::size_t bytes) noexcept override;
  void copy_from_host(void* target, const void* source, std::size_t bytes) override;
  void copy_to_host(void* target, const void* source, std::size_t bytes) override;
  void set_zero(void* target, std::size_t bytes) override;
  bool shared_with_host() const override { return false; }
  bool planning() const override { return planning_; }
  const std::string& name() const override { return name_; }
  std::size_t bytes_in_use() const override { return in_use_; }
  std::size_t peak_bytes() const override { return peak_; }

 private:
  std::string name_;
  int device_;
  cudaStream_t stream_;
  std::size_t limit_;
  bool planning_;
  cuda::StagingRing staging_;
  std::atomic<std::size_t> in_use_{0};
  std::atomic<std::size_t> peak_{0};
};

// Memory of the host from which devices copy without waiting. `limit` bytes at most (0: no limit).
class PinnedMemory final : public Memory {
 public:
  explicit PinnedMemory(std::size_t limit, bool planning = false)
      : limit_(planning ? 0 : limit), planning_(planning) {}

  void* allocate(std::size_t bytes) override;
  void deallocate(void* pointer, std::size_t bytes) noexcept override;
  void copy_from_host(void* target, const void* source, std::size_t bytes) override;
  void copy_to_host(void* target, const void* source, std::size_t bytes) override;
  void set_zero(void* target, std::size_t bytes) override;
  bool shared_with_host() const override { return true; }
  bool planning() const override { return planning_; }
  const std::string& name() const override { return name_; }
  std::size_t bytes_in_use() const override { return in_use_; }
  std::size_t peak_bytes() const override { return peak_; }

 private:
  std::string name_ = "host memory";
  std::size_t limit_;
  bool planning_;
  std::atomic<std::size_t> in_use_{0};
  std::atomic<std::size_t> peak_{0};
};

}  // namespace exitwave
