#pragma once

#include <vector>

#include "core/region.hpp"
#include "core/scan.hpp"

namespace exitwave {

// Which pixels of the object each part touches, and which of them it owns. Every reached pixel has
// one owner: the first part that covers it. Where positions move, a frame reaches all pixels that
// its window may come to lie on, so that frames never leave the tiles of their parts.
class Layout {
 public:
  explicit Layout(const Scan& scan);

  const Rect& tile(int part) const { return tiles_[std::size_t(part)]; }
  const Region& owned(int part) const { return owned_[std::size_t(part)]; }
  // All pixels that some frame reaches, or may reach.
  const Region& reached() const { return reached_; }
  const std::vector<Rect>& tiles() const { return tiles_; }
  const std::vector<Region>& owned() const { return owned_; }

 private:
  Region reached_;
  std::vector<Rect> tiles_;
  std::vector<Region> owned_;
};

}  // namespace exitwave
