#include "cpu/memory.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>

#include "core/error.hpp"

namespace exitwave {

namespace {
// Widest vector register, and a cache line.
constexpr std::size_t kAlignment = 64;
constexpr std::size_t kHugePage = std::size_t(2) << 20;

std::size_t rounded(std::size_t bytes) {
  const std::size_t unit = bytes >= kHugePage ? kHugePage : kAlignment;
  return (bytes + unit - 1) / unit * unit;
}
}  // namespace

void* HostMemory::allocate(std::size_t bytes) {
  const std::size_t in_use = in_use_ += bytes;
  if (limit_ != 0 && in_use > limit_ && !planning_) {
    in_use_ -= bytes;
    throw OutOfMemory(name_ + ": " + std::to_string(bytes) + " bytes asked for, " +
                      std::to_string(limit_ - std::min(limit_, in_use - bytes)) + " of " +
                      std::to_string(limit_) + " free; raise memory_limit or use more devices");
  }
  count(bytes);
  for (std::size_t peak = peak_; peak < in_use && !peak_.compare_exchange_weak(peak, in_use);) {
  }
  // Never looked at, but aligned as all pointers are.
  alignas(kAlignment) static unsigned char planned[1];
  if (planning_) return planned;
  void* pointer = std::aligned_alloc(bytes >= kHugePage ? kHugePage : kAlignment, rounded(bytes));
  if (pointer == nullptr) {
    in_use_ -= bytes;
    throw OutOfMemory("host memory: " + std::to_string(bytes) +
                      " bytes asked for and not available; crop or bin the frames");
  }
#ifdef MADV_HUGEPAGE
  // Waves and canvases are walked row by row: small pages would miss the address cache.
  if (bytes >= kHugePage) madvise(pointer, rounded(bytes), MADV_HUGEPAGE);
#endif
  return pointer;
}

void HostMemory::deallocate(void* pointer, std::size_t bytes) noexcept {
  if (!planning_) std::free(pointer);
  in_use_ -= bytes;
}

void HostMemory::copy_from_host(void* target, const void* source, std::size_t bytes) {
  if (!planning_) std::memcpy(target, source, bytes);
}

void HostMemory::copy_to_host(void* target, const void* source, std::size_t bytes) {
  if (!planning_) std::memcpy(target, source, bytes);
}

void HostMemory::set_zero(void* target, std::size_t bytes) {
  if (!planning_) std::memset(target, 0, bytes);
}

}  // namespace exitwave
