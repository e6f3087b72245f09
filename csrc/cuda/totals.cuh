#pragma once

#include <cuda_runtime.h>

#include <cstddef>

#include "cuda/launch.cuh"
#include "cuda/scratch.hpp"

namespace exitwave::cuda {

// Totals over many blocks, put together in an order that depends on nothing but their number.

struct Plus {
  static constexpr double kNone = 0;
  EXITWAVE_HD double operator()(double a, double b) const { return a + b; }
};
// At least 0.
struct Larger {
  static constexpr double kNone = 0;
  EXITWAVE_HD double operator()(double a, double b) const { return b > a ? b : a; }
};

// values[i] <- total over the threads of the block, in every thread. Two steps of 16 each: threads
// wait for each other less often than in eight halvings.
template <class Combine, int N>
__device__ void combine_over_block(double (&values)[N]) {
  constexpr Combine combine;
  constexpr int kSixteen = 16;
  static_assert(kSixteen * kSixteen == kThreads);
  auto* shared = reinterpret_cast<double*>(shared_bytes);
  const int thread = int(threadIdx.x);
  for (int i = 0; i < N; ++i) shared[i * kThreads + thread] = values[i];
  __syncthreads();
  if (thread < kSixteen)
    for (int i = 0; i < N; ++i) {
      double* first = shared + i * kThreads + thread;
      double total = first[0];
      for (int k = 1; k < kSixteen; ++k) total = combine(total, first[k * kSixteen]);
      first[0] = total;
    }
  __syncthreads();
  for (int i = 0; i < N; ++i) {
    values[i] = shared[i * kThreads];
    for (int k = 1; k < kSixteen; ++k) values[i] = combine(values[i], shared[i * kThreads + k]);
  }
  __syncthreads();
}

template <int N>
constexpr std::size_t bytes_of_totals() {
  return sizeof(double) * std::size_t(N) * std::size_t(kThreads);
}

// Where blocks leave their totals. `arrived` counts the blocks of a group; the last one puts them
// together.
struct Partials {
  double* values = nullptr;     // (groups, blocks, N)
  unsigned* arrived = nullptr;  // (groups), 0 between launches

  // For one launch at a time.
  static Partials in(Scratch& values, Scratch& arrived, std::size_t groups, std::size_t numbers) {
    return {static_cast<double*>(values.at_least(numbers * sizeof(double))),
            static_cast<unsigned*>(arrived.at_least(groups * sizeof(unsigned)))};
  }
};

// Called by all threads of all `blocks` blocks of a group with their own values; one thread of one
// of them then calls finish(values) with the group's.
template <class Combine, int N, class Finish>
__device__ void combine_over_blocks(double (&values)[N], const Partials& partials,
                                    std::size_t group, unsigned block, unsigned blocks,
                                    const Finish& finish) {
  combine_over_block<Combine>(values);
  if (blocks > 1) {
    double* left = partials.values + group * blocks * N;
    auto* is_last = reinterpret_cast<unsigned*>(shared_bytes);
    if (threadIdx.x == 0) {
      for (int i = 0; i < N; ++i) left[std::size_t(block) * N + i] = values[i];
      __threadfence();
      *is_last = atomicAdd(&partials.arrived[group], 1U) == blocks - 1 ? 1U : 0U;
    }
    __syncthreads();
    const bool last = *is_last != 0;
    __syncthreads();
    if (!last) return;
    __threadfence();
    for (int i = 0; i < N; ++i) values[i] = Combine::kNone;
    for (unsigned b = threadIdx.x; b < blocks; b += unsigned(kThreads))
      for (int i = 0; i < N; ++i)
        values[i] = Combine{}(values[i], __ldcg(&left[std::size_t(b) * N + i]));
    combine_over_block<Combine>(values);
    if (threadIdx.x == 0) partials.arrived[group] = 0;
  }
  if (threadIdx.x == 0) finish(values);
}

}  // namespace exitwave::cuda
