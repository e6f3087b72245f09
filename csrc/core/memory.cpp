#include "core/memory.hpp"

#include <algorithm>

#include "core/error.hpp"

namespace exitwave {

namespace {
// Never looked at, but aligned as all pointers are.
alignas(256) unsigned char planned[1];
}  // namespace

void Memory::count(std::size_t bytes) {
  const std::size_t in_use = in_use_ += bytes;
  if (limit_ == 0 || in_use <= limit_ || planning_) return;
  in_use_ -= bytes;
  throw OutOfMemory(name_ + ": " + std::to_string(bytes) + " bytes asked for, " +
                    std::to_string(limit_ - std::min(limit_, in_use - bytes)) + " of " +
                    std::to_string(limit_) + " free; raise memory_limit or use more devices");
}

void Memory::note(std::size_t bytes) {
  uses_[use_] += bytes;
  const std::size_t in_use = in_use_;
  for (std::size_t peak = peak_; peak < in_use && !peak_.compare_exchange_weak(peak, in_use);) {
  }
}

void* Memory::allocate(std::size_t bytes) {
  count(bytes);
  void* pointer = planned;
  try {
    if (!planning_) pointer = take(bytes);
  } catch (...) {
    in_use_ -= bytes;
    throw;
  }
  note(bytes);
  return pointer;
}

void Memory::reserve(const char* use, std::size_t bytes) {
  account(use);
  count(bytes);
  note(bytes);
}

void Memory::deallocate(void* pointer, std::size_t bytes) noexcept {
  if (!planning_) give_back(pointer);
  in_use_ -= bytes;
}

}  // namespace exitwave
