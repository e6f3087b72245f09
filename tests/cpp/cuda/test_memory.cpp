#include <cstring>
#include <numeric>
#include <vector>

#include "check.hpp"
#include "core/buffer.hpp"
#include "core/error.hpp"
#include "core/region.hpp"
#include "cuda/check.hpp"
#include "cuda/memory.hpp"
#include "cuda/scratch.hpp"
#include "cuda/spans.hpp"
#include "cuda/staging.hpp"
#include "cuda/stream.hpp"

namespace exitwave {

namespace {

std::vector<int> counting(std::size_t count, int first) {
  std::vector<int> values(count);
  std::iota(values.begin(), values.end(), first);
  return values;
}

TEST("new buffers are zero, and bytes survive the way there and back") {
  cuda::Stream stream;
  CudaMemory memory(0, stream, 0);
  for (const std::size_t count : {1U, 1000U, 300000U}) {
    Buffer<int> buffer(memory, count);
    std::vector<int> got(count, 7);
    buffer.download(got.data());
    CHECK(got == std::vector<int>(count, 0));

    buffer.upload(counting(count, 3).data());
    buffer.download(got.data());
    CHECK(got == counting(count, 3));
  }
  CHECK(memory.bytes_in_use() == 0);
  CHECK(memory.peak_bytes() == 300000 * sizeof(int));
}

TEST("sources of small copies may change at once") {
  cuda::Stream stream;
  CudaMemory memory(0, stream, 0);
  Buffer<int> buffer(memory, std::size_t(2000) * 500);
  std::vector<int> source(500);
  for (int i = 0; i < 2000; ++i) {
    std::fill(source.begin(), source.end(), i);
    buffer.upload(source.data(), std::size_t(i) * 500, 500);
  }
  std::vector<int> got(buffer.size());
  buffer.download(got.data());
  int wrong = 0;
  for (std::size_t i = 0; i < got.size(); ++i) wrong += got[i] == int(i / 500) ? 0 : 1;
  CHECK(wrong == 0);
}

TEST("a limit is kept, the message says what to set, and the memory works on") {
  cuda::Stream stream;
  CudaMemory memory(0, stream, 1000);
  Buffer<unsigned char> kept(memory, 400);
  test::check_throws<OutOfMemory>("device cuda:0: 601 bytes asked for, 600 of 1000 free",
                                  [&] { Buffer<unsigned char>(memory, 601); });
  test::check_throws<OutOfMemory>("memory_limit", [&] { Buffer<unsigned char>(memory, 601); });
  CHECK(memory.bytes_in_use() == 400);
  Buffer<unsigned char> fits(memory, 600);
}

TEST("a device that has no more memory says so, and works on") {
  cuda::Stream stream;
  CudaMemory memory(0, stream, 0);
  test::check_throws<OutOfMemory>("free", [&] { memory.allocate(std::size_t(1) << 50); });
  Buffer<int> buffer(memory, counting(100, 1));
  std::vector<int> got(100);
  buffer.download(got.data());
  CHECK(got == counting(100, 1));
}

TEST("a device that does not exist is an error that names what was tried") {
  test::check_throws<DeviceError>("choosing it failed", [] { const cuda::OnDevice on(1000); });
  cuda::Stream stream;
}

TEST("pinned memory is seen by the host, and counted") {
  PinnedMemory memory(1000);
  {
    Buffer<int> buffer(memory, counting(100, 5));
    CHECK(memory.shared_with_host());
    CHECK(buffer.data()[99] == 104);
    CHECK(memory.bytes_in_use() == 400);
    test::check_throws<OutOfMemory>("host memory: 601 bytes", [&] { memory.allocate(601); });
  }
  CHECK(memory.bytes_in_use() == 0);
}

TEST("work in one stream waits for an event of another") {
  cuda::Stream first;
  cuda::Stream second;
  cuda::Event done;
  CudaMemory one(0, first, 0);
  CudaMemory two(0, second, 0);
  for (int i = 1; i < 30; ++i) {
    Buffer<int> a(one, 5000);
    Buffer<int> b(two, 5000);
    a.upload(counting(5000, i).data());
    done.record(first);
    done.wait_in(second);
    cuda::check(cudaMemcpyAsync(b.data(), a.data(), a.bytes(), cudaMemcpyDeviceToDevice, second),
                "copying");
    std::vector<int> got(5000);
    b.download(got.data());
    CHECK(got == counting(5000, i));
  }
}

TEST("regions are kept on the device under their numbers, whatever came between") {
  cuda::Stream stream;
  CudaMemory memory(0, stream, 0);
  cuda::SpanCache cache(memory, stream, 1000);
  std::vector<Region> regions;
  for (int i = 0; i < 40; ++i) regions.emplace_back(Rect{i, 2, i + 3 + 7 * (i % 5), 9 + i});
  for (int again = 0; again < 3; ++again)
    for (const Region& region : regions) {
      const cuda::DeviceSpans found = cache.find(region);
      std::vector<Span> got(region.spans().size());
      memory.copy_to_host(got.data(), found.spans, got.size() * sizeof(Span));
      CHECK(std::memcmp(got.data(), region.spans().data(), got.size() * sizeof(Span)) == 0);
      CHECK(found.pixels == region.pixels());
      CHECK(found.longest == region.spans()[0].x1 - region.spans()[0].x0);
      CHECK(cache.find(region).spans == found.spans);
    }
  CHECK(cache.find(Region()).count == 0);
}

}  // namespace

}  // namespace exitwave
