#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "core/device_sharing.hpp"
#include "core/gpu_needs.hpp"
#include "core/scan.hpp"
#include "core/thread_pool.hpp"
#include "cuda/check.hpp"
#include "cuda/lane.cuh"
#include "cuda/memory.hpp"
#include "cuda/settings.hpp"
#include "cuda/stream.hpp"

namespace exitwave {

// Owns the devices' memories, the lanes, and a host thread for each device. Neighbouring parts
// belong to one device, and there to one lane.
//
// The first lane of a device shares its stream with the device's memory. At the beginning of
// for_each_part all lanes wait for it, at the end it waits for the lanes of all devices, so that
// everything before comes before everything after, and the host waits for nothing.
class CudaBackend {
 public:
  using Lane = CudaLane;
  using Settings = CudaSettings;

  CudaBackend(const CudaSettings& settings, const Scan& scan)
      : ranks_(scan.ranks),
        first_part_(scan.first_part()),
        parts_(scan.end_part() - scan.first_part()),
        batch_(gpu::batch_for(settings.batch, scan)),
        sharing_(parts_, int(settings.devices.size()), settings.streams),
        host_memory_(settings.host_limit, settings.planning, settings.devices),
        pool_(settings.planning ? 1 : sharing_.devices()) {
    for (int i = 0; i < sharing_.devices(); ++i)
      devices_.push_back(make_device(settings, settings.devices[std::size_t(i)]));
    host_memory_.reserve("staging", gpu::staging_bytes(sharing_.devices(), sharing_.lanes()));
    const gpu::LaneNeeds needs(scan, batch_, settings.wave_bytes);
    for (int i = 0; i < sharing_.devices(); ++i) add_lanes(i, settings, scan, needs);
    if (settings.planning) return;
    for (const auto& one : devices_)
      for (const auto& other : devices_) see_each_other(one->number, other->number);
  }

  int lanes() const { return int(lanes_.size()); }
  // Frames that a lane takes through a step together.
  int batch() const { return batch_; }
  // Operations that lanes run together see each other's results at the same pixel only.
  bool row_by_row() const { return false; }
  const Ranks& ranks() const { return ranks_; }
  // Whether a part belongs to this process; only then has it lanes and memory.
  bool holds(int part) const { return part >= first_part_ && part < first_part_ + parts_; }
  // True where all parts see the same memory: object and probe exist once, and a part updates only
  // the pixels that it owns.
  bool shared() const { return devices_.size() == 1 && ranks_.communicator == nullptr; }
  // Memory of the device that a part belongs to.
  Memory& memory(int part) { return device_of(part).memory; }
  Memory& lane_memory(int lane) { return *lanes_[std::size_t(lane)].memory; }
  // Memory of the host, from which devices copy without waiting.
  Memory& host_memory() { return host_memory_; }
  // Devices first, then the host.
  std::vector<const Memory*> memories() const {
    std::vector<const Memory*> all;
    for (const auto& device : devices_) all.push_back(&device->memory);
    all.push_back(&host_memory_);
    return all;
  }

  // f(lane, lane number, part) for every part that is held here, which gives work to the lane. The
  // work comes after everything that earlier calls, or memories, were given.
  template <class F>
  void for_each_part(F&& f) {
    fork();
    pool_.run([&](int member) {
      const cuda::OnDevice on(devices_[std::size_t(member)]->number);
      const DeviceSharing::Device& shares = sharing_.device(member);
      for (int i = shares.first_part; i < shares.first_part + shares.parts; ++i) {
        const int lane = sharing_.lane_of(i);
        f(*lanes_[std::size_t(lane)].lane, lane, first_part_ + i);
      }
    });
    join();
  }

 private:
  struct Device {
    Device(const CudaSettings& settings, int device)
        : number(device),
          stream(settings.planning ? nullptr : std::make_unique<cuda::Stream>()),
          start(settings.planning ? nullptr : std::make_unique<cuda::Event>()),
          memory(device, stream ? cudaStream_t(*stream) : nullptr, settings.memory_limit,
                 settings.planning) {}

    int number;
    std::unique_ptr<cuda::Stream> stream;
    std::unique_ptr<cuda::Event> start;
    CudaMemory memory;
  };
  // Without its lane where memory is only counted.
  struct OwnLane {
    Memory* memory = nullptr;
    std::unique_ptr<cuda::Stream> stream;  // none for the first of a device
    std::unique_ptr<cuda::Event> done;
    std::unique_ptr<Lane> lane;
  };

  static std::unique_ptr<Device> make_device(const CudaSettings& settings, int number) {
    if (settings.planning) return std::make_unique<Device>(settings, number);
    const cuda::OnDevice on(number);
    return std::make_unique<Device>(settings, number);
  }
  void add_lanes(int number, const CudaSettings& settings, const Scan& scan,
                 const gpu::LaneNeeds& needs) {
    Device& device = *devices_[std::size_t(number)];
    for (int i = 0; i < sharing_.device(number).lanes; ++i) {
      OwnLane own;
      own.memory = &device.memory;
      if (settings.planning) {
        needs.plan(device.memory);
      } else {
        const cuda::OnDevice on(device.number);
        own.done = std::make_unique<cuda::Event>();
        if (i > 0) own.stream = std::make_unique<cuda::Stream>();
        own.lane = std::make_unique<Lane>(device.memory, device.number,
                                          i > 0 ? *own.stream : *device.stream, scan, needs,
                                          settings.deterministic);
      }
      lanes_.push_back(std::move(own));
    }
  }

  // Copies between devices that cannot go through the host.
  static void see_each_other(int device, int other) {
    if (device == other) return;
    const cuda::OnDevice on(device);
    int can = 0;
    cuda::check(cudaDeviceCanAccessPeer(&can, device, other), "asking for peers");
    if (can == 0) return;
    const cudaError_t status = cudaDeviceEnablePeerAccess(other, 0);
    if (status == cudaErrorPeerAccessAlreadyEnabled)
      cudaGetLastError();
    else
      cuda::check(status, "enabling peer access");
  }

  // f(device, lane, whether it is the device's first)
  template <class F>
  void for_each_lane(F&& f) {
    for (int number = 0; number < sharing_.devices(); ++number) {
      Device& device = *devices_[std::size_t(number)];
      const cuda::OnDevice on(device.number);
      for (int i = 0; i < sharing_.device(number).lanes; ++i)
        f(device, lanes_[std::size_t(sharing_.device(number).first_lane + i)], i == 0);
    }
  }

  void fork() {
    for_each_lane([](Device& device, OwnLane& own, bool first) {
      if (first) device.start->record(*device.stream);
      own.lane->begin(*device.start, first);
    });
  }

  void join() {
    for_each_lane([&](Device&, OwnLane& own, bool) {
      own.lane->end();
      // The only lane of the only device waits for nobody, and nobody for it.
      if (lanes() > 1) own.done->record(own.lane->stream());
    });
    for (const auto& device : devices_)
      for (const OwnLane& own : lanes_)
        if (own.lane->stream() != *device->stream) own.done->wait_in(*device->stream);
  }

  Device& device_of(int part) {
    return *devices_[std::size_t(sharing_.device_of(part - first_part_))];
  }

  Ranks ranks_;
  int first_part_;
  int parts_;  // that are held here
  int batch_;
  DeviceSharing sharing_;
  PinnedMemory host_memory_;
  ThreadPool pool_;
  std::vector<std::unique_ptr<Device>> devices_;
  std::vector<OwnLane> lanes_;
};

}  // namespace exitwave
