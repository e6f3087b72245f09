#pragma once

#include <cuda_runtime.h>

#include <array>
#include <cstddef>

#include "core/gpu_needs.hpp"
#include "cuda/stream.hpp"

namespace exitwave::cuda {

// Copies of small things from the host that do not wait: they pass through pinned memory, and the
// source may be changed at once. All copies go to one stream.
class StagingRing {
 public:
  // Copies larger than this wait.
  static constexpr std::size_t kSegmentBytes = gpu::kStagingSegment;

  explicit StagingRing(cudaStream_t stream) : stream_(stream) {}
  ~StagingRing();
  StagingRing(const StagingRing&) = delete;
  StagingRing& operator=(const StagingRing&) = delete;

  void copy(void* target, const void* source, std::size_t bytes);

 private:
  // Waited for before it is filled again, which an iteration's end has made sure of long before.
  struct Segment {
    unsigned char* data = nullptr;
    Event copied;
  };

  cudaStream_t stream_;
  std::array<Segment, gpu::kStagingSegments> segments_;
  std::size_t segment_ = 0;
  std::size_t filled_ = 0;
};

}  // namespace exitwave::cuda
