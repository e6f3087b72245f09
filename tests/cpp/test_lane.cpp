#include <cmath>
#include <utility>
#include <vector>

#include "check.hpp"
#include "lane_fixture.hpp"

namespace exitwave {

namespace {

using test::kBatch;
using test::make_lane;
using test::memory;
using test::random_images;

// target <- 2 source + its place, so that swapped axes show
struct Place {
  BatchView<Real> target;
  BatchView<const Real> source;
  void operator()(Pixel p) const {
    target(p) = 2 * source(p) + Real(1000 * p.frame + 100 * p.mode) + Real(10 * p.y) + Real(p.x);
  }
};

// sums: a and a^2 over modes; the first is kept, totals are both
struct ModeSums {
  static constexpr int kSums = 2;
  static constexpr int kRoots = 0;
  static constexpr int kTotals = 2;
  BatchView<const Real> source;
  BatchView<Real> kept;
  Sums<2> term(Pixel p) const { return {{source(p), source(p) * source(p)}}; }
  Sums<2> finish(Pixel p, Sums<2> sum, Sums<0>) const {
    kept(p) = sum.v[0];
    return sum;
  }
};

// 1 / sqrt(1 + sum of a) and 1 / sqrt(2 + sum of a), kept in two modes
struct ModeRoots {
  static constexpr int kSums = 1;
  static constexpr int kRoots = 2;
  static constexpr int kTotals = 1;
  BatchView<const Real> source;
  BatchView<Real> kept;
  Sums<1> term(Pixel p) const { return {{source(p)}}; }
  Sums<2> root_of(Pixel, Sums<1> sum) const { return {{1 + sum.v[0], 2 + sum.v[0]}}; }
  Sums<1> finish(Pixel p, Sums<1>, Sums<2> roots) const {
    kept(p) = roots.v[0];
    kept({p.frame, 1, p.y, p.x}) = roots.v[1];
    return {{roots.v[0]}};
  }
};

// target <- source, rolled
struct Rolled {
  BatchView<Real> target;
  BatchView<const Real> source;
  void operator()(Pixel p, int y, int x) const { target(p) = source({p.frame, 0, y, x}); }
};

TEST("a map visits every pixel of every image") {
  CpuLane lane = make_lane();
  Images<Real> source = random_images(kBatch);
  Images<Real> target(memory(), kBatch);

  lane.map(kBatch, Place{target.view(), source.view()});

  int wrong = 0;
  for (int frame = 0; frame < kBatch.frames; ++frame)
    for (int mode = 0; mode < kBatch.modes; ++mode)
      for (int y = 0; y < kBatch.ny; ++y)
        for (int x = 0; x < kBatch.nx; ++x) {
          const Pixel p{frame, mode, y, x};
          const Real place = Real(1000 * frame + 100 * mode) + Real(10 * y) + Real(x);
          wrong += std::abs(target.view()(p) - (2 * source.view()(p) + place)) < 1e-3F ? 0 : 1;
        }
  CHECK(wrong == 0);
}

TEST("sums over modes are finished once per pixel and totalled per frame") {
  CpuLane lane = make_lane();
  const Extent n{3, 3, 12, 20};
  Images<Real> source = random_images(n);
  Images<Real> kept(memory(), {3, 1, 12, 20});
  std::vector<double> totals(6, -1.0);  // what stands there is replaced

  lane.run(n, CpuLane::SumModes<ModeSums>{n.modes, {source.view(), kept.view()}, totals.data()});

  for (int frame = 0; frame < n.frames; ++frame) {
    double sum = 0;
    double squares = 0;
    for (int y = 0; y < n.ny; ++y)
      for (int x = 0; x < n.nx; ++x) {
        Real pixel = 0;
        for (int mode = 0; mode < n.modes; ++mode) {
          const Real value = source.view()({frame, mode, y, x});
          pixel += value;
          squares += double(value) * double(value);
        }
        CHECK(std::abs(kept.view()({frame, 0, y, x}) - pixel) < 1e-6F);
        sum += double(pixel);
      }
    CHECK(std::abs(totals[std::size_t(2 * frame)] / sum - 1) < 1e-6);
    CHECK(std::abs(totals[std::size_t(2 * frame + 1)] / squares - 1) < 1e-6);
  }

  std::vector<double> total{1.0, 2.0};
  lane.add_totals(3, 2, totals.data(), total.data());
  CHECK(std::abs(total[0] - (1 + totals[0] + totals[2] + totals[4])) < 1e-9);
  CHECK(std::abs(total[1] - (2 + totals[1] + totals[3] + totals[5])) < 1e-9);
}

TEST("roots of sums over modes are those of the library") {
  CpuLane lane = make_lane();
  const Extent n{2, 3, 12, 20};
  Images<Real> source = random_images(n);
  Images<Real> kept(memory(), {2, 2, 12, 20});
  std::vector<double> totals(2);

  lane.run(n, CpuLane::SumModes<ModeRoots>{3, {source.view(), kept.view()}, totals.data()});

  for (int frame = 0; frame < n.frames; ++frame) {
    double total = 0;
    for (int y = 0; y < n.ny; ++y)
      for (int x = 0; x < n.nx; ++x) {
        double sum = 0;
        for (int mode = 0; mode < n.modes; ++mode)
          sum += double(source.view()({frame, mode, y, x}));
        total += 1 / std::sqrt(1 + sum);
        const Real first = kept.view()({frame, 0, y, x});
        const Real second = kept.view()({frame, 1, y, x});
        CHECK(std::abs(double(first) * std::sqrt(1 + sum) - 1) < 1e-6);
        CHECK(std::abs(double(second) * std::sqrt(2 + sum) - 1) < 1e-6);
      }
    CHECK(std::abs(totals[std::size_t(frame)] / total - 1) < 1e-6);
  }
}

TEST("inverse roots hold over all magnitudes, and for any number of values") {
  for (const int count : {1, 7, 16, 45}) {
    std::vector<Real> values;
    for (int i = 0; i < count; ++i)
      values.push_back(std::ldexp(Real(1) + Real(i) / 64, 5 * i - 110));
    std::vector<Real> roots = values;
    inverse_roots(roots.data(), count);
    for (std::size_t i = 0; i < values.size(); ++i)
      CHECK(std::abs(double(roots[i]) * std::sqrt(double(values[i])) - 1) < 1e-6);
  }
}

TEST("a rolled image comes from where it was") {
  CpuLane lane = make_lane();
  const Extent n{2, 1, 12, 20};
  Images<Real> source = random_images(n);
  for (const auto& [dy, dx] : {std::pair{0, 0}, {6, 10}, {7, 3}}) {
    Images<Real> target(memory(), n);
    lane.run(n, CpuLane::MapRolled<Rolled>{n.ny, dy, dx, {target.view(), source.view()}});
    int wrong = 0;
    for (int frame = 0; frame < n.frames; ++frame)
      for (int y = 0; y < n.ny; ++y)
        for (int x = 0; x < n.nx; ++x)
          wrong += target.view()({frame, 0, y, x}) ==
                           source.view()({frame, 0, (y + dy) % n.ny, (x + dx) % n.nx})
                       ? 0
                       : 1;
    CHECK(wrong == 0);
  }
}

TEST("operations that run together see what the ones before them wrote") {
  CpuLane lane = make_lane();
  const Extent n{2, 2, 12, 20};
  Images<Real> source = random_images(n);
  Images<Real> doubled(memory(), n);
  Images<Real> together(memory(), {2, 1, 12, 20});
  Images<Real> apart(memory(), {2, 1, 12, 20});
  std::vector<double> totals(4);
  const CpuLane::Map<Place> place{2, {doubled.view(), source.view()}};
  const auto sum_into = [&](Images<Real>& kept) {
    return CpuLane::SumModes<ModeSums>{2, {doubled.view(), kept.view()}, totals.data()};
  };

  lane.run(n, place, sum_into(together));
  lane.run(n, sum_into(apart));

  for (int frame = 0; frame < 2; ++frame)
    for (int y = 0; y < n.ny; ++y)
      for (int x = 0; x < n.nx; ++x)
        CHECK(together.view()({frame, 0, y, x}) == apart.view()({frame, 0, y, x}));
}

TEST("a correlation knows the detector's neighbours, and nothing beyond its edge") {
  CpuLane lane = make_lane();
  Images<Real> source = random_images(kBatch);
  Images<Real> target(memory(), kBatch);
  std::vector<Real> weights;
  for (int i = 0; i < 15; ++i) weights.push_back(Real(i * i % 7) / 8);

  for (const Corner first : {Corner{0, 0}, Corner{6, 10}, Corner{5, 13}}) {
    lane.correlate(kBatch, target.view(), source.view(), {weights.data(), 3, 5, first});

    // The pixel of an image that is pixel (y, x) of the detector.
    const auto at = [&](const BatchView<const Real>& images, int frame, int mode, int y, int x) {
      if (y < 0 || x < 0 || y >= kBatch.ny || x >= kBatch.nx) return 0.0;
      return double(images({frame, mode, (y - first.y + kBatch.ny) % kBatch.ny,
                            (x - first.x + kBatch.nx) % kBatch.nx}));
    };
    for (int frame = 0; frame < kBatch.frames; ++frame)
      for (int mode = 0; mode < kBatch.modes; ++mode)
        for (int y = 0; y < kBatch.ny; ++y)
          for (int x = 0; x < kBatch.nx; ++x) {
            double sum = 0;
            for (int k = 0; k < 3; ++k)
              for (int l = 0; l < 5; ++l)
                sum += double(weights[std::size_t(5 * k + l)]) *
                       at(source.view(), frame, mode, y + k - 1, x + l - 2);
            CHECK(std::abs(at(target.view(), frame, mode, y, x) - sum) < 1e-5);
          }
  }
}

TEST("a transform and its inverse return every image, times its pixels") {
  CpuLane lane = make_lane();
  Images<Complex> wave(memory(), kBatch);
  const auto value = [](int i) { return Complex{Real(i % 7) - 3, Real(i % 5)}; };
  int i = 0;
  for (int frame = 0; frame < kBatch.frames; ++frame)
    for (int mode = 0; mode < kBatch.modes; ++mode)
      for (int y = 0; y < kBatch.ny; ++y)
        for (int x = 0; x < kBatch.nx; ++x) wave.view()({frame, mode, y, x}) = value(i++);

  lane.fft2(kBatch, wave.view(), Direction::forward);
  lane.fft2(kBatch, wave.view(), Direction::backward);

  i = 0;
  const Real pixels = Real(kBatch.ny * kBatch.nx);
  for (int frame = 0; frame < kBatch.frames; ++frame)
    for (int mode = 0; mode < kBatch.modes; ++mode)
      for (int y = 0; y < kBatch.ny; ++y)
        for (int x = 0; x < kBatch.nx; ++x) {
          const Complex got = 1 / pixels * wave.view()({frame, mode, y, x});
          CHECK(norm(got - value(i++)) < 1e-10F);
        }
}

}  // namespace

}  // namespace exitwave
