#include <algorithm>
#include <type_traits>
#include <vector>

#include "check.hpp"
#include "lane_fixture.hpp"

namespace exitwave {

namespace {

using test::kBatch;
using test::make_lane;
using test::memory;
using test::random_images;

// Terms that tell frame, mode and place.
struct OverlapTerms {
  static Complex object(Pixel p) { return {Real(p.frame + 10 * p.mode), Real(p.y)}; }
  static Complex probe(Pixel p) { return {Real(p.x), Real(p.mode + 1)}; }

  Complex to_object(Pixel p) const { return object(p); }
  Complex to_probe(Pixel p) const { return probe(p); }
};

// Values of images; mode m goes to mode 1 - m.
struct Swapped {
  BatchView<const Real> source;
  Real operator()(Pixel p) const { return source(p); }
  int target(int mode) const { return 1 - mode; }
};

struct Value {
  static constexpr int kTotals = 1;
  CanvasView<const Real> canvas;
  Sums<1> operator()(int mode, int y, int x) const { return {{canvas(mode, y, x)}}; }
};

struct SetTo {
  CanvasView<Real> canvas;
  Real value;
  void operator()(int mode, int y, int x) const { canvas(mode, y, x) = value; }
};

// A tile of 2 modes whose first pixel is (4, -3), and a region of it with rows wider than a frame.
constexpr Rect kTile{4, -3, 24, 57};
Region odd_region() {
  return Region(kTile).without({6, 0, 9, 10}).without({20, -3, 22, 57}).without({11, 30, 15, 57});
}

class Canvas {
 public:
  Canvas() : values_(2 * kTile.pixels(), Real(0)) {}
  CanvasView<Real> view() {
    return {values_.data(), std::ptrdiff_t(kTile.pixels()), kTile.nx(), kTile.y0, kTile.x0};
  }
  CanvasView<const Real> seen() { return view(); }
  void fill() {
    for (std::size_t i = 0; i < values_.size(); ++i) values_[i] = Real(i % 97);
  }
  bool operator==(const Canvas&) const = default;

 private:
  std::vector<Real> values_;
};

TEST("both sums of the overlap get the terms of every mode") {
  CpuLane lane = make_lane();
  const Extent n{2, 6, 12, 20};  // 3 probe modes x 2 object modes
  const std::vector<Corner> corner{{4, -3}, {9, 30}};
  const std::vector<int> frame_of{1, 0};
  std::vector<Complex> object(2 * kTile.pixels());
  std::vector<Complex> probe(3 * 12 * 20);
  const auto tile = [](auto& values) {
    return CanvasView<std::remove_reference_t<decltype(values[0])>>{
        values.data(), std::ptrdiff_t(kTile.pixels()), kTile.nx(), kTile.y0, kTile.x0};
  };
  std::vector<Complex> expected_object = object;
  std::vector<Complex> expected_probe = probe;
  for (int frame = 0; frame < n.frames; ++frame) {
    const Corner c = corner[std::size_t(frame_of[std::size_t(frame)])];
    for (int mode = 0; mode < n.modes; ++mode)
      for (int y = 0; y < n.ny; ++y)
        for (int x = 0; x < n.nx; ++x) {
          const Pixel p{frame, mode, y, x};
          tile(expected_object)(mode % 2, c.y + y, c.x + x) += OverlapTerms::object(p);
          expected_probe[std::size_t((mode / 2 * 12 + y) * 20 + x)] += OverlapTerms::probe(p);
        }
  }

  lane.run(
      n, CpuLane::ScatterOverlap<OverlapTerms>{
             3, 2, tile(object), {probe.data(), 12 * 20, 20}, {}, frame_of.data(), corner.data()});

  const auto same = [](const std::vector<Complex>& a, const std::vector<Complex>& b) {
    return std::equal(a.begin(), a.end(), b.begin(),
                      [](Complex u, Complex v) { return u.re == v.re && u.im == v.im; });
  };
  CHECK(same(object, expected_object));
  CHECK(same(probe, expected_probe));
}

TEST("scattered frames add up at their corners, in the mode that the body names") {
  CpuLane lane = make_lane();
  Images<Real> source = random_images(kBatch);
  const std::vector<Corner> corner{{9, 30}, {4, -3}, {0, 0}, {6, 5}};
  const std::vector<int> frame_of{1, 3, 0};
  Canvas canvas;
  Canvas expected;
  for (int frame = 0; frame < kBatch.frames; ++frame) {
    const Corner c = corner[std::size_t(frame_of[std::size_t(frame)])];
    for (int mode = 0; mode < kBatch.modes; ++mode)
      for (int y = 0; y < kBatch.ny; ++y)
        for (int x = 0; x < kBatch.nx; ++x)
          expected.view()(1 - mode, c.y + y, c.x + x) += source.view()({frame, mode, y, x});
  }

  lane.run(kBatch, CpuLane::ScatterAdd<Real, Swapped>{
                       2, canvas.view(), {source.view()}, frame_of.data(), corner.data()});

  CHECK(canvas == expected);
}

TEST("scattered row by row of the canvas, the sum is the same") {
  CpuLane lane = make_lane();
  const Extent n{4, 2, 12, 20};
  Images<Real> source = random_images(n);
  const std::vector<Corner> corner{{12, 30}, {4, -3}, {6, 5}, {6, 0}};
  const std::vector<int> in_order{1, 2, 3, 0};
  Canvas rows_first;
  Canvas frames_first;
  const auto scatter = [&](Canvas& canvas) {
    return CpuLane::ScatterAdd<Real, Swapped>{
        2, canvas.view(), {source.view()}, in_order.data(), corner.data()};
  };

  lane.run(n, scatter(frames_first));
  lane.run_canvas_rows(n, scatter(rows_first));

  CHECK(rows_first == frames_first);
}

TEST("frames are summed onto one window") {
  CpuLane lane = make_lane();
  Images<Real> source = random_images(kBatch);
  Images<Real> window(memory(), {1, 2, kBatch.ny, kBatch.nx});
  const BatchView<Real> v = window.view();

  const CpuLane::ScatterAdd<Real, Swapped> sum{
      2, {v.data, v.mode_stride, v.row_stride}, {source.view()}};
  lane.run(kBatch, sum);

  for (int mode = 0; mode < 2; ++mode)
    for (int y = 0; y < kBatch.ny; ++y)
      for (int x = 0; x < kBatch.nx; ++x) {
        Real sum = 0;
        for (int frame = 0; frame < kBatch.frames; ++frame)
          sum += source.view()({frame, mode, y, x});
        CHECK(v({0, 1 - mode, y, x}) == sum);
      }
}

TEST("rows first or frames first, the sum over frames is the same") {
  CpuLane lane = make_lane();
  Images<Real> source = random_images(kBatch);
  Images<Real> frames_first(memory(), {1, 2, kBatch.ny, kBatch.nx});
  Images<Real> rows_first(memory(), {1, 2, kBatch.ny, kBatch.nx});
  const auto sum_into = [&](Images<Real>& window) {
    const BatchView<Real> v = window.view();
    return CpuLane::ScatterAdd<Real, Swapped>{
        2, {v.data, v.mode_stride, v.row_stride}, {source.view()}};
  };

  lane.run(kBatch, sum_into(frames_first));
  lane.run_rows(kBatch, sum_into(rows_first));

  for (int mode = 0; mode < 2; ++mode)
    for (int y = 0; y < kBatch.ny; ++y)
      for (int x = 0; x < kBatch.nx; ++x)
        CHECK(rows_first.view()({0, mode, y, x}) == frames_first.view()({0, mode, y, x}));
}

TEST("a map over a region leaves all other pixels alone") {
  CpuLane lane = make_lane();
  Canvas canvas;
  lane.map(odd_region(), 2, SetTo{canvas.view(), 3});

  double total = 0;
  lane.sum(Region(kTile), 2, Value{canvas.seen()}, &total);
  CHECK(total == 3.0 * 2 * double(odd_region().pixels()));
}

TEST("a sum over a region has all of its pixels, in rows wider than a frame too") {
  CpuLane lane = make_lane();
  Canvas canvas;
  canvas.fill();
  double expected = 5;
  Real largest = 0;
  for (int mode = 0; mode < 2; ++mode)
    for (const Span& s : odd_region().spans())
      for (int x = s.x0; x < s.x1; ++x) {
        expected += double(canvas.view()(mode, s.y, x));
        if (mode == 0) largest = std::max(largest, canvas.view()(mode, s.y, x));
      }

  double total = 5;  // sums are added to what is there
  lane.sum(odd_region(), 2, Value{canvas.seen()}, &total);

  CHECK(total == expected);
  double most = 0;
  lane.largest(odd_region(), canvas.seen(), &most);
  CHECK(most == double(largest));
}

TEST("a packed message restores its region and nothing else") {
  CpuLane lane = make_lane();
  const Region region = odd_region();
  Canvas canvas;
  canvas.fill();
  std::vector<Real> message(2 * region.pixels());
  lane.pack(region, 2, canvas.seen(), message.data());

  Canvas expected;
  for (int mode = 0; mode < 2; ++mode)
    for (const Span& s : region.spans())
      for (int x = s.x0; x < s.x1; ++x) expected.view()(mode, s.y, x) = canvas.view()(mode, s.y, x);
  Canvas restored;
  lane.unpack(region, 2, static_cast<const Real*>(message.data()), restored.view());
  CHECK(restored == expected);

  lane.unpack_add(region, 2, static_cast<const Real*>(message.data()), restored.view());
  for (const Span& s : region.spans())
    CHECK(restored.view()(1, s.y, s.x0) == 2 * canvas.view()(1, s.y, s.x0));
}

}  // namespace

}  // namespace exitwave
