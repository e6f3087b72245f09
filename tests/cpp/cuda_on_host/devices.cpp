// Devices, versions and errors.
#include <cstdio>
#include <utility>

#include "state.hpp"

namespace cuda_on_host {

void break_device(int device, bool broken) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  s.devices[std::size_t(device)].broken = broken;
}

long operations_done() {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  return s.operations;
}

std::size_t bytes_in_use(int device) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  return s.devices[std::size_t(device)].in_use;
}

}  // namespace cuda_on_host

using namespace cuda_on_host;

cudaError_t cudaGetDeviceCount(int* count) {
  State& s = state();
  *count = int(s.devices.size());
  return result(*count == 0 ? cudaErrorNoDevice : cudaSuccess);
}

cudaError_t cudaSetDevice(int device) {
  State& s = state();
  if (!exists(s, device)) return result(cudaErrorInvalidDevice);
  current_device() = device;
  return cudaSuccess;
}

cudaError_t cudaGetDevice(int* device) {
  *device = current_device();
  return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  State& s = state();
  if (!exists(s, device)) return result(cudaErrorInvalidDevice);
  std::snprintf(properties->name, sizeof properties->name, "host stand-in %d", device);
  properties->totalGlobalMem = s.options.memory;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  if (!exists(state(), device)) return result(cudaErrorInvalidDevice);
  switch (attribute) {
    case cudaDevAttrMultiProcessorCount:
      *value = 1;
      return cudaSuccess;
    case cudaDevAttrL2CacheSize:
      *value = 1 << 18;
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMajor:
    case cudaDevAttrComputeCapabilityMinor:
      *value = 0;
      return cudaSuccess;
  }
  return result(cudaErrorInvalidValue);
}

cudaError_t cudaDeviceCanAccessPeer(int* can, int device, int peer) {
  State& s = state();
  if (!exists(s, device) || !exists(s, peer)) return result(cudaErrorInvalidDevice);
  *can = s.options.peers && device != peer ? 1 : 0;
  return cudaSuccess;
}

cudaError_t cudaDeviceEnablePeerAccess(int peer, unsigned) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  if (!exists(s, peer) || peer == current_device() || !s.options.peers)
    return result(cudaErrorInvalidDevice);
  if (!s.devices[std::size_t(current_device())].peers.insert(peer).second)
    return result(cudaErrorPeerAccessAlreadyEnabled);
  return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int* version) {
  *version = 13000;
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = 13000;
  return cudaSuccess;
}

cudaError_t cudaGetLastError() { return std::exchange(last_error(), cudaSuccess); }

const char* cudaGetErrorName(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return "cudaSuccess";
    case cudaErrorMemoryAllocation:
      return "cudaErrorMemoryAllocation";
    case cudaErrorNoDevice:
      return "cudaErrorNoDevice";
    case cudaErrorInvalidDevice:
      return "cudaErrorInvalidDevice";
    case cudaErrorECCUncorrectable:
      return "cudaErrorECCUncorrectable";
    case cudaErrorInvalidValue:
      return "cudaErrorInvalidValue";
    case cudaErrorInvalidConfiguration:
      return "cudaErrorInvalidConfiguration";
    default:
      return "another error";
  }
}

const char* cudaGetErrorString(cudaError_t error) { return cudaGetErrorName(error); }
