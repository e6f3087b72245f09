#include "cuda/stream.hpp"

#include "cuda/check.hpp"

namespace exitwave::cuda {

Event::Event() {
  check(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming), "making an event");
}
Event::~Event() { cudaEventDestroy(event_); }

void Event::record(cudaStream_t stream) const {
  check(cudaEventRecord(event_, stream), "recording an event");
}
void Event::wait_in(cudaStream_t stream) const {
  check(cudaStreamWaitEvent(stream, event_, 0), "waiting for an event");
}
void Event::wait_on_host() const { check(cudaEventSynchronize(event_), "earlier work"); }

// Without this flag the default stream of a library in the same process would hold it up.
Stream::Stream() {
  check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "making a stream");
}
Stream::~Stream() { cudaStreamDestroy(stream_); }

void wait_on_host(cudaStream_t stream) { check(cudaStreamSynchronize(stream), "earlier work"); }

}  // namespace exitwave::cuda
