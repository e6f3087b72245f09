#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <vector>

#include "check.hpp"
#include "core/error.hpp"
#include "core/half.hpp"
#include "core/host_memory.hpp"
#include "core/job_queue.hpp"
#include "storage/home.hpp"

namespace exitwave {

namespace {

// Value of a half-precision number by its definition.
double defined(std::uint16_t h) {
  const double sign = (h & 0x8000U) != 0 ? -1 : 1;
  const int exponent = (h >> 10) & 31;
  const int mantissa = h & 1023;
  if (exponent == 31)
    return mantissa == 0 ? sign * std::numeric_limits<double>::infinity()
                         : std::numeric_limits<double>::quiet_NaN();
  return exponent == 0 ? sign * std::ldexp(mantissa, -24)
                       : sign * std::ldexp(1024 + mantissa, exponent - 25);
}

bool same(double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)); }

TEST("every half-precision number is widened to its value, and comes back") {
  for (unsigned i = 0; i < 65536; ++i) {
    const auto h = std::uint16_t(i);
    const float wide = half::widen(h);
    CHECK(same(double(wide), defined(h)));
    if (!std::isnan(wide)) CHECK(half::narrow(wide) == h);
  }
}

TEST("between two half-precision numbers the nearer one is taken, and the even one in the middle") {
  for (unsigned i = 0; i < 0x7BFF; ++i) {
    const double low = defined(std::uint16_t(i));
    const double high = defined(std::uint16_t(i + 1));
    CHECK(half::narrow(float(low + 0.49 * (high - low))) == i);
    CHECK(half::narrow(float(low + 0.51 * (high - low))) == i + 1);
    CHECK(half::narrow(float((low + high) / 2)) == i + i % 2);
  }
}

TEST("what half precision cannot hold stays visible") {
  CHECK(half::narrow(65519.0F) == 0x7BFF);
  CHECK(half::narrow(65520.0F) == 0x7C00);
  CHECK(half::narrow(-1e30F) == 0xFC00);
  CHECK(std::isnan(half::widen(half::narrow(std::numeric_limits<float>::quiet_NaN()))));
  CHECK(half::narrow(1e-12F) == 0);
}

TEST("jobs are done in order, beside the caller") {
  std::vector<int> done;
  JobQueue jobs;
  JobQueue::Ticket last = 0;
  for (int i = 0; i < 100; ++i) last = jobs.submit([&done, i] { done.push_back(i); });
  jobs.wait(last);
  std::vector<int> expected(100);
  std::iota(expected.begin(), expected.end(), 0);
  CHECK(done == expected);
}

TEST("a job that fails is reported, and none is done after it") {
  bool late = false;
  JobQueue jobs;
  jobs.submit([] { throw DeviceError("disk"); });
  const JobQueue::Ticket last = jobs.submit([&] { late = true; });
  test::check_throws<DeviceError>("disk", [&] { jobs.wait(last); });
  CHECK(!late);
}

std::vector<float> frames(int count, float first) {
  std::vector<float> values(std::size_t(count) * 6);
  std::iota(values.begin(), values.end(), first);
  return values;
}

void check_keeps_frames(Home& home) {
  const std::vector<float> all = frames(7, 0);
  home.write({0, 1, 2, 3, 4, 5, 6}, all.data());
  const std::vector<float> two = frames(2, 100);
  home.write({5, 2}, two.data());

  std::vector<float> read(4 * 6);
  home.read({2, 3, 6, 5}, read.data());
  CHECK(read[0] == 106 && read[5] == 111);
  CHECK(read[6] == all[18] && read[12] == all[36]);
  CHECK(read[18] == 100);
}

TEST("frames come back from memory and from a file as they went") {
  HostMemory memory("host memory", true, 0);
  MemoryHome in_memory(memory, 7, 6 * sizeof(float));
  check_keeps_frames(in_memory);
  const std::string folder = std::filesystem::temp_directory_path();
  FileHome in_file(folder, 7, 6 * sizeof(float));
  check_keeps_frames(in_file);
}

TEST("a scratch file that cannot be is refused before any work, and leaves nothing behind") {
  test::check_throws<DeviceError>("scratch_folder", [] { FileHome("/nowhere/at/all", 1, 10); });
  const std::string folder = std::filesystem::temp_directory_path();
  test::check_throws<DeviceError>("hold", [&] { FileHome(folder, 1 << 30, std::size_t(1) << 31); });
}

}  // namespace

}  // namespace exitwave
