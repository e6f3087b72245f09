#include <set>
#include <utility>
#include <vector>

#include "check.hpp"
#include "core/region.hpp"

namespace exitwave {

namespace {

using Pixels = std::set<std::pair<int, int>>;

Pixels pixels_of(const Region& region) {
  Pixels pixels;
  for (const Span& s : region.spans())
    for (int x = s.x0; x < s.x1; ++x) pixels.insert({s.y, x});
  return pixels;
}

Pixels pixels_of(const Rect& rect) { return pixels_of(Region(rect)); }

// Spans are sorted, do not overlap, are not empty, and know how many pixels come before them.
void check_well_formed(const Region& region) {
  std::size_t offset = 0;
  const Span* last = nullptr;
  for (const Span& s : region.spans()) {
    CHECK(s.x0 < s.x1);
    CHECK(s.offset == offset);
    if (last != nullptr) CHECK(s.y > last->y || (s.y == last->y && s.x0 >= last->x1));
    offset += std::size_t(s.x1 - s.x0);
    last = &s;
  }
  CHECK(region.pixels() == offset);
  CHECK(region.pixels() == pixels_of(region).size());
}

const std::vector<Corner> kCorners{{0, 0}, {3, 7}, {1, 30}, {9, 2}, {3, 7}, {20, 11}, {4, 16}};
Region windows() { return Region::windows(kCorners, 5, 9); }

TEST("an empty region has no pixels") {
  CHECK(Region().empty());
  CHECK(Region().pixels() == 0);
  CHECK(Region(Rect{4, 4, 4, 9}).empty());
  CHECK(Region::windows({}, 5, 9).empty());
}

TEST("the union of windows holds the pixels of each window once") {
  Pixels expected;
  for (const Corner& c : kCorners) expected.merge(pixels_of(Rect{c.y, c.x, c.y + 5, c.x + 9}));

  const Region region = windows();

  check_well_formed(region);
  CHECK(pixels_of(region) == expected);
}

TEST("spans may come in any order") {
  std::vector<Span> spans = windows().spans();
  std::swap(spans.front(), spans.back());
  std::swap(spans[2], spans[5]);

  const Region region = Region::from_spans(spans);

  check_well_formed(region);
  CHECK(pixels_of(region) == pixels_of(windows()));
}

TEST("an intersection holds the pixels that both have") {
  const Rect rect{2, 4, 12, 34};
  Pixels expected;
  for (const auto& pixel : pixels_of(windows()))
    if (pixels_of(rect).contains(pixel)) expected.insert(pixel);

  check_well_formed(windows().intersected(rect));
  check_well_formed(windows().intersected(Region(rect)));
  CHECK(pixels_of(windows().intersected(rect)) == expected);
  CHECK(pixels_of(windows().intersected(Region(rect))) == expected);
  CHECK(pixels_of(Region(rect).intersected(windows())) == expected);
}

TEST("without a rectangle the pixels outside of it are left") {
  const Rect rect{2, 4, 12, 34};
  Pixels expected;
  for (const auto& pixel : pixels_of(windows()))
    if (!pixels_of(rect).contains(pixel)) expected.insert(pixel);

  check_well_formed(windows().without(rect));
  CHECK(pixels_of(windows().without(rect)) == expected);
}

TEST("a shifted region keeps its shape") {
  const Region shifted = windows().shifted(-2, 5);

  check_well_formed(shifted);
  CHECK(pixels_of(shifted.shifted(2, -5)) == pixels_of(windows()));
  CHECK(shifted.spans().front().y == windows().spans().front().y - 2);
  CHECK(shifted.spans().front().x0 == windows().spans().front().x0 + 5);
}

}  // namespace

}  // namespace exitwave
