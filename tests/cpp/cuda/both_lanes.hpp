#pragma once

#include <cmath>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "check.hpp"
#include "core/buffer.hpp"
#include "core/host_memory.hpp"
#include "core/images.hpp"
#include "cpu/lane.hpp"
#include "cuda/lane.cuh"
#include "cuda/memory.hpp"
#include "cuda/stream.hpp"
#include "cuda_fixture.hpp"

// The same work on a lane of each kind: what the CPU does, which its own tests hold to, the GPU
// does too.
namespace exitwave::test {

// Arrays in the memory of a lane, filled from the host and read back by it.
class Arrays {
 public:
  explicit Arrays(Memory& memory) : memory_(memory) {}

  Memory& memory() { return memory_; }
  template <class T>
  Buffer<T> of(const std::vector<T>& values) {
    return Buffer<T>(memory_, values);
  }
  // Numbers between 0 and 1, or of both signs where they are complex; the same for every lane.
  Buffer<Real> reals(std::size_t count, unsigned seed) {
    std::mt19937 random(seed);
    std::vector<Real> values(count);
    for (Real& value : values) value = Real(random() % 1000) / 1000;
    return of(values);
  }
  Buffer<Complex> complexes(std::size_t count, unsigned seed) {
    std::mt19937 random(seed);
    const auto number = [&] { return Real(random() % 2000) / 1000 - 1; };
    std::vector<Complex> values(count);
    for (Complex& value : values) {
      value.re = number();
      value.im = number();
    }
    return of(values);
  }

 private:
  Memory& memory_;
};

using Numbers = std::vector<double>;

inline void append(Numbers& numbers, const Buffer<Real>& buffer) {
  std::vector<Real> values(buffer.size());
  buffer.download(values.data());
  numbers.insert(numbers.end(), values.begin(), values.end());
}
inline void append(Numbers& numbers, const Buffer<double>& buffer) {
  std::vector<double> values(buffer.size());
  buffer.download(values.data());
  numbers.insert(numbers.end(), values.begin(), values.end());
}
inline void append(Numbers& numbers, const Buffer<Complex>& buffer) {
  std::vector<Complex> values(buffer.size());
  buffer.download(values.data());
  for (const Complex& value : values) {
    numbers.push_back(double(value.re));
    numbers.push_back(double(value.im));
  }
}
template <class... Buffers>
Numbers numbers_of(const Buffers&... buffers) {
  Numbers numbers;
  (append(numbers, buffers), ...);
  return numbers;
}

// work(lane, arrays) -> numbers, on a GPU.
template <class Work>
Numbers on_gpu(int ny, int nx, bool deterministic, const Work& work) {
  bind_cufft();
  cuda::Stream stream;
  CudaMemory memory(0, stream, 0);
  Scan scan;
  scan.ny = ny;
  scan.nx = nx;
  const gpu::LaneNeeds needs(scan, 1, 8);  // less than some tests do, so that it grows
  CudaLane lane(memory, 0, stream, scan, needs, deterministic);
  Arrays arrays(memory);
  return work(lane, arrays);
}
template <class Work>
Numbers on_cpu(int ny, int nx, const Work& work) {
  bind_fft_library();
  HostMemory memory("host memory", true, 0);
  CpuLane lane(ny, nx);
  Arrays arrays(memory);
  return work(lane, arrays);
}

inline double distance(const Numbers& a, const Numbers& b) {
  if (a.size() != b.size()) return INFINITY;
  double difference = 0;
  double whole = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference += (a[i] - b[i]) * (a[i] - b[i]);
    whole += b[i] * b[i];
  }
  return std::sqrt(difference / (whole > 0 ? whole : 1));
}

// Both kinds of GPU lane agree with the CPU's, to `tolerance` of the whole.
template <class Work>
void check_lanes_agree(int ny, int nx, double tolerance, const std::string& what,
                       const Work& work) {
  const Numbers expected = on_cpu(ny, nx, work);
  for (const bool deterministic : {false, true})
    check(distance(on_gpu(ny, nx, deterministic, work), expected) <= tolerance,
          what + (deterministic ? ", deterministic" : ""));
}

}  // namespace exitwave::test
