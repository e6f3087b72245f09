// Kernels, block by block and thread by thread.
#include <cstring>

#include "fibers.hpp"
#include "state.hpp"

uint3 threadIdx{};
uint3 blockIdx{};
dim3 blockDim{};
dim3 gridDim{};

namespace exitwave::cuda {
// What csrc/cuda declares as the shared memory of a block.
alignas(16) unsigned char shared_bytes[std::size_t(48) << 10];
}  // namespace exitwave::cuda

namespace cuda_on_host {

namespace {

constexpr unsigned kMostThreads = 1024;
constexpr unsigned kMostBlocks = 65535;
constexpr std::size_t kMostShared = std::size_t(48) << 10;

void run_block(const cudaLaunchConfig_t& config, bool reverse,
               const std::function<void()>& kernel) {
  const unsigned threads = config.blockDim.x * config.blockDim.y * config.blockDim.z;
  const auto thread = [&](int number) {
    const unsigned i = unsigned(number);
    const auto set_index = [&] {
      threadIdx = {i % config.blockDim.x, i / config.blockDim.x % config.blockDim.y,
                   i / (config.blockDim.x * config.blockDim.y)};
    };
    set_index();
    kernel();
  };
  if (config.dynamicSmemBytes > 0) {
    std::memset(exitwave::cuda::shared_bytes, kNewMemory, kMostShared);
    return run_together(int(threads), reverse, thread);
  }
  for (unsigned i = 0; i < threads; ++i) thread(int(reverse ? threads - 1 - i : i));
}

void run_grid(State& s, const cudaLaunchConfig_t& config, const std::function<void()>& kernel) {
  gridDim = config.gridDim;
  blockDim = config.blockDim;
  const std::size_t blocks =
      std::size_t(gridDim.x) * std::size_t(gridDim.y) * std::size_t(gridDim.z);
  const std::size_t first = s.random() % blocks;
  const bool reverse = s.random() % 2 != 0;
  for (std::size_t n = 0; n < blocks; ++n) {
    const std::size_t b = ((reverse ? blocks - 1 - n : n) + first) % blocks;
    blockIdx = {unsigned(b % gridDim.x), unsigned(b / gridDim.x % gridDim.y),
                unsigned(b / gridDim.x / gridDim.y)};
    run_block(config, reverse, kernel);
  }
}

bool fits(const cudaLaunchConfig_t& c) {
  const auto product = std::size_t(c.blockDim.x) * c.blockDim.y * c.blockDim.z;
  return product > 0 && product <= kMostThreads && c.gridDim.x > 0 && c.gridDim.y > 0 &&
         c.gridDim.z > 0 && c.gridDim.x <= 0x7FFFFFFFU && c.gridDim.y <= kMostBlocks &&
         c.gridDim.z <= kMostBlocks && c.dynamicSmemBytes <= kMostShared;
}

}  // namespace

cudaError_t enqueue(cudaStream_t stream, std::function<void()> work) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  if (valid(s, stream) == nullptr) return result(cudaErrorInvalidResourceHandle);
  if (const cudaError_t error = health(s, stream->device)) return result(error);
  add(s, stream,
      {[&s, work = std::move(work)] {
         ++s.operations;
         work();
       },
       reach(s, stream->device)});
  return cudaSuccess;
}

cudaError_t launch(const cudaLaunchConfig_t& config, std::function<void()> kernel) {
  State& s = state();
  if (!fits(config)) return result(cudaErrorInvalidConfiguration);
  if (config.stream != nullptr && config.stream->device != current_device())
    return result(cudaErrorInvalidResourceHandle);
  return enqueue(config.stream,
                 [&s, config, kernel = std::move(kernel)] { run_grid(s, config, kernel); });
}

}  // namespace cuda_on_host

using namespace cuda_on_host;

void __syncthreads() {
  const uint3 self = threadIdx;
  wait_for_all();
  threadIdx = self;
}

unsigned __ballot_sync(unsigned, int predicate) {
  static unsigned votes[1024 / 32];
  const unsigned thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
  const unsigned bit = 1U << (thread % 32);
  unsigned& votes_of_warp = votes[thread / 32];
  votes_of_warp = predicate ? votes_of_warp | bit : votes_of_warp & ~bit;
  __syncthreads();
  const unsigned seen = votes_of_warp;
  __syncthreads();
  return seen;
}
