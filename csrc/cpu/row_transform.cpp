#include "cpu/row_transform.hpp"

#include <cmath>
#include <numbers>

#include "cpu/passes.hpp"
#include "cpu/radices.hpp"

namespace exitwave {

using vector::kLanes;
using vector::kPoint;
using vector::Lanes;
using vector::Scratch;
using vector::Vector;

namespace {

// Exchanging real and imaginary parts, before and after, makes forward backward.
template <bool Exchange>
EXITWAVE_INLINE Lanes oriented(Lanes v) {
  return Exchange ? Lanes{v.im, v.re} : v;
}

template <bool Exchange>
struct Row {
  const Complex* first;

  EXITWAVE_INLINE Lanes read(int i) const {
    return oriented<Exchange>(vector::read_neighbours(first + i * kLanes));
  }
};

struct Twiddles {
  const Real* first;

  EXITWAVE_INLINE Lanes operator()(int i) const { return Scratch{first}.read(i); }
};

}  // namespace

bool RowTransform::supports(int length) {
  return is_smooth(length) && length % (kLanes * kLanes) == 0 && length >= 512;
}

RowTransform::RowTransform(int length) : length_(length) {
  const int registers = length / kLanes;
  std::vector<int> frequency(std::size_t(registers), 0);
  int rest = length;
  for (const int radix : radices_of(registers)) {
    passes_.push_back({radix, rest, twiddles_.size()});
    const int stride = rest / radix / kLanes;
    for (int i = 0; i < stride * (radix - 1); ++i)
      for (const bool imaginary : {false, true})
        for (int lane = 0; lane < kLanes; ++lane) {
          const int j = i / (radix - 1) * kLanes + vector::number_of(lane);
          const double angle = -2 * std::numbers::pi * j * (i % (radix - 1) + 1) / rest;
          twiddles_.push_back(Real(imaginary ? std::sin(angle) : std::cos(angle)));
        }
    for (int i = 0; i < registers; ++i)
      frequency[std::size_t(i)] += length / rest * (i / stride % radix);
    rest /= radix;
  }
  register_of_.resize(std::size_t(registers));
  for (int i = 0; i < registers; ++i) register_of_[std::size_t(frequency[std::size_t(i)])] = i;
}

void RowTransform::run(Complex* row, Direction direction, Real* scratch) const {
  direction == Direction::forward ? run<false>(row, scratch) : run<true>(row, scratch);
}

template <bool Exchange>
void RowTransform::run(Complex* row, Real* scratch) const {
  const Pass& p = passes_.front();
  vector::with_radix(p.radix, [&](auto radix) {
    vector::divide<radix>(p.length / radix / kLanes, Row<Exchange>{row}, Twiddles{twiddles(p)},
                          Scratch{scratch});
  });
  run_passes(1, p.radix, scratch);
  write<Exchange>(row, scratch);
}

void RowTransform::run_passes(std::size_t pass, int blocks, Real* scratch) const {
  if (pass == passes_.size()) return;
  const Pass& p = passes_[pass];
  for (int block = 0; block < blocks; ++block, scratch += 2 * p.length) {
    vector::with_radix(p.radix, [&](auto radix) {
      vector::divide<radix>(p.length / radix / kLanes, Scratch<const Real>{scratch},
                            Twiddles{twiddles(p)}, Scratch{scratch});
    });
    run_passes(pass + 1, p.radix, scratch);
  }
}

// Registers of neighbouring frequencies together, so that results are neighbours too.
template <bool Exchange>
void RowTransform::write(Complex* row, const Real* scratch) const {
  const int registers = length_ / kLanes;
  for (int first = 0; first < registers; first += kLanes) {
    Vector re[kLanes];
    Vector im[kLanes];
    for (int lane = 0; lane < kLanes; ++lane) {
      const int number = first + vector::number_of(lane);
      const Lanes v = Scratch{scratch}.read(register_of_[std::size_t(number)]);
      re[lane] = v.re;
      im[lane] = v.im;
    }
    vector::transpose(re);
    vector::transpose(im);
    Lanes v[kLanes];
    for (int lane = 0; lane < kLanes; ++lane) v[vector::number_of(lane)] = {re[lane], im[lane]};
    vector::Butterfly<kLanes>::run(v);
    for (int k = 0; k < kLanes; ++k)
      vector::write_neighbours(row + first + registers * k, oriented<Exchange>(v[k]));
  }
}

}  // namespace exitwave
