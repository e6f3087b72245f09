#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

#include "check.hpp"
#include "core/buffer.hpp"
#include "core/error.hpp"
#include "core/host_memory.hpp"
#include "core/images.hpp"

namespace exitwave {

namespace {

TEST("more than the limit is refused in bytes, and can be had once others give back") {
  HostMemory memory("host memory", false, 1000);
  void* first = memory.allocate(600);
  test::check_throws<OutOfMemory>("500 bytes asked for, 400 of 1000 free",
                                  [&] { memory.allocate(500); });
  CHECK(memory.bytes_in_use() == 600);

  memory.deallocate(first, 600);
  void* second = memory.allocate(1000);
  CHECK(memory.bytes_in_use() == 1000);
  CHECK(memory.peak_bytes() == 1000);
  memory.deallocate(second, 1000);
  CHECK(memory.bytes_in_use() == 0);
}

TEST("a refused request does not count towards the peak") {
  HostMemory memory("host memory", false, 1000);
  test::check_throws<OutOfMemory>("bytes", [&] { memory.allocate(2000); });
  CHECK(memory.peak_bytes() == 0);
}

TEST("buffers start at zero, aligned for vectors") {
  HostMemory memory("host memory", true, 0);
  const Buffer<double> buffer(memory, 13);
  CHECK(reinterpret_cast<std::uintptr_t>(buffer.data()) % 64 == 0);
  for (std::size_t i = 0; i < buffer.size(); ++i) CHECK(buffer.data()[i] == 0);
}

TEST("what is uploaded can be downloaded") {
  HostMemory memory("host memory", false, 0);
  std::vector<int> values(13);
  std::iota(values.begin(), values.end(), -6);

  const Buffer<int> buffer(memory, values);
  std::vector<int> copy(values.size());
  buffer.download(copy.data());

  CHECK(copy == values);
}

TEST("a moved buffer has one owner") {
  HostMemory memory("host memory", true, 0);
  {
    Buffer<int> first(memory, 7);
    Buffer<int> second = std::move(first);
    CHECK(second.size() == 7);
    second = Buffer<int>(memory, 5);
    CHECK(second.size() == 5);
  }
  CHECK(memory.bytes_in_use() == 0);
}

TEST("each of several images is aligned") {
  HostMemory memory("host memory", true, 0);
  Images<float> images(memory, {2, 3, 5, 7});
  for (int frame = 0; frame < 2; ++frame)
    for (int mode = 0; mode < 3; ++mode) {
      const float* image = &images.view()({frame, mode, 0, 0});
      CHECK(reinterpret_cast<std::uintptr_t>(image) % 64 == 0);
    }
  CHECK(images.view()({1, 2, 4, 6}) == 0);
}

}  // namespace

}  // namespace exitwave
