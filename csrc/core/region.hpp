#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "core/shape.hpp"

namespace exitwave {

// Pixels [x0, x1) of row y. `offset` counts the pixels of the spans before it: the place of the
// span in a packed message.
struct Span {
  int y;
  int x0;
  int x1;
  std::size_t offset;
};

// A set of pixels, kept as spans sorted by (y, x0) that do not overlap.
class Region {
 public:
  Region() = default;
  explicit Region(const Rect& rect);
  // Union of equal windows with the given first pixels.
  static Region windows(std::vector<Corner> corners, int ny, int nx);
  // Spans that do not overlap, in any order.
  static Region from_spans(std::vector<Span> spans);

  Region intersected(const Region& other) const;
  Region intersected(const Rect& rect) const;
  Region without(const Rect& rect) const;
  Region shifted(int dy, int dx) const;

  const std::vector<Span>& spans() const& { return spans_; }
  // By value, so that a loop over the spans of a temporary is safe.
  std::vector<Span> spans() && { return std::move(spans_); }
  std::size_t pixels() const;
  bool empty() const { return spans_.empty(); }
  // Regions of the same number have the same spans, so that a device can keep a copy under it.
  std::uint64_t id() const { return id_; }

 private:
  void append(int y, int x0, int x1);

  std::vector<Span> spans_;
  std::uint64_t id_ = 0;
};

}  // namespace exitwave
