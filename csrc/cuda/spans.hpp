#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <deque>
#include <unordered_map>

#include "core/region.hpp"
#include "cuda/scratch.hpp"
#include "cuda/staging.hpp"

namespace exitwave::cuda {

// A region's spans in device memory.
struct DeviceSpans {
  const Span* spans = nullptr;
  int count = 0;
  int longest = 0;  // pixels
  std::size_t pixels = 0;
};

// Spans that a lane used last, kept on its device, so that a region which comes again is not copied
// again. The oldest make room for new ones.
class SpanCache {
 public:
  // Room for `bytes`, and more only where a single region needs it.
  SpanCache(Memory& memory, cudaStream_t stream, std::size_t bytes)
      : device_(memory, stream), staging_(stream) {
    device_.at_least(bytes);
  }

  // Holds for work that is given to the stream before the next call.
  DeviceSpans find(const Region& region);

 private:
  struct Entry {
    std::uint64_t id;
    std::size_t begin;  // bytes
    std::size_t end;
    DeviceSpans spans;
  };

  std::size_t make_room(std::size_t bytes);
  void forget_oldest();

  Scratch device_;
  StagingRing staging_;
  std::size_t head_ = 0;
  std::deque<Entry> entries_;  // in the order of their age
  std::unordered_map<std::uint64_t, DeviceSpans> by_id_;
};

}  // namespace exitwave::cuda
