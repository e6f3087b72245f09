#include "cuda/staging.hpp"

#include <cstring>

#include "cuda/check.hpp"

namespace exitwave::cuda {

namespace {
constexpr std::size_t kAligned = 64;
}

StagingRing::~StagingRing() {
  cudaStreamSynchronize(stream_);
  for (const Segment& segment : segments_) cudaFreeHost(segment.data);
}

void StagingRing::copy(void* target, const void* source, std::size_t bytes) {
  if (bytes == 0) return;
  if (bytes > kSegmentBytes) {
    check(cudaMemcpyAsync(target, source, bytes, cudaMemcpyHostToDevice, stream_),
          "copying from the host");
    return wait_on_host(stream_);
  }
  if (filled_ + bytes > kSegmentBytes) {
    segments_[segment_].copied.record(stream_);
    segment_ = (segment_ + 1) % segments_.size();
    segments_[segment_].copied.wait_on_host();
    filled_ = 0;
  }
  Segment& segment = segments_[segment_];
  if (segment.data == nullptr) {
    void* data = nullptr;
    check(cudaHostAlloc(&data, kSegmentBytes, cudaHostAllocPortable), "pinning host memory");
    segment.data = static_cast<unsigned char*>(data);
  }
  unsigned char* staged = segment.data + filled_;
  std::memcpy(staged, source, bytes);
  check(cudaMemcpyAsync(target, staged, bytes, cudaMemcpyHostToDevice, stream_),
        "copying from the host");
  filled_ += (bytes + kAligned - 1) / kAligned * kAligned;
}

}  // namespace exitwave::cuda
