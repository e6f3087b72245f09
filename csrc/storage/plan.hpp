#pragma once

#include <string>

namespace exitwave {

// Where exit waves stay between iterations.
enum class WaveTier { device, host, file };

// How frames are kept. Whatever is not on the device comes and goes in blocks, through three slots.
struct StoragePlan {
  int block_frames = 0;        // of a slot; 0: nothing comes and goes
  bool stream_counts = false;  // counts stay where they came from
  WaveTier waves = WaveTier::device;
  bool half = false;           // exit waves as two half-precision numbers
  float half_scale = 1;        // what they are multiplied by first
  std::string scratch_folder;  // for WaveTier::file

  bool streams() const { return stream_counts || waves != WaveTier::device; }
};

}  // namespace exitwave
