#include <random>
#include <vector>

#include "check.hpp"
#include "cpu/backend.hpp"
#include "engines/field.hpp"
#include "engines/layout.hpp"
#include "engines/partial_sums.hpp"
#include "sample.hpp"

namespace exitwave {

namespace {

constexpr int kModes = 2;

// Sums of several parts on one backend, each filled at the pixels that the part's frames reach, and
// what they are together.
class Parts {
 public:
  // `devices`: of an emulated device, 0: one for each part.
  Parts(int parts, bool emulated, int devices = 0)
      : sample_({}),
        parts_(parts),
        backend_((test::bind_fft_library(), sample_.cut_in_parts(parts),
                  CpuSettings{parts, 1, emulated ? (devices > 0 ? devices : parts) : 0, 0}),
                 sample_.scan),
        layout_(sample_.scan),
        sums_(backend_, layout_.tiles(), layout_.owned(), kModes) {}

  void fill() {
    std::mt19937 random(5);
    const auto integer = [&] { return Real(random() % 1000); };  // whole numbers add exactly
    total_.assign(kModes * pixels(), Complex{});
    weight_.assign(pixels(), Real(0));
    for (int part = 0; part < parts_; ++part)
      for (const Span& s : reached_by(part).spans())
        for (int x = s.x0; x < s.x1; ++x) {
          for (int mode = 0; mode < kModes; ++mode) {
            const Complex value{integer(), integer()};
            sums_.sum(part)(mode, s.y, x) = value;
            total_[at(mode, s.y, x)] += value;
          }
          const Real weight = integer();
          sums_.weight(part)(0, s.y, x) = weight;
          weight_[at(0, s.y, x)] += weight;
        }
  }

  void exchange(const Region* touched, bool in_steps = false) {
    const auto all = [&](auto step) {
      backend_.for_each_part([&](CpuLane& lane, int, int part) { step(lane, part); });
    };
    if (in_steps) {
      all([&](CpuLane& lane, int part) {
        sums_.restrict(part, touched);
        sums_.pack_away(lane, part);
      });
      all([&](CpuLane& lane, int part) {
        sums_.pass_away(lane, part);
        sums_.send_here(lane, part);
      });
    } else {
      all([&](CpuLane& lane, int part) { sums_.send(lane, part, touched); });
    }
    all([&](CpuLane& lane, int part) {
      sums_.collect(lane, part);
      if (!backend_.shared()) sums_.give_back(lane, part);
    });
    if (!backend_.shared()) all([&](CpuLane& lane, int part) { sums_.take_back(lane, part); });
  }
  void clear() {
    backend_.for_each_part([&](CpuLane& lane, int, int part) { sums_.clear(lane, part); });
  }

  // Whether a part's sums of a region are those of all parts together.
  bool whole(int part, const Region& region) {
    for (const Span& s : region.spans())
      for (int x = s.x0; x < s.x1; ++x) {
        for (int mode = 0; mode < kModes; ++mode)
          if (norm(sums_.sum(part)(mode, s.y, x) - total_[at(mode, s.y, x)]) != 0) return false;
        if (sums_.weight(part)(0, s.y, x) != weight_[at(0, s.y, x)]) return false;
      }
    return true;
  }
  bool all_zero() {
    for (int part = 0; part < parts_; ++part)
      for (const Span& s : Region(layout_.tile(part)).spans())
        for (int x = s.x0; x < s.x1; ++x) {
          for (int mode = 0; mode < kModes; ++mode)
            if (norm(sums_.sum(part)(mode, s.y, x)) != 0) return false;
          if (sums_.weight(part)(0, s.y, x) != 0) return false;
        }
    return true;
  }

  Region reached_by(int part) const {
    std::vector<Corner> corners;
    for (const int frame : sample_.scan.parts[std::size_t(part)])
      corners.push_back(sample_.scan.corner[std::size_t(frame)]);
    return Region::windows(corners, 12, 20);
  }

  const Layout& layout() const { return layout_; }
  PartialSums<CpuBackend>& sums() { return sums_; }
  CpuBackend& backend() { return backend_; }
  std::size_t pixels() const {
    return std::size_t(sample_.scan.object_ny) * std::size_t(sample_.scan.object_nx);
  }

 private:
  std::size_t at(int mode, int y, int x) const {
    return std::size_t((mode * sample_.scan.object_ny + y) * sample_.scan.object_nx + x);
  }

  test::Sample sample_;
  int parts_;
  CpuBackend backend_;
  Layout layout_;
  PartialSums<CpuBackend> sums_;
  std::vector<Complex> total_;
  std::vector<Real> weight_;
};

TEST("every reached pixel has one owner") {
  for (const int count : {1, 2, 3, 7}) {
    const Parts parts(count, false);
    std::vector<int> owners(parts.pixels(), 0);
    std::size_t owned = 0;
    for (int part = 0; part < count; ++part) {
      owned += parts.layout().owned(part).pixels();
      for (const Span& s : parts.layout().owned(part).spans())
        for (int x = s.x0; x < s.x1; ++x) ++owners[std::size_t(s.y * 45 + x)];
    }
    CHECK(owned == parts.layout().reached().pixels());
    for (const Span& s : parts.layout().reached().spans())
      for (int x = s.x0; x < s.x1; ++x) CHECK(owners[std::size_t(s.y * 45 + x)] == 1);
  }
}

TEST("after the exchange the sums that a part updates are those of one part") {
  for (const bool emulated : {false, true})
    for (const int count : {1, 2, 3, 7}) {
      Parts parts(count, emulated);
      parts.fill();
      parts.exchange(nullptr);
      for (int part = 0; part < count; ++part) CHECK(parts.whole(part, parts.sums().updated(part)));
    }
}

TEST("sums that go to other memories first, and those of neighbours later, come to the same") {
  for (const int devices : {1, 2, 3, 7}) {
    Parts parts(7, true, devices);
    const Region some(Rect{3, 5, 24, 32});
    for (const Region* touched : {static_cast<const Region*>(nullptr), &some}) {
      parts.fill();
      parts.exchange(touched, true);
      for (int part = 0; part < 7; ++part) CHECK(parts.whole(part, parts.sums().active(part)));
      parts.clear();
    }
  }
}

TEST("parts with memory of their own update every pixel that their frames reach") {
  Parts parts(3, true);
  for (int part = 0; part < 3; ++part) {
    const Region reached = parts.reached_by(part);
    CHECK(reached.intersected(parts.sums().updated(part)).pixels() == reached.pixels());
  }
}

TEST("after update and clearing nothing is left for the next update") {
  for (const bool emulated : {false, true})
    for (const int count : {1, 2, 3, 7}) {
      Parts parts(count, emulated);
      parts.fill();
      CHECK(!parts.all_zero());
      parts.exchange(nullptr);
      parts.clear();
      CHECK(parts.all_zero());
    }
}

TEST("a group exchanges and updates the pixels that it touches, and the next group others") {
  for (const bool emulated : {false, true}) {
    Parts parts(3, emulated);
    const Region first(Rect{3, 5, 14, 22});
    const Region second(Rect{10, 18, 29, 40});
    for (const Region& touched : {first, second}) {
      parts.fill();
      parts.exchange(&touched);
      for (int part = 0; part < 3; ++part) {
        const Region& active = parts.sums().active(part);
        CHECK(active.pixels() == parts.sums().updated(part).intersected(touched).pixels());
        CHECK(parts.whole(part, active));
      }
      parts.clear();
    }
  }
}

TEST("tiles put together are the array that was cut") {
  for (const bool emulated : {false, true}) {
    Parts parts(3, emulated);
    Field<CpuBackend, Complex> field(parts.backend(), "object", {0, 0, 31, 45},
                                     parts.layout().tiles(), kModes);
    std::vector<Complex> values(kModes * parts.pixels());
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = {Real(i), -Real(i)};

    field.upload(values.data());
    const Rect tile = parts.layout().tile(2);
    CHECK(field.view(2)(1, tile.y0, tile.x0).re == Real((31 + tile.y0) * 45 + tile.x0));
    std::vector<Complex> copy = values;
    for (const Span& s : parts.layout().reached().spans())
      for (int x = s.x0; x < s.x1; ++x) copy[std::size_t((31 + s.y) * 45 + x)] = {};
    field.download(copy.data());

    CHECK(test::relative(copy, values) == 0);
    CHECK((field.in_place().data == nullptr) == emulated);
  }
}

}  // namespace

}  // namespace exitwave
