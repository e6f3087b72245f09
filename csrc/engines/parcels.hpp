#pragma once

#include <cstddef>

#include "core/buffer.hpp"
#include "core/communicator.hpp"

namespace exitwave {

// Bytes on a part's device that go to parts of other ranks, or come from them. They pass through
// the host's memory, unless lanes share it or the communicator reaches devices.
class Parcel {
 public:
  Parcel() = default;
  // `device` and `host`: memories of the part, and of the host.
  Parcel(const Communicator& communicator, Memory& device, Memory& host, std::size_t bytes)
      : memory_(&device), packed_(device, bytes) {
    if (device.shared_with_host() || communicator.reaches_devices()) return;
    host.account("halo");
    staging_ = Buffer<unsigned char>(host, bytes);
  }
  // Of a part whose messages stay on this rank.
  Parcel(Memory& device, std::size_t bytes) : memory_(&device), packed_(device, bytes) {}

  // For lanes.
  unsigned char* data() { return packed_.data(); }
  const unsigned char* data() const { return packed_.data(); }

  // What the lanes have packed, as a message; waits for them.
  Communicator::Message sent(int rank, std::size_t bytes) {
    if (staging_.size() != 0)
      memory_->copy_to_host(staging_.data(), packed_.data(), bytes);
    else if (!memory_->shared_with_host())
      wait();
    return {rank, at_host(), bytes, true};
  }
  Communicator::Message received(int rank, std::size_t bytes) {
    return {rank, at_host(), bytes, false};
  }
  // After it was received.
  void unstage(std::size_t bytes) {
    if (staging_.size() != 0) memory_->copy_from_host(packed_.data(), staging_.data(), bytes);
  }

 private:
  unsigned char* at_host() { return staging_.size() != 0 ? staging_.data() : packed_.data(); }

  // A copy to the host comes after all that lanes were given.
  void wait() {
    unsigned char byte = 0;
    memory_->copy_to_host(&byte, packed_.data(), 1);
  }

  Memory* memory_ = nullptr;
  Buffer<unsigned char> packed_;
  Buffer<unsigned char> staging_;
};

}  // namespace exitwave
