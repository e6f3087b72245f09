#include <algorithm>
#include <exception>

#include "core/buffer.hpp"
#include "cuda/arrays.hpp"
#include "cuda/launch.cuh"
#include "cuda/memory.hpp"
#include "cuda/stream.hpp"

namespace exitwave {

namespace cuda {

namespace {

// Largest count that single precision holds.
constexpr double kMostCounts = 3.4028234663852886e38;
// Threads that fill a device: frames are split until there are so many.
constexpr std::size_t kEnoughThreads = std::size_t(1) << 18;
constexpr std::size_t kMostSplits = 64;

struct NotFinite {
  const Real* values;
  std::size_t count;
  std::size_t threads;
  int* found;

  __device__ void operator()() const {
    bool finite = true;
    const std::size_t first = std::size_t(blockIdx.x) * kThreads + threadIdx.x;
    for (std::size_t i = first; i < count; i += threads)
      finite = finite && values[i] >= -Real(kMostCounts) && values[i] <= Real(kMostCounts);
    if (!finite) *found = 1;
  }
};

// One thread takes one pixel of the frames of a split, in their order.
template <class Count>
struct Summary {
  const Count* counts;
  int frames;
  int splits;
  std::size_t pixels;
  double* sum;  // (splits, pixels), as the others
  double* largest;
  int* bad;

  __device__ void operator()() const {
    const std::size_t i = std::size_t(blockIdx.x) * kThreads + threadIdx.x;
    if (i >= pixels * std::size_t(splits)) return;
    const int split = int(i / pixels);
    const std::size_t pixel = i - std::size_t(split) * pixels;
    double total = 0;
    double most = 0;
    int first_bad = -1;
    const int end = int(long(split + 1) * frames / splits);
    for (int frame = int(long(split) * frames / splits); frame < end; ++frame) {
      const double value = double(counts[std::size_t(frame) * pixels + pixel]);
      // Written so that NaN is bad.
      const bool good = value >= 0 && value <= kMostCounts;
      if (!good && first_bad < 0) first_bad = frame;
      total += value;
      most = value > most ? value : most;
    }
    sum[i] = total;
    largest[i] = most;
    bad[i] = first_bad;
  }
};

}  // namespace

}  // namespace cuda

std::string why_not_cuda_device(int device) {
  try {
    const auto array = make_cuda_array(device, sizeof(Complex));
    const Complex one{1, 1};
    copy_cuda_array(device, array.get(), &one, sizeof one);
    if (cuda_array_is_finite(device, static_cast<const Complex*>(array.get()), 1)) return {};
    return "device " + cuda::name_of(device) + " computes wrongly";
  } catch (const std::exception& error) {
    return error.what();
  }
}

bool cuda_array_is_finite(int device, const Complex* values, std::size_t count) {
  const cuda::OnDevice on(device);
  const cuda::Stream stream;
  CudaMemory memory(device, stream, 0);
  Buffer<int> found(memory, 1);
  const std::size_t blocks =
      std::min(cuda::blocks_for(2 * count), cuda::kEnoughThreads / cuda::kThreads);
  cuda::launch(stream, blocks, 0,
               cuda::NotFinite{reinterpret_cast<const Real*>(values), 2 * count,
                               blocks * cuda::kThreads, found.data()});
  int one = 0;
  found.download(&one);
  return one == 0;
}

CountsSummary summarise_cuda_counts(const Counts& counts, int first, int count,
                                    std::size_t pixels) {
  const cuda::OnDevice on(counts.device);
  const cuda::Stream stream;
  CudaMemory memory(counts.device, stream, 0);
  const auto splits = int(std::min(
      {cuda::kEnoughThreads / pixels + 1, cuda::kMostSplits, std::size_t(std::max(1, count))}));
  const std::size_t numbers = std::size_t(splits) * pixels;
  Buffer<double> sum(memory, numbers);
  Buffer<double> largest(memory, numbers);
  Buffer<int> bad(memory, numbers);
  with_counts(counts, [&](const auto* data) {
    using Count = std::remove_cv_t<std::remove_pointer_t<decltype(data)>>;
    cuda::launch(stream, cuda::blocks_for(numbers), 0,
                 cuda::Summary<Count>{data + std::size_t(first) * pixels, count, splits, pixels,
                                      sum.data(), largest.data(), bad.data()});
  });
  std::vector<double> sums(numbers);
  std::vector<double> most(numbers);
  std::vector<int> found(numbers);
  sum.download(sums.data());
  largest.download(most.data());
  bad.download(found.data());
  CountsSummary all{std::vector<double>(pixels), std::vector<double>(pixels),
                    std::vector<int>(pixels, -1)};
  for (std::size_t i = 0; i < numbers; ++i) {
    const std::size_t pixel = i % pixels;
    all.sum[pixel] += sums[i];
    all.largest[pixel] = std::max(all.largest[pixel], most[i]);
    if (all.bad[pixel] < 0 && found[i] >= 0) all.bad[pixel] = first + found[i];
  }
  return all;
}

}  // namespace exitwave
