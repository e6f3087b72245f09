#pragma once

#include <memory>
#include <vector>

#include "cpu/fast_rows.hpp"
#include "cpu/lane.hpp"
#include "cpu/memory.hpp"
#include "cpu/settings.hpp"
#include "cpu/thread_pool.hpp"

namespace exitwave {

// Owns memory, lanes and their threads.
class CpuBackend {
 public:
  using Lane = CpuLane;
  using Settings = CpuSettings;

  CpuBackend(const CpuSettings& settings, int ny, int nx)
      : memory_(!settings.emulated, settings.memory_limit),
        batch_(settings.batch),
        pool_(settings.threads) {
    for (int i = 0; i < settings.threads; ++i) lanes_.push_back(std::make_unique<Lane>(ny, nx));
  }

  Memory& memory() { return memory_; }
  int lanes() const { return int(lanes_.size()); }
  // Frames that a lane takes through a step together.
  int batch() const { return batch_; }
  // True where all parts see the same memory: object and probe exist once, and a part updates only
  // the pixels that it owns.
  bool shared() const { return memory_.shared_with_host(); }
  // The lane that works on a part: neighbouring parts share one.
  int lane_of(int part, int parts) const { return int((long(part) * lanes()) / parts); }

  // f(lane, lane number, part) for every part; all done on return.
  template <class F>
  void for_each_part(int parts, F&& f) {
    pool_.run([&](int member) {
      for (int part = 0; part < parts; ++part)
        if (lane_of(part, parts) == member) f(*lanes_[std::size_t(member)], member, part);
    });
  }

 private:
  HostMemory memory_;
  int batch_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  ThreadPool pool_;
};

}  // namespace exitwave
