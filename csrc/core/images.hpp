#pragma once

#include <cstddef>

#include "core/buffer.hpp"
#include "core/view.hpp"

namespace exitwave {

// Owns images of one size, (frames, modes, ny, nx), each aligned as transforms need it.
template <class T>
class Images {
 public:
  Images() = default;
  Images(Memory& memory, Extent n)
      : n_(n),
        stride_((std::ptrdiff_t(n.ny) * n.nx + kAligned - 1) / kAligned * kAligned),
        buffer_(memory, std::size_t(n.frames) * std::size_t(n.modes) * std::size_t(stride_)) {}

  BatchView<T> view() { return {buffer_.data(), stride_ * n_.modes, stride_, n_.nx}; }
  // The first frame, for every frame of a batch.
  BatchView<T> repeated() { return {buffer_.data(), 0, stride_, n_.nx}; }
  Extent extent() const { return n_; }
  Buffer<T>& buffer() { return buffer_; }

 private:
  static constexpr std::ptrdiff_t kAligned = 64 / sizeof(T);

  Extent n_;
  std::ptrdiff_t stride_ = 0;
  Buffer<T> buffer_;
};

}  // namespace exitwave
