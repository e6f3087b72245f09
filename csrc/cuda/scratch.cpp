#include "cuda/scratch.hpp"

#include "cuda/check.hpp"
#include "cuda/stream.hpp"

namespace exitwave::cuda {

Scratch::~Scratch() {
  if (data_ != nullptr) memory_.deallocate(data_, bytes_);
}

void* Scratch::at_least(std::size_t bytes) {
  if (bytes <= bytes_) return data_;
  wait_on_host(stream_);
  if (data_ != nullptr) memory_.deallocate(data_, bytes_);
  data_ = nullptr;
  bytes_ = 0;
  memory_.account("lanes");
  data_ = memory_.allocate(bytes);
  bytes_ = bytes;
  check(cudaMemsetAsync(data_, 0, bytes, stream_), "setting memory to zero");
  return data_;
}

}  // namespace exitwave::cuda
