#pragma once

#include <cuda_runtime.h>

#include <cstddef>

#include "core/memory.hpp"

namespace exitwave::cuda {

// Memory that one stream's work uses between launches. It grows when more is asked for, which
// happens in the first iteration only; what it held is then lost, and all of it zero.
class Scratch {
 public:
  Scratch(Memory& memory, cudaStream_t stream) : memory_(memory), stream_(stream) {}
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  void* at_least(std::size_t bytes);
  std::size_t bytes() const { return bytes_; }

 private:
  Memory& memory_;
  cudaStream_t stream_;
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace exitwave::cuda
