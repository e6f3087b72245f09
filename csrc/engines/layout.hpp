#pragma once

#include <vector>

#include "core/region.hpp"
#include "core/scan.hpp"

namespace exitwave {

// Which pixels of the object each part touches, and which of them it owns. Every reached pixel has
// one owner: the first part whose core, the box of its windows' centres, covers it, else the first
// whose box does. So parts side by side share what they both reach. Where positions move, a frame
// reaches all pixels that its window may come to lie on, so that frames never leave the tiles of
// their parts.
class Layout {
 public:
  explicit Layout(const Scan& scan);

  const Rect& tile(int part) const { return tiles_[std::size_t(part)]; }
  const Region& owned(int part) const { return owned_[std::size_t(part)]; }
  // The smallest rectangle that holds the tiles of some parts.
  Rect around(int first_part, int end_part) const;
  // All pixels that some frame reaches, or may reach.
  const Region& reached() const { return reached_; }
  const std::vector<Rect>& tiles() const { return tiles_; }
  const std::vector<Region>& owned() const { return owned_; }

 private:
  Region reached_;
  std::vector<Rect> tiles_;
  std::vector<Region> owned_;
};

// Who owns the sums of the probe: the first part, or, where there are ranks, the first parts of all
// of them by rows, so that no rank gets, and gives back, more than another.
std::vector<Region> probe_owners(const Scan& scan);

}  // namespace exitwave
