#include "cpu/line_transform.hpp"

#include <cmath>
#include <numbers>

#include "cpu/passes.hpp"
#include "cpu/radices.hpp"

namespace exitwave {

using vector::kPoint;
using vector::Scratch;

namespace {

// Rows of an image whose columns are the lines.
struct Columns {
  const Complex* first;
  std::ptrdiff_t stride;

  EXITWAVE_INLINE vector::Lanes read(int i) const {
    // What the next register of columns reads: too far apart for the processor to foresee.
    const Complex* next = first + i * stride + vector::kLanes;
    __builtin_prefetch(next);
    __builtin_prefetch(next + vector::kLanes / 2);
    return vector::read_neighbours(first + i * stride);
  }
};

// The same for all lines.
struct Twiddles {
  const Complex* first;

  EXITWAVE_INLINE Complex operator()(int i) const { return first[i]; }
};

}  // namespace

// Two passes at least.
bool LineTransform::supports(int length) { return length > 8 && is_smooth(length); }

LineTransform::LineTransform(int length)
    : length_(length), forward_place_(std::size_t(length)), backward_place_(std::size_t(length)) {
  std::vector<int> frequency(std::size_t(length), 0);
  int rest = length;
  for (const int radix : radices_of(length)) {
    passes_.push_back({radix, rest, twiddles_.size()});
    const int shorter = rest / radix;
    for (int j = 0; j < shorter; ++j)
      for (int k = 1; k < radix; ++k) {
        const double angle = -2 * std::numbers::pi * j * k / rest;
        twiddles_.push_back({Real(std::cos(angle)), Real(std::sin(angle))});
      }
    for (int i = 0; i < length; ++i)
      frequency[std::size_t(i)] += length / rest * (i / shorter % radix);
    rest = shorter;
  }
  for (int i = 0; i < length; ++i) {
    const int k = frequency[std::size_t(i)];
    forward_place_[std::size_t(k)] = i;
    backward_place_[std::size_t((length - k) % length)] = i;
  }
}

std::size_t LineTransform::scratch_size() const { return std::size_t(length_) * kPoint; }

void LineTransform::run(Real* scratch) const { run_passes(0, 1, scratch); }

void LineTransform::run_columns(const Complex* first, std::ptrdiff_t stride, Real* scratch) const {
  const Pass& p = passes_.front();
  vector::with_radix(p.radix, [&](auto radix) {
    vector::divide<radix>(p.length / radix, Columns{first, stride}, Twiddles{twiddles(p)},
                          Scratch{scratch});
  });
  run_passes(1, p.radix, scratch);
}

// Depth first: short transforms end before they leave the first cache.
void LineTransform::run_passes(std::size_t pass, int blocks, Real* scratch) const {
  const Pass& p = passes_[pass];
  if (pass + 1 == passes_.size())
    return vector::with_radix(
        p.radix, [&](auto radix) { vector::conclude<radix>(blocks, Scratch{scratch}); });
  for (int block = 0; block < blocks; ++block, scratch += p.length * kPoint) {
    vector::with_radix(p.radix, [&](auto radix) {
      vector::divide<radix>(p.length / radix, Scratch<const Real>{scratch}, Twiddles{twiddles(p)},
                            Scratch{scratch});
    });
    run_passes(pass + 1, p.radix, scratch);
  }
}

}  // namespace exitwave
