#include "cuda/memory.hpp"

#include <unistd.h>

#include <string>

#include "core/error.hpp"
#include "cuda/check.hpp"
#include "cuda/stream.hpp"

namespace exitwave {

using cuda::check;
using cuda::OnDevice;

namespace {
// To pin more would leave too little to others, and read a mapped file as a whole.
std::size_t half_of_the_machine() {
  return std::size_t(sysconf(_SC_PHYS_PAGES)) / 2 * std::size_t(sysconf(_SC_PAGESIZE));
}
}  // namespace

void* CudaMemory::take(std::size_t bytes) {
  const OnDevice on(device());
  void* pointer = nullptr;
  const cudaError_t status = cudaMalloc(&pointer, bytes);
  if (status != cudaErrorMemoryAllocation) {
    check(status, "taking memory");
    return pointer;
  }
  cudaGetLastError();  // forgets it: the device works on
  std::size_t free = 0;
  std::size_t total = 0;
  check(cudaMemGetInfo(&free, &total), "asking for free memory");
  throw OutOfMemory(name() + ": " + std::to_string(bytes) + " bytes asked for, " +
                    std::to_string(free) + " of " + std::to_string(total) +
                    " free; set a memory_limit, so that frames go there in blocks, or a smaller "
                    "batch, or more devices");
}

void CudaMemory::give_back(void* pointer) noexcept { cudaFree(pointer); }

void CudaMemory::write(void* target, const void* source, std::size_t bytes) {
  const OnDevice on(device());
  staging_.copy(target, source, bytes);
}

void CudaMemory::read(void* target, const void* source, std::size_t bytes) {
  const OnDevice on(device());
  check(cudaMemcpyAsync(target, source, bytes, cudaMemcpyDeviceToHost, stream_),
        "copying to the host");
  cuda::wait_on_host(stream_);
}

void CudaMemory::clear(void* target, std::size_t bytes) {
  const OnDevice on(device());
  check(cudaMemsetAsync(target, 0, bytes, stream_), "setting memory to zero");
}

// Rows that follow each other are one, which may be larger than what is between two rows.
void CudaMemory::write_rows(void* target, const void* source, const Rows& rows) {
  const OnDevice on(device());
  const cudaError_t status =
      rows.count == 1 ? cudaMemcpyAsync(target, source, rows.bytes, cudaMemcpyDefault, stream_)
                      : cudaMemcpy2DAsync(target, rows.target_pitch, source, rows.source_pitch,
                                          rows.bytes, rows.count, cudaMemcpyDefault, stream_);
  check(status, "copying an array");
  cuda::wait_on_host(stream_);
}

void CudaMemory::read_rows(void* target, const void* source, const Rows& rows) {
  write_rows(target, source, rows);
}

void CudaMemory::finish() {
  if (planning()) return;
  const OnDevice on(device());
  cuda::wait_on_host(stream_);
}

void* PinnedMemory::take(std::size_t bytes) {
  const OnDevice on(devices_.front());
  void* pointer = nullptr;
  const cudaError_t status = cudaHostAlloc(&pointer, bytes, cudaHostAllocPortable);
  if (status != cudaErrorMemoryAllocation) {
    check(status, "pinning host memory");
    return pointer;
  }
  cudaGetLastError();
  throw OutOfMemory(name() + ": " + std::to_string(bytes) +
                    " bytes asked for and not available; crop or bin the frames, or raise what "
                    "the system allows a process to lock");
}

void PinnedMemory::give_back(void* pointer) noexcept { cudaFreeHost(pointer); }

// What cannot be written to, as a file that is mapped for reading, is pinned for reading where the
// driver can do that.
bool PinnedMemory::pin(const void* data, std::size_t bytes) {
  if (planning() || bytes > half_of_the_machine()) return false;
  const OnDevice on(devices_.front());
  for (const unsigned more : {0U, cudaHostRegisterReadOnly + 0U}) {
    if (cudaHostRegister(const_cast<void*>(data), bytes, cudaHostRegisterPortable | more) ==
        cudaSuccess)
      return true;
    cudaGetLastError();
  }
  return false;
}

void PinnedMemory::let_go(const void* data) noexcept {
  int before = 0;
  cudaGetDevice(&before);
  for (const int device : devices_)
    if (cudaSetDevice(device) == cudaSuccess) cudaDeviceSynchronize();
  cudaHostUnregister(const_cast<void*>(data));
  cudaSetDevice(before);
  cudaGetLastError();
}

}  // namespace exitwave
