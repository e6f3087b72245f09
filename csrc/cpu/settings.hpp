#pragma once

#include <cstddef>

namespace exitwave {

// How a CPU works on parts: one thread per lane, one frame at a time through the whole round trip.
// Emulated devices are the same with larger batches, a lane for each part, and memories that the
// host does not see.
struct CpuSettings {
  int threads = 1;
  int batch = 1;
  int emulated = 0;              // emulated devices, each with its parts; 0: the host itself
  std::size_t memory_limit = 0;  // bytes of a device, 0: no limit
  std::size_t host_limit = 0;    // bytes that devices may take of the host's memory, 0: no limit
  bool planning = false;         // memory is only counted; the engine cannot run
  // Emulated devices are planned as GPUs with so many lanes each, and waves of so many bytes for
  // each frame; 0: they are what they are.
  int gpu_lanes = 0;
  std::size_t wave_bytes = 0;
};

}  // namespace exitwave
