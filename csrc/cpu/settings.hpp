#pragma once

#include <cstddef>

namespace exitwave {

// How a CPU works on parts: one thread per lane, one frame at a time through the whole round trip.
// The emulated device is the same with larger batches and memory of its own.
struct CpuSettings {
  int threads = 1;
  int batch = 1;
  bool emulated = false;
  std::size_t memory_limit = 0;  // bytes, 0: no limit
};

}  // namespace exitwave
