#include "engines/layout.hpp"

#include <algorithm>

namespace exitwave {

namespace {

Rect bounding_box(const Scan& scan, const std::vector<int>& frames) {
  Rect box{scan.object_ny, scan.object_nx, 0, 0};
  for (const int frame : frames) {
    const Corner c = scan.reach(frame);
    box = {std::min(box.y0, c.y), std::min(box.x0, c.x),
           std::max(box.y1, c.y + scan.ny + 2 * scan.margin),
           std::max(box.x1, c.x + scan.nx + 2 * scan.margin)};
  }
  return {std::max(box.y0, 0), std::max(box.x0, 0), std::min(box.y1, scan.object_ny),
          std::min(box.x1, scan.object_nx)};
}

// Differences between neighbours, which regularisers need, reach one pixel over the edge.
Rect grown(const Rect& box, const Scan& scan) {
  return {std::max(box.y0 - 1, 0), std::max(box.x0 - 1, 0), std::min(box.y1 + 1, scan.object_ny),
          std::min(box.x1 + 1, scan.object_nx)};
}

// All pixels that some frame may reach.
Region all_windows(const Scan& scan) {
  std::vector<Corner> corners;
  for (int frame = 0; frame < scan.frames; ++frame) corners.push_back(scan.reach(frame));
  const int more = 2 * scan.margin;
  return Region::windows(std::move(corners), scan.ny + more, scan.nx + more)
      .intersected(Rect{0, 0, scan.object_ny, scan.object_nx});
}

}  // namespace

Layout::Layout(const Scan& scan) : reached_(all_windows(scan)) {
  std::vector<Rect> boxes;
  for (const std::vector<int>& frames : scan.parts) {
    const Rect box = bounding_box(scan, frames);
    Region own = reached_.intersected(box);
    for (const Rect& earlier : boxes) own = own.without(earlier);
    boxes.push_back(box);
    owned_.push_back(std::move(own));
    tiles_.push_back(grown(box, scan));
  }
}

}  // namespace exitwave
