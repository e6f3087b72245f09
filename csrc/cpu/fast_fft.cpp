#include "cpu/fast_fft.hpp"

#include <algorithm>
#include <cstdlib>
#include <new>

#include "cpu/passes.hpp"

namespace exitwave {

namespace {

using vector::kLanes;
using vector::kPoint;
using vector::Scratch;
using vector::Vector;

constexpr int kPairs = kLanes / 2;  // complex numbers in a register

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

FastFft::FastFft(int ny, int nx)
    : along_y_(ny),
      along_x_(nx),
      row_(RowTransform::supports(nx) ? std::make_unique<const RowTransform>(nx) : nullptr) {}

bool FastFft::pays() { return kLanes >= 8; }

void FastFft::execute(Complex* image, Direction direction) const {
  // One more register of columns, for those that do not fill it.
  const std::size_t for_columns =
      std::size_t(columns_together(along_y_.length()) + 1) * along_y_.scratch_size();
  const std::size_t for_rows = along_x_.scratch_size() + std::size_t(along_x_.length()) * 2;
  Real* scratch = thread_scratch.get(std::max(for_columns, for_rows));
  columns(image, direction, scratch);
  rows(image, direction, scratch);
}

void FastFft::columns(Complex* image, Direction direction, Real* scratch) const {
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

void FastFft::rows(Complex* image, Direction direction, Real* scratch) const {
  const int ny = along_y_.length();
  const int nx = along_x_.length();
  if (row_) {
    for (int y = 0; y < ny; ++y) row_->run(image + std::ptrdiff_t(y) * nx, direction, scratch);
    return;
  }
  Complex* none = reinterpret_cast<Complex*>(scratch + along_x_.scratch_size());
  if (ny % kLanes != 0) std::fill_n(none, nx, Complex{0, 0});
  for (int y = 0; y < ny; y += kLanes) {
    Rows rows{{}, nx};
    for (int r = 0; r < kLanes; ++r)
      rows.line[r] = y + r < ny ? image + std::ptrdiff_t(y + r) * nx : none;
    rows.read(scratch);
    along_x_.run(scratch);
    rows.write(scratch, along_x_.place(direction));
  }
}

}  // namespace exitwave
