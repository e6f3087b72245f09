#pragma once

#include <vector>

#include "core/buffer.hpp"
#include "core/counts.hpp"
#include "core/images.hpp"

namespace exitwave {

// Frames that a lane takes through a step together.
struct Batch {
  int part;
  const int* frame;  // numbers in the part
  int count;
  // Where their counts and exit waves are, see Block.
  Counts counts = {};
  const int* counts_at = nullptr;
  unsigned char* waves = nullptr;
  const int* waves_at = nullptr;
};

// What a lane needs for its batches; nothing is allocated while it runs.
struct Scratch {
  Images<Complex> wave;  // (batch, wave modes, ny, nx)
  // Waves that meet the slices, from the second on, each as wave.
  std::vector<Images<Complex>> incoming;
  std::vector<Images<Complex>> moved;  // with slices and moving positions: two more, as wave
  // (batch, probe modes, ny, nx), for fractional positions and probes that frames have of their own
  Images<Complex> probe;
  Images<Complex> term;  // as probe
  Images<Real> counts;   // (batch, 1, ny, nx), or one row
  // Where the detector spreads its light, two: (batch, sums over modes, ny, nx).
  Images<Real> light;
  Images<Real> spread;
  Images<Real> curvature;  // of the loss (batch, 1, ny, nx), where the background is refined
  Buffer<Real> keep;       // (batch), see ScaleWave
  Buffer<double> inside;   // (batch), see PowerBound
  Buffer<double> totals;   // (batch, up to 5)

  // Counts and, later, factors of a batch. Where a lane goes row by row and nobody looks at a whole
  // frame of them, all rows are one, which never leaves the cache.
  BatchView<Real> measured() {
    return counts.extent().ny == 1 ? BatchView<Real>{counts.view().data, 0, 0, 0} : counts.view();
  }
};

}  // namespace exitwave
