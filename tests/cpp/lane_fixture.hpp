#pragma once

#include <random>

#include "check.hpp"
#include "core/host_memory.hpp"
#include "core/images.hpp"
#include "cpu/lane.hpp"

// A lane for frames of 12 x 20, and images for it.
namespace exitwave::test {

inline constexpr Extent kBatch{3, 2, 12, 20};

inline CpuLane make_lane() {
  bind_fft_library();
  return {kBatch.ny, kBatch.nx};
}

inline HostMemory& memory() {
  static HostMemory host("host memory", true, 0);
  return host;
}

inline Images<Real> random_images(Extent n) {
  std::mt19937 random(11);
  Images<Real> images(memory(), n);
  for (int frame = 0; frame < n.frames; ++frame)
    for (int mode = 0; mode < n.modes; ++mode)
      for (int y = 0; y < n.ny; ++y)
        for (int x = 0; x < n.nx; ++x)
          images.view()({frame, mode, y, x}) = Real(random() % 1000) / 1000;
  return images;
}

}  // namespace exitwave::test
