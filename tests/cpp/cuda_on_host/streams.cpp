// Streams and events.
#include <algorithm>

#include "state.hpp"

using namespace cuda_on_host;

namespace {

// Streams that are always there; those that are made here do not wait for them, nor they for those.
bool is_default(cudaStream_t stream) {
  return stream == nullptr || stream == cudaStreamLegacy || stream == cudaStreamPerThread;
}

}  // namespace

cudaError_t cudaDeviceSynchronize() {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  work_until(s, [&] {
    return std::all_of(s.streams.begin(), s.streams.end(), [&](const auto& stream) {
      return stream->device != current_device() || stream->tasks.empty();
    });
  });
  return result(health(s, current_device()));
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  if (flags != cudaStreamNonBlocking) fatal("only streams that the default stream does not block");
  if (const cudaError_t error = health(s, current_device())) return result(error);
  s.streams.push_back(std::make_unique<Stream>());
  s.streams.back()->device = current_device();
  *stream = s.streams.back().get();
  return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  if (valid(s, stream) == nullptr) return result(cudaErrorInvalidResourceHandle);
  work_until(s, [&] { return stream->tasks.empty(); });
  std::erase_if(s.streams, [&](const auto& known) { return known.get() == stream; });
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  if (is_default(stream)) return cudaSuccess;
  State& s = state();
  const std::lock_guard lock(s.mutex);
  if (valid(s, stream) == nullptr) return result(cudaErrorInvalidResourceHandle);
  if (const cudaError_t error = health(s, stream->device)) return result(error);
  work_until(s, [&] { return stream->tasks.empty(); });
  return cudaSuccess;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  if (valid(s, stream) == nullptr) return result(cudaErrorInvalidResourceHandle);
  if (event->done < event->asked) add(s, stream, {{}, {}, event, event->asked});
  return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new Event;
  return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  work_until(s, [&] { return event->done >= event->asked; });
  // Waits for it that are still queued hold.
  for (const auto& stream : s.streams)
    for (Task& task : stream->tasks)
      if (task.wait == event) task.wait = nullptr;
  delete event;
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  if (valid(s, stream) == nullptr) return result(cudaErrorInvalidResourceHandle);
  const long number = ++event->asked;
  add(s, stream, {[event, number] { event->done = std::max(event->done, number); }, {}});
  return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  work_until(s, [&] { return event->done >= event->asked; });
  return cudaSuccess;
}
