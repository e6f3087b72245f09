#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

namespace exitwave {

// How devices share neighbouring parts, numbered from 0, and each device's lanes those of the
// device: a lane has at least one part.
class DeviceSharing {
 public:
  struct Device {
    int first_part = 0;
    int parts = 0;
    int first_lane = 0;
    int lanes = 0;
  };

  DeviceSharing(int parts, int devices, int most_lanes)
      : parts_(parts), devices_(std::size_t(std::min(devices, parts))) {
    for (int part = parts - 1; part >= 0; --part) {
      Device& device = devices_[std::size_t(device_of(part))];
      device.first_part = part;
      ++device.parts;
    }
    for (Device& device : devices_) {
      device.first_lane = lanes_;
      device.lanes = std::min(most_lanes, device.parts);
      lanes_ += device.lanes;
    }
  }

  int devices() const { return int(devices_.size()); }
  int lanes() const { return lanes_; }
  const Device& device(int number) const { return devices_[std::size_t(number)]; }
  int device_of(int part) const { return int(long(part) * devices() / parts_); }
  int lane_of(int part) const {
    const Device& d = device(device_of(part));
    return d.first_lane + int(long(part - d.first_part) * d.lanes / d.parts);
  }
  int device_of_lane(int lane) const {
    int number = 0;
    while (lane >= device(number).first_lane + device(number).lanes) ++number;
    return number;
  }

 private:
  int parts_;
  int lanes_ = 0;
  std::vector<Device> devices_;
};

}  // namespace exitwave
