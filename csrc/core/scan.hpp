#pragma once

#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include "core/communicator.hpp"
#include "core/complex.hpp"
#include "core/counts.hpp"
#include "core/region.hpp"
#include "core/shape.hpp"

namespace exitwave {

// Reads frames, by their numbers, into host memory, one after the other.
using ReadFrames = std::function<void(const std::vector<int>& frames, void* target)>;

// What was measured and where, as it comes from the user. Borrows the counts.
struct Scan {
  int frames = 0;
  int ny = 0;  // of a frame
  int nx = 0;
  int object_ny = 0;
  int object_nx = 0;
  Counts counts;  // (frames, ny, nx); without data: what read_counts reads
  ReadFrames read_counts;
  std::vector<int> place;            // of each frame among the counts; empty: as they are numbered
  std::vector<unsigned char> valid;  // (ny, nx), 1 = valid
  // Incoherent counts in each frame, (ny, nx), first pixel as the waves have it; empty: none.
  std::vector<Real> background;
  Real saturation = std::numeric_limits<Real>::infinity();  // counts that stand for as many or more
  std::vector<Corner> corner;                               // (frames)
  std::vector<Real> fraction;  // (frames, 2): (y, x) in [-1/2, 1/2) pixels
  // Corners that positions may move away from, by at most so many pixels; 0: they stay.
  int margin = 0;
  std::vector<Corner> home;  // (frames), where margin is not 0
  bool near_field = false;
  std::vector<Complex> kernel;          // near field: (ny, nx), zero frequency first
  std::vector<std::vector<int>> parts;  // frames of each part
  Ranks ranks;

  // Whether counts are the waves' intensity and nothing else.
  bool plain() const { return background.empty() && std::isinf(saturation); }
  bool moves() const { return margin > 0; }
  // First pixel that the window of a frame may reach; windows are 2 margin larger then.
  Corner reach(int frame) const {
    const Corner c = (moves() ? home : corner)[std::size_t(frame)];
    return {c.y - margin, c.x - margin};
  }
  // Parts that this process holds: [first_part, end_part).
  int first_part() const {
    return ranks.communicator == nullptr ? 0 : ranks.first_part[std::size_t(ranks.rank)];
  }
  int end_part() const {
    return ranks.communicator == nullptr ? int(parts.size())
                                         : ranks.first_part[std::size_t(ranks.rank) + 1];
  }
  bool fractional() const {
    if (moves()) return true;
    for (const Real f : fraction)
      if (f != 0) return true;
    return false;
  }
  long valid_pixels() const {
    long count = 0;
    for (const unsigned char v : valid) count += v;
    return count;
  }
};

}  // namespace exitwave
