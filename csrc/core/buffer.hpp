#pragma once

#include <cstddef>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/memory.hpp"

namespace exitwave {

// Owns `size` elements in one memory; starts at zero.
template <class T>
class Buffer {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  Buffer() = default;
  Buffer(Memory& memory, std::size_t size) : memory_(&memory), size_(size) {
    if (size_ == 0) return;
    data_ = static_cast<T*>(memory.allocate(bytes()));
    memory.set_zero(data_, bytes());
  }
  Buffer(Memory& memory, const std::vector<T>& values) : Buffer(memory, values.size()) {
    upload(values.data());
  }
  Buffer(Buffer&& other) noexcept { swap(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    swap(other);
    return *this;
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() {
    if (data_ != nullptr) memory_->deallocate(data_, bytes());
  }

  T* data() { return data_; }
  const T* data() const { return data_; }
  std::size_t size() const { return size_; }
  std::size_t bytes() const { return size_ * sizeof(T); }

  void upload(const T* source) {
    if (size_ != 0) memory_->copy_from_host(data_, source, bytes());
  }
  // Elements [first, first + count).
  void upload(const T* source, std::size_t first, std::size_t count) {
    if (count != 0) memory_->copy_from_host(data_ + first, source, count * sizeof(T));
  }
  void download(T* target) const {
    if (size_ != 0) memory_->copy_to_host(target, data_, bytes());
  }
  void download(T* target, std::size_t first, std::size_t count) const {
    if (count != 0) memory_->copy_to_host(target, data_ + first, count * sizeof(T));
  }
  void set_zero() {
    if (size_ != 0) memory_->set_zero(data_, bytes());
  }

 private:
  void swap(Buffer& other) noexcept {
    std::swap(memory_, other.memory_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
  }

  Memory* memory_ = nullptr;
  T* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace exitwave
