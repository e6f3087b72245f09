#pragma once

#include <cstddef>
#include <vector>

namespace exitwave {

// How GPUs work on parts: one host thread per device, one stream per lane, batches of frames per
// launch.
struct CudaSettings {
  std::vector<int> devices{0};
  int streams = 2;  // lanes of each device
  int batch = 1;    // frames of a launch
  // Sums over overlapping frames in the order of the frames, so that the same run gives the same
  // bits; otherwise by atomic additions.
  bool deterministic = false;
  std::size_t wave_bytes = 0;    // of all modes of a frame's wave, for the room that lanes need
  std::size_t memory_limit = 0;  // bytes of each device, 0: no limit but the device's own
  std::size_t host_limit = 0;    // bytes that devices may take of the host's memory, 0: no limit
  bool planning = false;  // memory is only counted; no device is needed, the engine cannot run
};

}  // namespace exitwave
