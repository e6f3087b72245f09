#include "cpu/fast_fft.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <new>
#include <numbers>
#include <type_traits>

#include "cpu/butterfly.hpp"
#include "cpu/vector.hpp"

namespace exitwave {

namespace {

using vector::Butterfly;
using vector::kLanes;
using vector::Lanes;
using vector::Vector;

// Complex numbers in one register, and reals of one number of all lanes.
constexpr int kPairs = kLanes / 2;
constexpr int kPoint = 2 * kLanes;

// --- where a pass reads and writes
// ----------------------------------------------------------------

struct Scratch {
  Real* first;

  EXITWAVE_INLINE Lanes read(int i) const {
    return {vector::read(first + i * kPoint), vector::read(first + i * kPoint + kLanes)};
  }
  EXITWAVE_INLINE void write(int i, Lanes v) const {
    vector::write(first + i * kPoint, v.re);
    vector::write(first + i * kPoint + kLanes, v.im);
  }
};

// Lanes are columns; their order in a register is whatever shuffles least.
struct Columns {
  Complex* first;
  std::ptrdiff_t stride;
  const int* frequency;

  EXITWAVE_INLINE Lanes read(int i) const {
    const Real* row = &first[i * stride].re;
    const Vector a = vector::read(row);
    const Vector b = vector::read(row + kLanes);
    return {vector::shuffle<vector::EverySecond<false>>(a, b),
            vector::shuffle<vector::EverySecond<true>>(a, b)};
  }
  EXITWAVE_INLINE void write(int i, Lanes v) const {
    Real* row = &first[frequency[i] * stride].re;
    vector::write(row, vector::shuffle<vector::Alternate<false>>(v.re, v.im));
    vector::write(row + kLanes, vector::shuffle<vector::Alternate<true>>(v.re, v.im));
  }
};

// --- passes
// ---------------------------------------------------------------------------------------

// One transform of R times `stride` points into R of `stride`.
template <int R, class From>
void divide(int stride, const Complex* twiddle, From from, Scratch to) {
  for (int j = 0; j < stride; ++j, twiddle += R - 1) {
    Lanes v[R];
    for (int q = 0; q < R; ++q) v[q] = from.read(j + q * stride);
    Butterfly<R>::run(v);
    to.write(j, v[0]);
    for (int k = 1; k < R; ++k) to.write(j + k * stride, v[k] * twiddle[k - 1]);
  }
}

// Neighbouring transforms of R points.
template <int R, class To>
void conclude(int offset, int blocks, Scratch from, To to) {
  for (int i = offset; i < offset + blocks * R; i += R) {
    Lanes v[R];
    for (int q = 0; q < R; ++q) v[q] = from.read(i + q);
    Butterfly<R>::run(v);
    for (int k = 0; k < R; ++k) to.write(i + k, v[k]);
  }
}

// f with the radix as a compile-time constant
template <class F>
void with_radix(int radix, const F& f) {
  switch (radix) {
    case 2:
      return f(std::integral_constant<int, 2>{});
    case 3:
      return f(std::integral_constant<int, 3>{});
    case 4:
      return f(std::integral_constant<int, 4>{});
    case 5:
      return f(std::integral_constant<int, 5>{});
    case 7:
      return f(std::integral_constant<int, 7>{});
    case 8:
      return f(std::integral_constant<int, 8>{});
    default:
      return f(std::integral_constant<int, 16>{});
  }
}

// Radices of the passes: few passes, and at least two.
std::vector<int> radices_of(int length) {
  std::vector<int> radices;
  for (const int prime : {7, 5, 3})
    for (; length % prime == 0; length /= prime) radices.push_back(prime);
  int twos = 0;
  for (; length % 2 == 0; length /= 2) ++twos;
  int passes = (twos + 2) / 3;
  if (radices.empty()) passes = std::max(passes, 2);
  for (; passes > 0; --passes) {
    const int share = (twos + passes - 1) / passes;
    radices.push_back(1 << share);
    twos -= share;
  }
  return radices;
}

// --- rows
// -----------------------------------------------------------------------------------------

// Rows of the image, one per lane; a register holds kPairs points of one row.
struct Rows {
  Complex* line[kLanes];
  int length;

  void read(Real* scratch) const {
    int x = 0;
    for (; x + kPairs <= length; x += kPairs) {
      Vector v[kLanes];
      for (int r = 0; r < kLanes; ++r) v[r] = vector::read(&line[r][x].re);
      vector::transpose(v);
      for (int r = 0; r < kLanes; ++r) vector::write(scratch + x * kPoint + r * kLanes, v[r]);
    }
    for (; x < length; ++x)
      for (int r = 0; r < kLanes; ++r) {
        scratch[x * kPoint + r] = line[r][x].re;
        scratch[x * kPoint + kLanes + r] = line[r][x].im;
      }
  }

  void write(const Real* scratch, const int* place) const {
    int x = 0;
    for (; x + kPairs <= length; x += kPairs) {
      Vector v[kLanes];
      for (int i = 0; i < kPairs; ++i) {
        v[2 * i] = vector::read(scratch + place[x + i] * kPoint);
        v[2 * i + 1] = vector::read(scratch + place[x + i] * kPoint + kLanes);
      }
      vector::transpose(v);
      for (int r = 0; r < kLanes; ++r) vector::write(&line[r][x].re, v[r]);
    }
    for (; x < length; ++x)
      for (int r = 0; r < kLanes; ++r)
        line[r][x] = {scratch[place[x] * kPoint + r], scratch[place[x] * kPoint + kLanes + r]};
  }
};

// --- memory of a thread
// ---------------------------------------------------------------------------

// Grows to what the thread's largest transform needs.
class ThreadScratch {
 public:
  ThreadScratch() = default;
  ThreadScratch(const ThreadScratch&) = delete;
  ThreadScratch& operator=(const ThreadScratch&) = delete;
  ~ThreadScratch() { std::free(data_); }

  Real* get(std::size_t size) {
    if (size > size_) {
      std::free(data_);
      size_ = 0;
      data_ = static_cast<Real*>(std::aligned_alloc(64, (size * sizeof(Real) + 63) / 64 * 64));
      if (data_ == nullptr) throw std::bad_alloc();
      size_ = size;
    }
    return data_;
  }

 private:
  Real* data_ = nullptr;
  std::size_t size_ = 0;
};
thread_local ThreadScratch thread_scratch;

}  // namespace

// --- lines
// ----------------------------------------------------------------------------------------

bool LineTransform::supports(int length) {
  int rest = length;
  for (const int prime : {2, 3, 5, 7})
    while (rest % prime == 0) rest /= prime;
  return rest == 1 && radices_of(length).size() > 1 && length > 3;
}

LineTransform::LineTransform(int length) : length_(length) {
  forward_.frequency.assign(std::size_t(length), 0);
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
      forward_.frequency[std::size_t(i)] += length / rest * (i / shorter % radix);
    rest = shorter;
  }
  forward_.place.resize(std::size_t(length));
  backward_ = forward_;
  for (int i = 0; i < length; ++i) {
    const int k = forward_.frequency[std::size_t(i)];
    const int reversed = (length - k) % length;
    backward_.frequency[std::size_t(i)] = reversed;
    forward_.place[std::size_t(k)] = i;
    backward_.place[std::size_t(reversed)] = i;
  }
}

std::size_t LineTransform::scratch_size() const { return std::size_t(length_) * kPoint; }

template <class Last>
void LineTransform::run_passes(std::size_t pass, int offset, int blocks, Real* scratch,
                               const Last& last) const {
  if (pass + 1 == passes_.size()) return last(offset, blocks);
  const Pass& p = passes_[pass];
  for (int block = 0; block < blocks; ++block, offset += p.length) {
    const Scratch part{scratch + offset * kPoint};
    with_radix(p.radix, [&](auto radix) {
      divide<radix>(p.length / radix, &twiddles_[p.twiddles], part, part);
    });
    run_passes(pass + 1, offset, p.radix, scratch, last);
  }
}

void LineTransform::columns(Complex* first, std::ptrdiff_t stride, Direction direction,
                            Real* scratch) const {
  const Columns image{first, stride, order(direction).frequency.data()};
  const Pass& p = passes_.front();
  with_radix(p.radix, [&](auto radix) {
    divide<radix>(p.length / radix, &twiddles_[p.twiddles], image, Scratch{scratch});
  });
  run_passes(1, 0, p.radix, scratch, [&](int offset, int blocks) {
    with_radix(passes_.back().radix,
               [&](auto radix) { conclude<radix>(offset, blocks, Scratch{scratch}, image); });
  });
}

void LineTransform::in_scratch(Real* scratch) const {
  run_passes(0, 0, 1, scratch, [&](int offset, int blocks) {
    with_radix(passes_.back().radix, [&](auto radix) {
      conclude<radix>(offset, blocks, Scratch{scratch}, Scratch{scratch});
    });
  });
}

// --- images
// ---------------------------------------------------------------------------------------

void FastFft::execute(Complex* image, Direction direction) const {
  // A second scratch of the same size is for lines that do not fill a register.
  const std::size_t size = std::max(along_y_.scratch_size(), along_x_.scratch_size());
  Real* scratch = thread_scratch.get(2 * size);
  columns(image, direction, scratch);
  rows(image, direction, scratch);
}

void FastFft::columns(Complex* image, Direction direction, Real* scratch) const {
  const int ny = along_y_.length();
  const int nx = along_x_.length();
  int x = 0;
  for (; x + kLanes <= nx; x += kLanes) along_y_.columns(image + x, nx, direction, scratch);
  if (x == nx) return;
  Complex* last = reinterpret_cast<Complex*>(scratch + along_y_.scratch_size());
  for (int y = 0; y < ny; ++y) {
    std::fill_n(last + y * kLanes, kLanes, Complex{0, 0});
    std::copy_n(image + std::ptrdiff_t(y) * nx + x, nx - x, last + y * kLanes);
  }
  along_y_.columns(last, kLanes, direction, scratch);
  for (int y = 0; y < ny; ++y)
    std::copy_n(last + y * kLanes, nx - x, image + std::ptrdiff_t(y) * nx + x);
}

void FastFft::rows(Complex* image, Direction direction, Real* scratch) const {
  const int ny = along_y_.length();
  const int nx = along_x_.length();
  Complex* spare = reinterpret_cast<Complex*>(scratch + along_x_.scratch_size());
  if (ny % kLanes != 0) std::fill_n(spare, nx, Complex{0, 0});
  for (int y = 0; y < ny; y += kLanes) {
    Rows block{{}, nx};
    for (int r = 0; r < kLanes; ++r)
      block.line[r] = y + r < ny ? image + std::ptrdiff_t(y + r) * nx : spare;
    block.read(scratch);
    along_x_.in_scratch(scratch);
    block.write(scratch, along_x_.place(direction));
  }
}

}  // namespace exitwave
