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

constexpr int kPairs = kLanes / 2;  // complex numbers in a register
constexpr int kPoint = 2 * kLanes;  // reals of one point of all lines

// Where a pass reads and writes: points of a scratch, or rows of an image whose columns are lines.
template <class T>
struct Scratch {
  T* first;

  EXITWAVE_INLINE Lanes read(int i) const {
    return {vector::read(first + i * kPoint), vector::read(first + i * kPoint + kLanes)};
  }
  EXITWAVE_INLINE void write(int i, Lanes v) const {
    vector::write(first + i * kPoint, v.re);
    vector::write(first + i * kPoint + kLanes, v.im);
  }
};
struct Columns {
  const Complex* first;
  std::ptrdiff_t stride;

  EXITWAVE_INLINE Lanes read(int i) const { return vector::read_neighbours(first + i * stride); }
};

// One transform of R times `stride` points into R of `stride`.
template <int R, class From>
void divide(int stride, const Complex* twiddle, From from, Scratch<Real> to) {
  for (int j = 0; j < stride; ++j, twiddle += R - 1) {
    Lanes v[R];
    for (int q = 0; q < R; ++q) v[q] = from.read(j + q * stride);
    Butterfly<R>::run(v);
    to.write(j, v[0]);
    for (int k = 1; k < R; ++k) to.write(j + k * stride, v[k] * twiddle[k - 1]);
  }
}

// Neighbouring transforms of R points.
template <int R>
void conclude(int blocks, Scratch<Real> scratch) {
  for (int i = 0; i < blocks * R; i += R) {
    Lanes v[R];
    for (int q = 0; q < R; ++q) v[q] = scratch.read(i + q);
    Butterfly<R>::run(v);
    for (int k = 0; k < R; ++k) scratch.write(i + k, v[k]);
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
    default:
      return f(std::integral_constant<int, 8>{});
  }
}

// Radices of the passes: few passes, and at least two. 16 would save some, but its numbers do not
// fit the registers, and it is slower.
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

// Rows of an image, one for each lane.
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

// Registers of columns that are written back together. Rows are often a power of two apart, and
// caches then have few places for them: the wider a row is written, the better, but the scratch has
// to stay in the second cache.
int columns_together(int rows) { return rows < 512 ? 2 : 4; }

// Memory of a thread; grows to what its largest transform needs.
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

bool LineTransform::supports(int length) {
  int rest = length;
  for (const int prime : {2, 3, 5, 7})
    while (rest > 1 && rest % prime == 0) rest /= prime;
  return rest == 1 && length > 3 && radices_of(length).size() > 1;
}

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

void LineTransform::run_passes(std::size_t pass, int blocks, Real* scratch) const {
  const Pass& p = passes_[pass];
  if (pass + 1 == passes_.size())
    return with_radix(p.radix, [&](auto radix) { conclude<radix>(blocks, Scratch{scratch}); });
  for (int block = 0; block < blocks; ++block, scratch += p.length * kPoint) {
    with_radix(p.radix, [&](auto radix) {
      divide<radix>(p.length / radix, &twiddles_[p.twiddles], Scratch{scratch}, Scratch{scratch});
    });
    run_passes(pass + 1, p.radix, scratch);
  }
}

void LineTransform::run(Real* scratch) const { run_passes(0, 1, scratch); }

void LineTransform::run_columns(const Complex* first, std::ptrdiff_t stride, Real* scratch) const {
  const Pass& p = passes_.front();
  with_radix(p.radix, [&](auto radix) {
    divide<radix>(p.length / radix, &twiddles_[p.twiddles], Columns{first, stride},
                  Scratch{scratch});
  });
  run_passes(1, p.radix, scratch);
}

bool FastFft::pays() { return kLanes >= 8; }

Real* FastFft::scratch() const {
  // One more register of columns, for those that do not fill it.
  const std::size_t columns =
      std::size_t(columns_together(along_y_.length()) + 1) * along_y_.scratch_size();
  const std::size_t rows = along_x_.scratch_size() + std::size_t(along_x_.length()) * 2;
  return thread_scratch.get(std::max(columns, rows));
}

void FastFft::execute(Complex* image, Direction direction) const {
  columns(image, direction);
  rows(image, 0, along_y_.length(), direction);
}

void FastFft::columns(Complex* image, Direction direction) const {
  Real* scratch = this->scratch();
  const int width = columns_together(along_y_.length()) * kLanes;
  for (int x = 0; x < along_x_.length(); x += width) {
    const Band band{x, std::min(width, along_x_.length() - x)};
    read_band(image, band, scratch);
    write_band(image, band, direction, scratch);
  }
}

// Transforms columns of the image into lines of the scratch.
void FastFft::read_band(const Complex* image, Band band, Real* scratch) const {
  const int nx = along_x_.length();
  const Complex* first = image + band.x;
  int x = 0;
  for (; x + kLanes <= band.width; x += kLanes, scratch += along_y_.scratch_size())
    along_y_.run_columns(first + x, nx, scratch);
  if (x == band.width) return;
  Complex* whole = reinterpret_cast<Complex*>(scratch + along_y_.scratch_size());
  for (int y = 0; y < along_y_.length(); ++y) {
    Complex* row = whole + y * kLanes;
    std::fill(std::copy_n(first + std::ptrdiff_t(y) * nx + x, band.width - x, row), row + kLanes,
              Complex{0, 0});
  }
  along_y_.run_columns(whole, kLanes, scratch);
}

void FastFft::write_band(Complex* image, Band band, Direction direction,
                         const Real* scratch) const {
  const int* place = along_y_.place(direction);
  for (int y = 0; y < along_y_.length(); ++y) {
    Complex* row = image + std::ptrdiff_t(y) * along_x_.length() + band.x;
    const Real* point = scratch + place[y] * kPoint;
    int x = 0;
    for (; x + kLanes <= band.width; x += kLanes, point += along_y_.scratch_size())
      vector::write_neighbours(row + x, Scratch{point}.read(0));
    if (x == band.width) continue;
    Complex whole[kLanes];
    vector::write_neighbours(whole, Scratch{point}.read(0));
    std::copy_n(whole, band.width - x, row + x);
  }
}

int FastFft::rows_together() { return kLanes; }

void FastFft::rows(Complex* image, int first, int last, Direction direction) const {
  const int nx = along_x_.length();
  Real* scratch = this->scratch();
  Complex* none = reinterpret_cast<Complex*>(scratch + along_x_.scratch_size());
  if ((last - first) % kLanes != 0) std::fill_n(none, nx, Complex{0, 0});
  for (int y = first; y < last; y += kLanes) {
    Rows rows{{}, nx};
    for (int r = 0; r < kLanes; ++r)
      rows.line[r] = y + r < last ? image + std::ptrdiff_t(y + r) * nx : none;
    rows.read(scratch);
    along_x_.run(scratch);
    rows.write(scratch, along_x_.place(direction));
  }
}

}  // namespace exitwave
