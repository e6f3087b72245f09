#include "cuda/memory.hpp"

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>

#include "core/error.hpp"
#include "cuda/check.hpp"
#include "cuda/stream.hpp"

namespace exitwave {

using cuda::check;
using cuda::OnDevice;

namespace {

// Where only bytes are counted: never looked at, but aligned as all pointers are.
alignas(256) unsigned char planned[1];

// Counts `bytes` in, or throws where the limit does not allow them.
void count_in(std::atomic<std::size_t>& in_use, std::size_t bytes, std::size_t limit,
              const std::string& place) {
  const std::size_t after = in_use += bytes;
  if (limit == 0 || after <= limit) return;
  in_use -= bytes;
  cuda::out_of_memory(place, bytes, limit - std::min(limit, after - bytes), limit);
}

void note_peak(std::atomic<std::size_t>& peak, std::size_t in_use) {
  for (std::size_t seen = peak; seen < in_use && !peak.compare_exchange_weak(seen, in_use);) {
  }
}

}  // namespace

void* CudaMemory::allocate(std::size_t bytes) {
  count_in(in_use_, bytes, limit_, name_);
  void* pointer = planning_ ? planned : nullptr;
  std::optional<OnDevice> on;
  if (!planning_) on.emplace(device_);
  const cudaError_t status = planning_ ? cudaSuccess : cudaMalloc(&pointer, bytes);
  if (status == cudaSuccess) {
    note_peak(peak_, in_use_);
    count(bytes);
    return pointer;
  }
  in_use_ -= bytes;
  if (status != cudaErrorMemoryAllocation) check(status, "taking memory");
  cudaGetLastError();  // forgets it: the device works on
  std::size_t free = 0;
  std::size_t total = 0;
  check(cudaMemGetInfo(&free, &total), "asking for free memory");
  cuda::out_of_memory(name_, bytes, free, total);
}

void CudaMemory::deallocate(void* pointer, std::size_t bytes) noexcept {
  if (!planning_) cudaFree(pointer);
  in_use_ -= bytes;
}

void CudaMemory::copy_from_host(void* target, const void* source, std::size_t bytes) {
  if (planning_) return;
  const OnDevice on(device_);
  staging_.copy(target, source, bytes);
}

void CudaMemory::copy_to_host(void* target, const void* source, std::size_t bytes) {
  if (planning_) return;
  const OnDevice on(device_);
  check(cudaMemcpyAsync(target, source, bytes, cudaMemcpyDeviceToHost, stream_),
        "copying to the host");
  cuda::wait_on_host(stream_);
}

void CudaMemory::set_zero(void* target, std::size_t bytes) {
  if (planning_) return;
  const OnDevice on(device_);
  check(cudaMemsetAsync(target, 0, bytes, stream_), "setting memory to zero");
}

void* PinnedMemory::allocate(std::size_t bytes) {
  count_in(in_use_, bytes, limit_, name_);
  void* pointer = planning_ ? planned : nullptr;
  const cudaError_t status =
      planning_ ? cudaSuccess : cudaHostAlloc(&pointer, bytes, cudaHostAllocPortable);
  if (status == cudaSuccess) {
    note_peak(peak_, in_use_);
    count(bytes);
    return pointer;
  }
  in_use_ -= bytes;
  if (status != cudaErrorMemoryAllocation) check(status, "pinning host memory");
  cudaGetLastError();
  throw OutOfMemory(name_ + ": " + std::to_string(bytes) +
                    " bytes asked for and not available; crop or bin the frames, or raise what "
                    "the system allows a process to lock");
}

void PinnedMemory::deallocate(void* pointer, std::size_t bytes) noexcept {
  if (!planning_) cudaFreeHost(pointer);
  in_use_ -= bytes;
}

void PinnedMemory::copy_from_host(void* target, const void* source, std::size_t bytes) {
  if (!planning_) std::memcpy(target, source, bytes);
}

void PinnedMemory::copy_to_host(void* target, const void* source, std::size_t bytes) {
  if (!planning_) std::memcpy(target, source, bytes);
}

void PinnedMemory::set_zero(void* target, std::size_t bytes) {
  if (!planning_) std::memset(target, 0, bytes);
}

}  // namespace exitwave
