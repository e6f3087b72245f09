#pragma once

#include <algorithm>
#include <cstddef>

#include "core/memory.hpp"
#include "core/region.hpp"
#include "core/scan.hpp"
#include "core/shape.hpp"

// What a lane on a GPU holds besides what engines ask for: taken by the CUDA backend, and counted
// in plans by builds that have none.
namespace exitwave::gpu {

// Threads of a block, everywhere.
inline constexpr int kThreads = 256;
// Threads that fill the largest device; sums over frames are split until there are so many.
inline constexpr std::size_t kEnoughThreads = std::size_t(1) << 18;
inline constexpr int kMostSplits = 16;
inline constexpr std::size_t kBlocksOfSum = 1024;
inline constexpr std::size_t kMostTotals = 5;
inline constexpr std::size_t kRegions = 16;  // that a lane keeps

constexpr std::size_t blocks_for(std::size_t threads) {
  return (threads + kThreads - 1) / kThreads;
}

inline int splits_for(Extent n) {
  const std::size_t pixels = std::size_t(n.ny) * std::size_t(n.nx);
  return int(
      std::min({kEnoughThreads / pixels + 1, std::size_t(kMostSplits), std::size_t(n.frames)}));
}

// A lane never gets more than the frames of a part.
inline int batch_for(int asked, const Scan& scan) {
  std::size_t most = 1;
  for (const auto& part : scan.parts) most = std::max(most, part.size());
  return std::min(asked, int(most));
}

// Pinned memory that small copies pass through, of a lane and of a device's memory, as segments of
// a ring that are taken when they are first needed.
inline constexpr std::size_t kStagingSegment = std::size_t(256) << 10;
inline constexpr std::size_t kStagingSegments = 4;
inline constexpr std::size_t kStagingBytes = kStagingSegment * kStagingSegments;
inline std::size_t staging_bytes(int devices, int lanes) {
  return (std::size_t(devices) + 2 * std::size_t(lanes)) * kStagingBytes;
}

// cuFFT splits lengths whose prime factors are at most 127, in no more work area than the images
// themselves; for others its documentation names eight times as much as the worst case.
inline bool has_large_factor(int length) {
  for (int factor = 2; factor <= 127; ++factor)
    while (length % factor == 0) length /= factor;
  return length > 1;
}
inline constexpr std::size_t kWorstWorkArea = 8;

// Bytes of a lane in its device's memory, from its beginning on.
struct LaneNeeds {
  std::size_t transforms;
  std::size_t spans;
  std::size_t partials;  // of totals
  std::size_t arrived;
  std::size_t splits;  // of sums over frames

  // For batches of so many frames, each with waves of so many bytes.
  LaneNeeds(const Scan& scan, int batch, std::size_t wave_bytes) {
    const std::size_t pixels = std::size_t(scan.ny) * std::size_t(scan.nx);
    const auto blocks = std::size_t(batch) * blocks_for(pixels);
    transforms = std::size_t(batch) * wave_bytes;
    if (has_large_factor(scan.ny) || has_large_factor(scan.nx))
      transforms = std::max(transforms, kWorstWorkArea * pixels * sizeof(Complex));
    transforms = std::max<std::size_t>(transforms, 1);
    spans = kRegions * std::size_t(scan.object_ny) * sizeof(Span);
    partials = kMostTotals * sizeof(double) * std::max(blocks, kBlocksOfSum);
    arrived = std::size_t(batch) * sizeof(unsigned);
    const int most = splits_for({kMostSplits, 1, scan.ny, scan.nx});
    splits = most == 1 ? 0 : std::size_t(most) * wave_bytes;
  }

  // In a memory that only counts.
  void plan(Memory& memory) const {
    memory.account("lanes");
    for (const std::size_t bytes : {transforms, spans, partials, arrived, splits})
      if (bytes > 0) memory.allocate(bytes);
  }
};

}  // namespace exitwave::gpu
