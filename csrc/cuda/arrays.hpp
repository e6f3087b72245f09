#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/complex.hpp"
#include "core/counts.hpp"

namespace exitwave {

// Arrays on GPUs that others made, or that are handed out. All calls wait for what they do.

// The GPU in whose memory an address is, or kOnHost.
int cuda_device_of(const void* pointer);
// Waits for the work of a stream that others gave it, as the array interface names it: 1 and 2 are
// the default streams.
void wait_for_cuda_stream(int device, std::uintptr_t stream);
// Waits for all work of a GPU, whoever gave it.
void wait_for_cuda_device(int device);
// Between GPUs and the host, by addresses alone; `device` is one of them.
void copy_cuda_array(int device, void* target, const void* source, std::size_t bytes);
// Throws OutOfMemory.
std::shared_ptr<void> make_cuda_array(int device, std::size_t bytes);

// Empty where work can be done on the GPU, else the reason why not.
std::string why_not_cuda_device(int device);

// Whether all numbers are finite.
bool cuda_array_is_finite(int device, const Complex* values, std::size_t count);

// What frames hold, pixel by pixel.
struct CountsSummary {
  std::vector<double> sum;
  std::vector<double> largest;
  std::vector<int> bad;  // first frame that is negative, not finite, or too large; -1: none
};
// Of frames [first, first + count) of counts on a GPU, with so many pixels each.
CountsSummary summarise_cuda_counts(const Counts& counts, int first, int count, std::size_t pixels);

}  // namespace exitwave
