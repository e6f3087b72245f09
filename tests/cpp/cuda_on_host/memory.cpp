// Memory of devices and of the host, and copies.
#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "state.hpp"

using namespace cuda_on_host;

namespace {

constexpr std::size_t kUnit = 256;
constexpr std::size_t kGuard = 256;
constexpr unsigned char kGuardByte = 0xA5;

bool within_an_allocation(const State& s, int device, const void* pointer, std::size_t bytes) {
  const Device& d = s.devices[std::size_t(device)];
  const auto offset = std::size_t(static_cast<const unsigned char*>(pointer) - d.base);
  auto after = d.allocated.upper_bound(offset);
  if (after == d.allocated.begin()) return false;
  --after;
  return offset + bytes <= after->first + after->second;
}

// Null for memory that is not pinned.
Pinned* find_pinned(State& s, const void* pointer) {
  const auto* at = static_cast<const unsigned char*>(pointer);
  auto after = s.pinned.upper_bound(at);
  if (after == s.pinned.begin()) return nullptr;
  --after;
  return at < after->first + after->second.bytes ? &after->second : nullptr;
}

std::size_t rounded(std::size_t bytes) { return (bytes + kUnit - 1) / kUnit * kUnit; }

// First gap that is large enough.
std::size_t place(const Device& device, std::size_t bytes) {
  std::size_t at = 0;
  for (const auto& [offset, size] : device.allocated) {
    if (offset - at >= bytes) return at;
    at = offset + rounded(size) + kGuard;
  }
  return at;
}

}  // namespace

cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  if (const cudaError_t error = health(s, current_device())) return result(error);
  *total = s.options.memory;
  *free = s.options.memory - s.devices[std::size_t(current_device())].in_use;
  return cudaSuccess;
}

cudaError_t cudaMalloc(void** pointer, std::size_t bytes) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  if (const cudaError_t error = health(s, current_device())) return result(error);
  Device& device = s.devices[std::size_t(current_device())];
  if (bytes > s.options.memory - device.in_use) return result(cudaErrorMemoryAllocation);
  const std::size_t at = place(device, rounded(bytes) + kGuard);
  if (at + rounded(bytes) + kGuard > kRange) return result(cudaErrorMemoryAllocation);
  device.allocated[at] = bytes;
  device.in_use += bytes;
  open_only(s, {current_device()});
  std::memset(device.base + at, kNewMemory, bytes);
  std::memset(device.base + at + bytes, kGuardByte, rounded(bytes) - bytes + kGuard);
  open_only(s, {});
  *pointer = device.base + at;
  return cudaSuccess;
}

cudaError_t cudaFree(void* pointer) {
  if (pointer == nullptr) return cudaSuccess;
  State& s = state();
  const std::lock_guard lock(s.mutex);
  const int number = owner(s, pointer);
  if (number < 0) return result(cudaErrorInvalidValue);
  // As the real one: waits for all work of the device.
  work_until(s, [&] {
    return std::all_of(s.streams.begin(), s.streams.end(), [&](const auto& stream) {
      return stream->device != number || stream->tasks.empty();
    });
  });
  Device& device = s.devices[std::size_t(number)];
  const auto found =
      device.allocated.find(std::size_t(static_cast<unsigned char*>(pointer) - device.base));
  if (found == device.allocated.end()) return result(cudaErrorInvalidValue);
  const std::size_t bytes = found->second;
  open_only(s, {number});
  const auto* end = static_cast<const unsigned char*>(pointer) + bytes;
  for (std::size_t i = 0; i < rounded(bytes) - bytes + kGuard; ++i)
    if (end[i] != kGuardByte)
      fatal("written " + std::to_string(i) + " bytes behind an allocation of " +
            std::to_string(bytes));
  std::memset(pointer, kNewMemory, bytes);
  open_only(s, {});
  device.in_use -= bytes;
  device.allocated.erase(found);
  return cudaSuccess;
}

cudaError_t cudaHostAlloc(void** pointer, std::size_t bytes, unsigned) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  if (const cudaError_t error = health(s, current_device())) return result(error);
  *pointer = std::aligned_alloc(kUnit, rounded(bytes));
  if (*pointer == nullptr) return result(cudaErrorMemoryAllocation);
  std::memset(*pointer, kNewMemory, bytes);
  s.pinned[static_cast<const unsigned char*>(*pointer)] = {bytes};
  return cudaSuccess;
}

cudaError_t cudaFreeHost(void* pointer) {
  if (pointer == nullptr) return cudaSuccess;
  State& s = state();
  const std::lock_guard lock(s.mutex);
  const auto found = s.pinned.find(static_cast<const unsigned char*>(pointer));
  if (found == s.pinned.end() || found->second.lent) return result(cudaErrorInvalidValue);
  work_until(s, [&] {
    return std::all_of(s.streams.begin(), s.streams.end(),
                       [](const auto& stream) { return stream->tasks.empty(); });
  });
  s.pinned.erase(found);
  std::free(pointer);
  return cudaSuccess;
}

cudaError_t cudaHostRegister(void* pointer, std::size_t bytes, unsigned) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  if (const cudaError_t error = health(s, current_device())) return result(error);
  if (!s.options.pinnable) return result(cudaErrorNotSupported);
  auto* first = static_cast<unsigned char*>(pointer);
  const auto after = s.pinned.lower_bound(first);
  if (find_pinned(s, first) != nullptr || (after != s.pinned.end() && after->first < first + bytes))
    return result(cudaErrorHostMemoryAlreadyRegistered);
  s.pinned[first] = {bytes, true};
  return cudaSuccess;
}

// A real one would not wait for copies, which would then read what nobody holds in place.
cudaError_t cudaHostUnregister(void* pointer) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  const auto found = s.pinned.find(static_cast<const unsigned char*>(pointer));
  if (found == s.pinned.end() || !found->second.lent)
    return result(cudaErrorHostMemoryNotRegistered);
  if (found->second.copies > 0) fatal("memory unregistered while copies from it are queued");
  s.pinned.erase(found);
  return cudaSuccess;
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* pointer) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  *attributes = {cudaMemoryTypeUnregistered, -2};
  if (const int device = owner(s, pointer); device >= 0)
    *attributes = {cudaMemoryTypeDevice, device};
  else if (find_pinned(s, pointer) != nullptr)
    *attributes = {cudaMemoryTypeHost, 0};
  return cudaSuccess;
}

namespace {

// Host memory of either kind, or an allocation of a device, as the direction says.
bool is_end_of_copy(const State& s, const void* pointer, std::size_t bytes, bool on_device,
                    bool either) {
  const int device = owner(s, pointer);
  if (device < 0) return either || !on_device;
  return (either || on_device) && within_an_allocation(s, device, pointer, bytes);
}

}  // namespace

cudaError_t cudaMemcpy2DAsync(void* target, std::size_t target_pitch, const void* source,
                              std::size_t source_pitch, std::size_t width, std::size_t height,
                              cudaMemcpyKind kind, cudaStream_t stream) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  if (valid(s, stream) == nullptr) return result(cudaErrorInvalidResourceHandle);
  if (const cudaError_t error = health(s, stream->device)) return result(error);
  if (width == 0 || height == 0) return cudaSuccess;
  const bool any = kind == cudaMemcpyDefault;
  const bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  const bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  if (target_pitch < width || source_pitch < width ||
      !is_end_of_copy(s, target, target_pitch * (height - 1) + width, to_device, any) ||
      !is_end_of_copy(s, source, source_pitch * (height - 1) + width, from_device, any))
    return result(cudaErrorInvalidValue);

  std::set<int> devices;
  for (const int device : {owner(s, target), owner(s, source)})
    if (device >= 0) devices.insert(device);
  const auto* from = static_cast<const unsigned char*>(source);
  std::shared_ptr<std::vector<unsigned char>> staged;
  if (owner(s, source) < 0 && find_pinned(s, source) == nullptr)
    staged = std::make_shared<std::vector<unsigned char>>(
        from, from + source_pitch * (height - 1) + width);
  for (const void* end : {const_cast<const void*>(target), source})
    if (Pinned* pinned = find_pinned(s, end)) ++pinned->copies;
  bool done = false;
  const bool waits = owner(s, target) < 0 && find_pinned(s, target) == nullptr;
  add(s, stream,
      {[=, &s, mark = waits ? &done : nullptr] {
         ++s.operations;
         const unsigned char* rows = staged ? staged->data() : from;
         for (std::size_t row = 0; row < height; ++row)
           std::memcpy(static_cast<unsigned char*>(target) + row * target_pitch,
                       rows + row * source_pitch, width);
         for (const void* end : {const_cast<const void*>(target), source})
           if (Pinned* pinned = find_pinned(s, end)) --pinned->copies;
         if (mark != nullptr) *mark = true;
       },
       devices});
  if (waits) work_until(s, [&] { return done; });
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* target, const void* source, std::size_t bytes,
                            cudaMemcpyKind kind, cudaStream_t stream) {
  return cudaMemcpy2DAsync(target, bytes, source, bytes, bytes, 1, kind, stream);
}

cudaError_t cudaMemsetAsync(void* target, int value, std::size_t bytes, cudaStream_t stream) {
  {
    State& s = state();
    const std::lock_guard lock(s.mutex);
    const int device = owner(s, target);
    if (device < 0 || !within_an_allocation(s, device, target, bytes))
      return result(cudaErrorInvalidValue);
  }
  return enqueue(stream, [target, value, bytes] { std::memset(target, value, bytes); });
}
