#include <unistd.h>

#include <cmath>
#include <complex>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <numbers>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "check.hpp"
#include "core/error.hpp"
#include "core/host_memory.hpp"
#include "core/images.hpp"
#include "cpu/fft.hpp"
#include "sample.hpp"

namespace exitwave {

namespace {

using test::Wave;

// In double precision, one axis after the other, by the definition; unscaled.
Wave exact_transform(const Wave& wave, int ny, int nx, Direction direction) {
  const double turn = (direction == Direction::forward ? -2 : 2) * std::numbers::pi;
  const auto line = [&](Wave& values, int first, int step, int n) {
    Wave result(static_cast<std::size_t>(n));
    for (int k = 0; k < n; ++k)
      for (int i = 0; i < n; ++i)
        result[std::size_t(k)] +=
            values[std::size_t(first + i * step)] * std::polar(1.0, turn * double(i * k % n) / n);
    for (int k = 0; k < n; ++k) values[std::size_t(first + k * step)] = result[std::size_t(k)];
  };
  Wave result = wave;
  for (int y = 0; y < ny; ++y) line(result, y * nx, 1, nx);
  for (int x = 0; x < nx; ++x) line(result, x, nx, ny);
  return result;
}

Wave random_wave(int pixels) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  Wave wave;
  for (int i = 0; i < pixels; ++i) {
    const float re = normal(random);
    wave.push_back({double(re), double(normal(random))});
  }
  return wave;
}

// f(image) of a wave in single precision
template <class F>
Wave changed(const Wave& wave, int ny, int nx, const F& f) {
  HostMemory memory("host memory", true, 0);
  Images<Complex> image(memory, {1, 1, ny, nx});
  for (std::size_t i = 0; i < wave.size(); ++i)
    image.view().data[i] = {Real(wave[i].real()), Real(wave[i].imag())};
  f(image.view().data);
  Wave result;
  for (std::size_t i = 0; i < wave.size(); ++i)
    result.push_back({double(image.view().data[i].re), double(image.view().data[i].im)});
  return result;
}

Wave transformed(const Wave& wave, int ny, int nx, Direction direction,
                 FftMaker maker = FftMaker::fastest) {
  return changed(wave, ny, nx,
                 [&](Complex* image) { fft_plan(ny, nx, maker)->execute(image, direction); });
}

// The same by the core's own code, also where that does not pay.
Wave own(const Wave& wave, int ny, int nx, Direction direction) {
  return changed(wave, ny, nx, [&](Complex* image) { FastFft(ny, nx).execute(image, direction); });
}

double relative(const Wave& a, const Wave& b) {
  double difference = 0;
  double whole = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference += std::norm(a[i] - b[i]);
    whole += std::norm(b[i]);
  }
  return std::sqrt(difference / whole);
}

std::complex<double> inner(const Wave& a, const Wave& b) {
  std::complex<double> sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += std::conj(a[i]) * b[i];
  return sum;
}

// Rounding of float grows with the logarithm of the length.
double tolerance(int ny, int nx) { return 1.5e-8 * (8 + std::log2(double(ny) * nx)); }

void check_transform(int ny, int nx, Direction direction) {
  const Wave wave = random_wave(ny * nx);
  const Wave got = transformed(wave, ny, nx, direction);
  CHECK(relative(got, exact_transform(wave, ny, nx, direction)) < tolerance(ny, nx));
}

void check_own(int ny, int nx, Direction direction) {
  const Wave wave = random_wave(ny * nx);
  const Wave got = own(wave, ny, nx, direction);
  CHECK(relative(got, exact_transform(wave, ny, nx, direction)) < tolerance(ny, nx));
}

constexpr Direction kDirections[] = {Direction::forward, Direction::backward};

TEST("without a library a plan is refused with advice") {
  test::check_throws<DeviceError>("install pyfftw or name one in EXITWAVE_FFT",
                                  [] { fft_plan(12, 20); });
  CHECK(fft_library_version().empty());
}

TEST("transforms of the library equal their definition for odd, even and unequal sizes") {
  test::bind_fft_library();
  for (const Direction direction : kDirections) {
    check_transform(11, 26, direction);
    check_transform(7, 9, direction);
    check_transform(1, 16, direction);
  }
}

TEST("own transforms equal their definition for all lengths that they are made for") {
  int supported = 0;
  for (int n = 1; n <= 256; ++n) {
    if (!FastFft::supports(n, n)) continue;
    ++supported;
    // Rows and columns that fill registers, and some that do not.
    check_own(n, 20, Direction::forward);
    check_own(18, n, Direction::backward);
  }
  CHECK(supported == 69);
  for (const Direction direction : kDirections) {
    check_own(256, 192, direction);
    check_own(350, 64, direction);
    check_own(48, 1024, direction);
    check_own(20, 768, direction);
    check_own(1024, 90, direction);
  }
}

TEST("lengths with other prime factors are left to the library") {
  CHECK(FastFft::supports(12, 20));
  CHECK(FastFft::supports(256, 210));
  CHECK(!FastFft::supports(22, 256));
  CHECK(!FastFft::supports(256, 26));
  CHECK(!FastFft::supports(7, 64));
  CHECK(!FastFft::supports(1, 64));
}

TEST("backward undoes forward and is its adjoint") {
  for (const auto& [ny, nx] : {std::pair(60, 84), std::pair(128, 256), std::pair(35, 30)}) {
    const Wave wave = random_wave(ny * nx);
    Wave other = wave;
    for (std::size_t i = 0; i < wave.size(); ++i) other[i] = wave[(7 * i) % wave.size()];

    const Wave there = own(wave, ny, nx, Direction::forward);
    Wave back = own(there, ny, nx, Direction::backward);
    for (auto& value : back) value /= double(ny) * nx;
    const Wave adjoint = own(other, ny, nx, Direction::backward);

    CHECK(relative(back, wave) < 2 * tolerance(ny, nx));
    CHECK(std::abs(inner(other, there) - inner(adjoint, wave)) <
          tolerance(ny, nx) * std::sqrt(std::norm(inner(other, other)) * double(ny) * nx));
  }
}

TEST("own transforms are as exact as the library's") {
  test::bind_fft_library();
  for (const auto& [ny, nx] : {std::pair(64, 64), std::pair(256, 256), std::pair(180, 140)}) {
    const Wave wave = random_wave(ny * nx);
    const Wave exact = exact_transform(wave, ny, nx, Direction::forward);
    const Wave library = transformed(wave, ny, nx, Direction::forward, FftMaker::library);
    CHECK(relative(own(wave, ny, nx, Direction::forward), exact) < 1.2 * relative(library, exact));
  }
}

TEST("the core transforms what it can and what pays, unless a library is bound for always") {
  test::bind_fft_library();
  CHECK((fft_plan(12, 20)->fast() != nullptr) == FastFft::pays());
  CHECK(fft_plan(12, 22)->fast() == nullptr);
  CHECK(fft_plan(12, 20, FftMaker::library)->fast() == nullptr);

  test::bind_fft_library("", true);
  CHECK(fft_plan(12, 20)->fast() == nullptr);

  test::bind_fft_library();
}

TEST("a plan is made once for each size") {
  test::bind_fft_library();
  CHECK(fft_plan(12, 20) == fft_plan(12, 20));
  CHECK(fft_plan(12, 20) != fft_plan(20, 12));
  CHECK(fft_plan(12, 20) != fft_plan(12, 20, FftMaker::library));
}

TEST("a library that is missing or is no FFT library is named, and the bound one stays") {
  test::bind_fft_library();
  const std::string version = fft_library_version();
  CHECK(!version.empty());

  test::check_throws<DeviceError>("no-such-library.so",
                                  [] { load_fft_library("no-such-library.so", ""); });
  test::check_throws<DeviceError>("libm.so.6: has no fftwf_plan_dft_2d",
                                  [] { load_fft_library("libm.so.6", ""); });

  CHECK(fft_library_version() == version);
  check_transform(12, 22, Direction::forward);
}

TEST("measured plans are kept as wisdom, in one file") {
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / ("exitwave-test-" + std::to_string(getpid()));
  std::filesystem::create_directory(folder);
  const std::filesystem::path wisdom = folder / "wisdom";

  test::bind_fft_library(wisdom.string());
  check_transform(12, 22, Direction::forward);

  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    files.push_back(entry.path());
  std::filesystem::remove_all(folder);
  CHECK(files == std::vector<std::filesystem::path>{wisdom});
}

TEST("where wisdom cannot be written transforms are the same") {
  test::bind_fft_library("/no/such/folder/wisdom");
  check_transform(12, 22, Direction::forward);
}

}  // namespace

}  // namespace exitwave
