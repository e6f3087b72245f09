#include "engines/layout.hpp"

#include <algorithm>

namespace exitwave {

namespace {

Rect bounding_box(const Scan& scan, const std::vector<int>& frames) {
  Rect box{scan.object_ny, scan.object_nx, 0, 0};
  for (const int frame : frames) {
    const Corner c = scan.corner[std::size_t(frame)];
    box = {std::min(box.y0, c.y), std::min(box.x0, c.x), std::max(box.y1, c.y + scan.ny),
           std::max(box.x1, c.x + scan.nx)};
  }
  return box;
}

// Differences between neighbours, which regularisers need, reach one pixel over the edge.
Rect grown(const Rect& box, const Scan& scan) {
  return {std::max(box.y0 - 1, 0), std::max(box.x0 - 1, 0), std::min(box.y1 + 1, scan.object_ny),
          std::min(box.x1 + 1, scan.object_nx)};
}

}  // namespace

Layout::Layout(const Scan& scan) : reached_(Region::windows(scan.corner, scan.ny, scan.nx)) {
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

Rect Layout::around(int first_part, int end_part) const {
  Rect all = tile(first_part);
  for (int part = first_part + 1; part < end_part; ++part) {
    const Rect& t = tile(part);
    all = {std::min(all.y0, t.y0), std::min(all.x0, t.x0), std::max(all.y1, t.y1),
           std::max(all.x1, t.x1)};
  }
  return all;
}

}  // namespace exitwave
