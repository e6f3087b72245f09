#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "core/device_sharing.hpp"
#include "core/gpu_needs.hpp"
#include "core/host_memory.hpp"
#include "core/scan.hpp"
#include "core/thread_pool.hpp"
#include "cpu/fast_rows.hpp"
#include "cpu/lane.hpp"
#include "cpu/settings.hpp"

namespace exitwave {

// Owns the memories, the lanes and their threads. Neighbouring parts belong to one device.
class CpuBackend {
 public:
  using Lane = CpuLane;
  using Settings = CpuSettings;

  CpuBackend(const CpuSettings& settings, const Scan& scan)
      : ranks_(scan.ranks),
        first_part_(scan.first_part()),
        parts_(scan.end_part() - scan.first_part()),
        batch_(settings.gpu_lanes > 0 ? gpu::batch_for(settings.batch, scan) : settings.batch),
        as_gpus_(settings.gpu_lanes > 0),
        sharing_(parts_, std::max(1, settings.emulated),
                 settings.gpu_lanes > 0 ? settings.gpu_lanes : parts_),
        pool_(settings.threads) {
    const bool emulated = settings.emulated > 0;
    for (int i = 0; i < sharing_.devices(); ++i)
      memories_.push_back(
          std::make_unique<HostMemory>(emulated ? "device " + std::to_string(i) : "host memory",
                                       !emulated, settings.memory_limit, settings.planning));
    if (emulated)
      host_memory_ =
          std::make_unique<HostMemory>("host memory", true, settings.host_limit, settings.planning);
    lane_count_ = emulated ? sharing_.lanes() : settings.threads;
    if (settings.gpu_lanes > 0) plan_gpus(scan, settings.wave_bytes);
    for (int i = 0; i < lane_count_ && !settings.planning; ++i)
      lanes_.push_back(std::make_unique<Lane>(scan.ny, scan.nx));
  }

  int lanes() const { return lane_count_; }
  // Frames that a lane takes through a step together.
  int batch() const { return batch_; }
  // Whether operations that lanes run together see each other's results of a row, and not only
  // those at the same pixel.
  bool row_by_row() const { return !as_gpus_; }
  const Ranks& ranks() const { return ranks_; }
  // Whether a part belongs to this process; only then has it lanes and memory.
  bool holds(int part) const { return part >= first_part_ && part < first_part_ + parts_; }
  // True where all parts see the same memory: object and probe exist once, and a part updates only
  // the pixels that it owns.
  bool shared() const { return memories_.size() == 1 && ranks_.communicator == nullptr; }
  // Memory of the device that a part belongs to.
  Memory& memory(int part) {
    return *memories_[std::size_t(sharing_.device_of(part - first_part_))];
  }
  Memory& lane_memory(int lane) {
    return *memories_[host_memory_ ? std::size_t(sharing_.device_of_lane(lane)) : 0];
  }
  // Memory of the host, for what stays with no device.
  Memory& host_memory() { return host_memory_ ? *host_memory_ : *memories_[0]; }
  // Devices first, then the host where that is another.
  std::vector<const Memory*> memories() const {
    std::vector<const Memory*> all;
    for (const auto& memory : memories_) all.push_back(memory.get());
    if (host_memory_) all.push_back(host_memory_.get());
    return all;
  }

  // f(lane, lane number, part) for every part that is held here. What f does comes after everything
  // that earlier calls did.
  template <class F>
  void for_each_part(F&& f) {
    pool_.run([&](int member) {
      for (int i = 0; i < parts_; ++i) {
        const int lane = spread(i, lanes());
        if (lane * pool_.size() / lanes() == member)
          f(*lanes_[std::size_t(lane)], lane, first_part_ + i);
      }
    });
  }

 private:
  // What lanes of GPUs would take.
  void plan_gpus(const Scan& scan, std::size_t wave_bytes) {
    host_memory_->reserve("staging", gpu::staging_bytes(sharing_.devices(), sharing_.lanes()));
    const gpu::LaneNeeds needs(scan, batch_, wave_bytes);
    for (int lane = 0; lane < sharing_.lanes(); ++lane) needs.plan(lane_memory(lane));
  }

  // Neighbouring parts, counted from the first, get the same of `count` things.
  int spread(int i, int count) const { return int((long(i) * count) / parts_); }

  Ranks ranks_;
  int first_part_;
  int parts_;  // that are held here
  int batch_;
  bool as_gpus_;  // only planned
  DeviceSharing sharing_;
  int lane_count_;
  std::vector<std::unique_ptr<HostMemory>> memories_;
  std::unique_ptr<HostMemory> host_memory_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  ThreadPool pool_;
};

}  // namespace exitwave
