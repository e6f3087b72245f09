#include "core/region.hpp"

#include <algorithm>
#include <atomic>

namespace exitwave {

namespace {

std::uint64_t next_id() {
  static std::atomic<std::uint64_t> last{0};
  return ++last;
}

}  // namespace

Region::Region(const Rect& rect) {
  if (rect.empty()) return;
  spans_.reserve(std::size_t(rect.ny()));
  for (int y = rect.y0; y < rect.y1; ++y) append(y, rect.x0, rect.x1);
}

// Cost: rows x windows that are open in a row; windows sorted by column once.
Region Region::windows(std::vector<Corner> corners, int ny, int nx) {
  Region region;
  if (corners.empty()) return region;
  std::sort(corners.begin(), corners.end(),
            [](Corner a, Corner b) { return a.x != b.x ? a.x < b.x : a.y < b.y; });
  const auto [low, high] = std::minmax_element(corners.begin(), corners.end(),
                                               [](Corner a, Corner b) { return a.y < b.y; });
  for (int y = low->y; y < high->y + ny; ++y) {
    int x0 = 0;
    int x1 = -1;
    for (const Corner& c : corners) {
      if (y < c.y || y >= c.y + ny) continue;
      if (x1 < 0) {
        x0 = c.x;
      } else if (c.x > x1) {
        region.append(y, x0, x1);
        x0 = c.x;
      }
      x1 = std::max(x1, c.x + nx);
    }
    if (x1 >= 0) region.append(y, x0, x1);
  }
  return region;
}

Region Region::from_spans(std::vector<Span> spans) {
  std::sort(spans.begin(), spans.end(),
            [](const Span& a, const Span& b) { return a.y != b.y ? a.y < b.y : a.x0 < b.x0; });
  Region region;
  for (const Span& s : spans) region.append(s.y, s.x0, s.x1);
  return region;
}

Region Region::intersected(const Region& other) const {
  Region result;
  auto a = spans_.begin();
  auto b = other.spans_.begin();
  while (a != spans_.end() && b != other.spans_.end()) {
    if (a->y != b->y) {
      (a->y < b->y ? a : b)++;
      continue;
    }
    const int x0 = std::max(a->x0, b->x0);
    const int x1 = std::min(a->x1, b->x1);
    if (x0 < x1) result.append(a->y, x0, x1);
    (a->x1 < b->x1 ? a : b)++;
  }
  return result;
}

Region Region::intersected(const Rect& rect) const {
  Region result;
  for (const Span& s : spans_) {
    if (s.y < rect.y0 || s.y >= rect.y1) continue;
    const int x0 = std::max(s.x0, rect.x0);
    const int x1 = std::min(s.x1, rect.x1);
    if (x0 < x1) result.append(s.y, x0, x1);
  }
  return result;
}

Region Region::without(const Rect& rect) const {
  Region result;
  for (const Span& s : spans_) {
    if (s.y < rect.y0 || s.y >= rect.y1 || s.x1 <= rect.x0 || s.x0 >= rect.x1) {
      result.append(s.y, s.x0, s.x1);
      continue;
    }
    if (s.x0 < rect.x0) result.append(s.y, s.x0, rect.x0);
    if (s.x1 > rect.x1) result.append(s.y, rect.x1, s.x1);
  }
  return result;
}

Region Region::shifted(int dy, int dx) const {
  Region result = *this;
  result.id_ = next_id();
  for (Span& s : result.spans_) {
    s.y += dy;
    s.x0 += dx;
    s.x1 += dx;
  }
  return result;
}

std::size_t Region::pixels() const {
  return spans_.empty() ? 0
                        : spans_.back().offset + std::size_t(spans_.back().x1 - spans_.back().x0);
}

void Region::append(int y, int x0, int x1) {
  if (spans_.empty()) id_ = next_id();
  spans_.push_back({y, x0, x1, pixels()});
}

}  // namespace exitwave
