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

// The box of the windows' centres; empty where it has no area.
Rect core_of(const Rect& box, const Scan& scan) {
  const int y = scan.ny / 2;
  const int x = scan.nx / 2;
  return {box.y0 + y, box.x0 + x, box.y1 - (scan.ny - y), box.x1 - (scan.nx - x)};
}

// Spans of `region` that no rectangle covers.
Region outside(Region region, const std::vector<Rect>& rects) {
  for (const Rect& rect : rects) region = region.without(rect);
  return region;
}

}  // namespace

Layout::Layout(const Scan& scan) : reached_(all_windows(scan)) {
  std::vector<Rect> boxes;
  std::vector<Rect> cores;
  std::vector<std::vector<Span>> own;
  for (const std::vector<int>& frames : scan.parts) {
    const Rect box = bounding_box(scan, frames);
    const Rect core = core_of(box, scan);
    own.push_back(core.empty() ? std::vector<Span>{}
                               : outside(reached_.intersected(core), cores).spans());
    if (!core.empty()) cores.push_back(core);
    boxes.push_back(box);
    tiles_.push_back(grown(box, scan));
  }
  Region rest = outside(reached_, cores);
  for (std::size_t part = 0; part < boxes.size(); ++part) {
    const std::vector<Span> more = rest.intersected(boxes[part]).spans();
    own[part].insert(own[part].end(), more.begin(), more.end());
    owned_.push_back(Region::from_spans(std::move(own[part])));
    rest = rest.without(boxes[part]);
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

std::vector<Region> probe_owners(const Scan& scan) {
  const int parts = int(scan.parts.size());
  const bool alone = scan.ranks.communicator == nullptr;
  const std::vector<int> first = alone ? std::vector<int>{0, parts} : scan.ranks.first_part;
  const int ranks = int(first.size()) - 1;
  std::vector<Region> owners(scan.parts.size());
  for (int rank = 0; rank < ranks; ++rank)
    owners[std::size_t(first[std::size_t(rank)])] =
        Region(Rect{scan.ny * rank / ranks, 0, scan.ny * (rank + 1) / ranks, scan.nx});
  return owners;
}

}  // namespace exitwave
