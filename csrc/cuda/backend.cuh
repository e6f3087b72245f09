#pragma once

#include <algorithm>
#include <memory>
#include <vector>

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
        batch_(batch_for(settings, scan)),
        host_memory_(settings.host_limit, settings.planning, settings.devices),
        pool_(settings.planning ? 1 : devices_for(settings, scan)) {
    for (int i = 0; i < devices_for(settings, scan); ++i)
      devices_.push_back(make_device(settings, settings.devices[std::size_t(i)]));
    for (int part = first_part_ + parts_ - 1; part >= first_part_; --part) {
      ++device_of(part).parts;
      device_of(part).first_part = part;
    }
    const Lane::Needs needs(scan, batch_, settings.wave_bytes);
    for (const auto& device : devices_) add_lanes(*device, settings, scan, needs);
    if (settings.planning) return;
    for (const auto& one : devices_)
      for (const auto& other : devices_) see_each_other(one->number, other->number);
  }

  int lanes() const { return int(lanes_.size()); }
  // Frames that a lane takes through a step together.
  int batch() const { return batch_; }
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
      const Device& device = *devices_[std::size_t(member)];
      const cuda::OnDevice on(device.number);
      for (int i = 0; i < device.parts; ++i) {
        const int part = device.first_part + i;
        const int lane = lane_of(part);
        f(*lanes_[std::size_t(lane)].lane, lane, part);
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
    int first_part = 0;
    int parts = 0;
    int first_lane = 0;
    int lanes = 0;
  };
  // Without its lane where memory is only counted.
  struct OwnLane {
    Memory* memory = nullptr;
    std::unique_ptr<cuda::Stream> stream;  // none for the first of a device
    std::unique_ptr<cuda::Event> done;
    std::unique_ptr<Lane> lane;
  };

  static int devices_for(const CudaSettings& settings, const Scan& scan) {
    return std::min(int(settings.devices.size()), scan.end_part() - scan.first_part());
  }

  // A lane never gets more than the frames of a part.
  static int batch_for(const CudaSettings& settings, const Scan& scan) {
    std::size_t most = 1;
    for (const auto& part : scan.parts) most = std::max(most, part.size());
    return std::min(settings.batch, int(most));
  }

  static std::unique_ptr<Device> make_device(const CudaSettings& settings, int number) {
    if (settings.planning) return std::make_unique<Device>(settings, number);
    const cuda::OnDevice on(number);
    return std::make_unique<Device>(settings, number);
  }
  void add_lanes(Device& device, const CudaSettings& settings, const Scan& scan,
                 const Lane::Needs& needs) {
    device.first_lane = lanes();
    device.lanes = std::min(settings.streams, device.parts);
    for (int i = 0; i < device.lanes; ++i) {
      OwnLane own;
      own.memory = &device.memory;
      if (settings.planning) {
        Lane::plan(device.memory, needs);
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

  void fork() {
    for (const auto& device : devices_) {
      const cuda::OnDevice on(device->number);
      device->start->record(*device->stream);
      for (int i = 0; i < device->lanes; ++i)
        lanes_[std::size_t(device->first_lane + i)].lane->begin(*device->start, i == 0);
    }
  }

  void join() {
    for (const auto& device : devices_) {
      const cuda::OnDevice on(device->number);
      for (int i = 0; i < device->lanes; ++i) {
        OwnLane& own = lanes_[std::size_t(device->first_lane + i)];
        own.lane->end();
        // The only lane of the only device waits for nobody, and nobody for it.
        if (lanes() > 1) own.done->record(own.lane->stream());
      }
    }
    for (const auto& device : devices_)
      for (const OwnLane& own : lanes_)
        if (own.lane->stream() != *device->stream) own.done->wait_in(*device->stream);
  }

  Device& device_of(int part) {
    const long number = part - first_part_;
    return *devices_[std::size_t(number * long(devices_.size()) / parts_)];
  }
  int lane_of(int part) {
    const Device& device = device_of(part);
    return device.first_lane + int(long(part - device.first_part) * device.lanes / device.parts);
  }

  Ranks ranks_;
  int first_part_;
  int parts_;  // that are held here
  int batch_;
  PinnedMemory host_memory_;
  ThreadPool pool_;
  std::vector<std::unique_ptr<Device>> devices_;
  std::vector<OwnLane> lanes_;
};

}  // namespace exitwave
