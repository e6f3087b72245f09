#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "check.hpp"
#include "core/error.hpp"
#include "core/images.hpp"
#include "cpu/fft.hpp"
#include "cpu/memory.hpp"
#include "sample.hpp"

namespace exitwave {

namespace {

// Whether a transform equals the definition, apart from its scale sqrt(pixels).
void check_transform(int ny, int nx, Direction direction) {
  std::mt19937 random(3);
  std::uniform_real_distribution<double> uniform(-1, 1);
  test::Wave wave(std::size_t(ny) * std::size_t(nx));
  HostMemory memory("host memory", true, 0);
  Images<Complex> image(memory, {1, 1, ny, nx});
  for (std::size_t i = 0; i < wave.size(); ++i) {
    const Complex value{Real(uniform(random)), Real(uniform(random))};
    wave[i] = {double(value.re), double(value.im)};
    image.view().data[i] = value;
  }

  fft_plan(ny, nx)->execute(image.view().data, direction);

  const test::Wave expected =
      test::slow_transform(wave, ny, nx, direction == Direction::forward ? -1 : 1);
  const double scale = std::sqrt(double(ny) * nx);
  double worst = 0;
  for (std::size_t i = 0; i < wave.size(); ++i) {
    const Complex got = image.view().data[i];
    worst = std::max(worst, std::abs(std::complex<double>(double(got.re), double(got.im)) / scale -
                                     expected[i]));
  }
  CHECK(worst < 1e-6);
}

TEST("without a library a plan is refused with advice") {
  test::check_throws<DeviceError>("install pyfftw or name one in EXITWAVE_FFT",
                                  [] { fft_plan(12, 20); });
  CHECK(fft_library_version().empty());
}

TEST("transforms equal their definition for odd, even and unequal sizes") {
  test::bind_fft_library();
  for (const Direction direction : {Direction::forward, Direction::backward}) {
    check_transform(12, 20, direction);
    check_transform(7, 9, direction);
    check_transform(1, 16, direction);
  }
}

TEST("a plan is made once for each size") {
  test::bind_fft_library();
  CHECK(fft_plan(12, 20) == fft_plan(12, 20));
  CHECK(fft_plan(12, 20) != fft_plan(20, 12));
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
  check_transform(12, 20, Direction::forward);
}

TEST("measured plans are kept as wisdom, in one file") {
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / ("exitwave-test-" + std::to_string(getpid()));
  std::filesystem::create_directory(folder);
  const std::filesystem::path wisdom = folder / "wisdom";

  test::bind_fft_library(wisdom.string());
  check_transform(12, 20, Direction::forward);

  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    files.push_back(entry.path());
  std::filesystem::remove_all(folder);
  CHECK(files == std::vector<std::filesystem::path>{wisdom});
}

TEST("where wisdom cannot be written transforms are the same") {
  test::bind_fft_library("/no/such/folder/wisdom");
  check_transform(12, 20, Direction::forward);
}

}  // namespace

}  // namespace exitwave
