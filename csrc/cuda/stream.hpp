#pragma once

#include <cuda_runtime.h>

namespace exitwave::cuda {

// A point in a stream's work that other streams, or the host, wait for. Made on the current device.
class Event {
 public:
  Event();
  ~Event();
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  void record(cudaStream_t stream) const;
  // Work that `stream` is given from now on begins when the event's last record is done; at once
  // where there was none.
  void wait_in(cudaStream_t stream) const;
  void wait_on_host() const;

 private:
  cudaEvent_t event_ = nullptr;
};

// A queue of work of the device that was current when it was made.
class Stream {
 public:
  Stream();
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  operator cudaStream_t() const { return stream_; }

 private:
  cudaStream_t stream_ = nullptr;
};

void wait_on_host(cudaStream_t stream);

}  // namespace exitwave::cuda
