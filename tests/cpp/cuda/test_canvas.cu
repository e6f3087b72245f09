#include <vector>

#include "both_lanes.hpp"
#include "kernels/scalar.hpp"
#include "kernels/update.hpp"

namespace exitwave::test {

// A tile whose first pixel is (4, -3), and regions of it: with holes, of many short rows, with rows
// longer than a block of threads, and none at all.
constexpr Rect kTile{4, -3, 44, 617};
std::vector<Region> regions() {
  std::vector<Corner> corners;
  for (int i = 0; i < 9; ++i) corners.push_back({4 + i * 3, -3 + i * 61});
  return {Region(kTile), Region(kTile).without({6, 0, 30, 300}).without({41, -3, 42, 617}),
          Region::windows(corners, 5, 40), Region(Rect{10, 10, 11, 11}), Region()};
}

CanvasView<Complex> view(Buffer<Complex>& canvas) {
  return {canvas.data(), std::ptrdiff_t(kTile.pixels()), kTile.nx(), kTile.y0, kTile.x0};
}
CanvasView<Real> view(Buffer<Real>& canvas) {
  return {canvas.data(), std::ptrdiff_t(kTile.pixels()), kTile.nx(), kTile.y0, kTile.x0};
}

// Work on each region, all with the same lane, twice.
template <class Work>
void on_all_regions(double tolerance, const std::string& what, const Work& work) {
  check_lanes_agree(12, 20, tolerance, what, [&](auto& lane, Arrays& arrays) {
    Numbers all;
    for (int again = 0; again < 2; ++again)
      for (const Region& region : regions()) {
        const Numbers some = work(lane, arrays, region);
        all.insert(all.end(), some.begin(), some.end());
      }
    return all;
  });
}

TEST("a map over a region changes what it should, with numbers that stay on the device") {
  on_all_regions(2e-6, "map", [](auto& lane, Arrays& arrays, const Region& region) {
    auto field = arrays.complexes(2 * kTile.pixels(), 1);
    auto sum = arrays.complexes(2 * kTile.pixels(), 2);
    auto weight = arrays.reals(kTile.pixels(), 3);
    auto found = arrays.of(std::vector<double>{0.25, 7, 0.75, 7, 0.5, 7});
    const kernels::LargestTimes floor{{found.data(), 2, 3}, 0.1};
    lane.map(
        region, 2,
        kernels::QuotientStep{view(field), {view(sum), view(weight), Real(0.5), floor}, Real(0.3)});
    lane.map(region, 1, kernels::Clear<Real>{view(weight)});
    return numbers_of(field, weight);
  });
}

TEST("sums over a region add to what stands there") {
  on_all_regions(1e-6, "sum", [](auto& lane, Arrays& arrays, const Region& region) {
    auto field = arrays.complexes(2 * kTile.pixels(), 1);
    auto total = arrays.of(std::vector<double>{3.0});
    lane.sum(region, 2, kernels::Power{view(field)}, total.data());
    lane.sum(region, 2, kernels::Power{view(field)}, total.data());
    return numbers_of(total);
  });
}

TEST("the largest value of a region is found, and none is zero") {
  on_all_regions(0, "largest", [](auto& lane, Arrays& arrays, const Region& region) {
    auto field = arrays.reals(kTile.pixels(), 1);
    auto most = arrays.of(std::vector<double>{-5.0, -5.0});
    lane.largest(region, view(field), most.data() + 1);
    return numbers_of(most);
  });
}

TEST("a packed message restores its region and nothing else") {
  on_all_regions(0, "message", [](auto& lane, Arrays& arrays, const Region& region) {
    auto field = arrays.complexes(2 * kTile.pixels(), 1);
    auto other = arrays.complexes(2 * kTile.pixels(), 2);
    auto third = arrays.complexes(2 * kTile.pixels(), 3);
    auto message = arrays.complexes(2 * region.pixels() + 1, 4);
    lane.pack(region, 2, CanvasView<const Complex>(view(field)), message.data());
    const Complex* packed = message.data();
    lane.unpack(region, 2, packed, view(other));
    lane.unpack_add(region, 2, packed, view(third));
    return numbers_of(message, other, third);
  });
}

TEST("more regions than a lane keeps come and go") {
  check_lanes_agree(12, 20, 0, "many regions", [](auto& lane, Arrays& arrays) {
    auto field = arrays.complexes(kTile.pixels(), 1);
    std::vector<Region> many;
    for (int i = 0; i < 120; ++i) many.emplace_back(Rect{4 + i % 30, i, 14 + i % 30, i + 50 + i});
    for (int again = 0; again < 2; ++again)
      for (const Region& region : many)
        lane.map(region, 1, kernels::Scale<kernels::Given>{view(field), {Real(1.0625)}});
    return numbers_of(field);
  });
}

TEST("copies, zeros and uploads are made in their order") {
  check_lanes_agree(12, 20, 0, "copies", [](auto& lane, Arrays& arrays) {
    auto a = arrays.complexes(900, 1);
    auto b = arrays.complexes(900, 2);
    lane.copy(b.data(), a.data(), 100 * sizeof(Complex));
    lane.clear(a.data() + 50, 10 * sizeof(Complex));
    lane.copy(b.data() + 200, a.data(), 100 * sizeof(Complex));
    std::vector<Complex> values(300);
    for (int i = 0; i < 500; ++i) {
      for (Complex& value : values) value = {Real(i), Real(-i)};
      lane.upload(a.data() + i, values.data(), values.size() * sizeof(Complex));
    }
    return numbers_of(a, b);
  });
}

}  // namespace exitwave::test
