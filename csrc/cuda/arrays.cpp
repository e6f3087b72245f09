#include "cuda/arrays.hpp"

#include <cuda_runtime.h>

#include <string>

#include "core/error.hpp"
#include "cuda/check.hpp"
#include "cuda/memory.hpp"
#include "cuda/stream.hpp"

namespace exitwave {

int cuda_device_of(const void* pointer) {
  cudaPointerAttributes attributes{};
  cuda::check(cudaPointerGetAttributes(&attributes, pointer), "asking where an array is");
  const bool on_device =
      attributes.type == cudaMemoryTypeDevice || attributes.type == cudaMemoryTypeManaged;
  return on_device ? attributes.device : kOnHost;
}

void wait_for_cuda_stream(int device, std::uintptr_t stream) {
  const cuda::OnDevice on(device);
  // Array interfaces name streams by numbers.
  const auto handle = reinterpret_cast<cudaStream_t>(stream);  // NOLINT(performance-no-int-to-ptr)
  cuda::check(cudaStreamSynchronize(handle), "the work that an array waits for");
}

void wait_for_cuda_device(int device) {
  const cuda::OnDevice on(device);
  cuda::check(cudaDeviceSynchronize(), "the work of others");
}

void copy_cuda_array(int device, void* target, const void* source, std::size_t bytes) {
  if (bytes == 0) return;
  const cuda::OnDevice on(device);
  const cuda::Stream stream;
  cuda::check(cudaMemcpyAsync(target, source, bytes, cudaMemcpyDefault, stream),
              "copying an array");
  cuda::wait_on_host(stream);
}

std::shared_ptr<void> make_cuda_array(int device, std::size_t bytes) {
  const cuda::OnDevice on(device);
  const cuda::Stream stream;
  CudaMemory memory(device, stream, 0);
  return {memory.allocate(bytes), [](void* pointer) { cudaFree(pointer); }};
}

}  // namespace exitwave
