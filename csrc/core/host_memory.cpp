#include "core/host_memory.hpp"

#include <sys/mman.h>

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

void* HostMemory::take(std::size_t bytes) {
  void* pointer = std::aligned_alloc(bytes >= kHugePage ? kHugePage : kAlignment, rounded(bytes));
  if (pointer == nullptr)
    throw OutOfMemory(name() + ": " + std::to_string(bytes) +
                      " bytes asked for and not available; crop or bin the frames");
#ifdef MADV_HUGEPAGE
  // Waves and canvases are walked row by row: small pages would miss the address cache.
  if (bytes >= kHugePage) madvise(pointer, rounded(bytes), MADV_HUGEPAGE);
#endif
  return pointer;
}

void HostMemory::give_back(void* pointer) noexcept { std::free(pointer); }

void HostMemory::write(void* target, const void* source, std::size_t bytes) {
  std::memcpy(target, source, bytes);
}

void HostMemory::read(void* target, const void* source, std::size_t bytes) {
  std::memcpy(target, source, bytes);
}

void HostMemory::clear(void* target, std::size_t bytes) { std::memset(target, 0, bytes); }

void HostMemory::write_rows(void* target, const void* source, const Rows& rows) {
  auto* to = static_cast<unsigned char*>(target);
  const auto* from = static_cast<const unsigned char*>(source);
  for (std::size_t row = 0; row < rows.count; ++row)
    std::memcpy(to + row * rows.target_pitch, from + row * rows.source_pitch, rows.bytes);
}

void HostMemory::read_rows(void* target, const void* source, const Rows& rows) {
  write_rows(target, source, rows);
}

}  // namespace exitwave
