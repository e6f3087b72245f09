// The CUDA runtime on the host, as strict as its documentation allows a real one to be:
//
// - Work waits in the queues of its streams until somebody waits for it. Then streams are taken in
// a
//   seeded random order, which only the order within a stream and events restrict, so that a
//   missing dependency shows as a wrong result. Blocks, and threads of a block, change order too.
// - Each device has memory of its own, a range of addresses that the host can reach only while work
//   is being done, and another device's work only where peer access was enabled. New memory holds
//   NaN. Guard bytes behind each allocation are checked when it is freed.
// - Copies from pinned memory read it when they are done, not when they are asked for.

#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "cuda_on_host.hpp"
#include "fibers.hpp"

uint3 threadIdx{};
uint3 blockIdx{};
dim3 blockDim{};
dim3 gridDim{};

namespace exitwave::cuda {
// What csrc/cuda declares as the shared memory of a block.
alignas(16) unsigned char shared_bytes[std::size_t(48) << 10];
}  // namespace exitwave::cuda

namespace cuda_on_host {

struct Event {
  long asked = 0;  // number of the last record
  long done = 0;
};

struct Task {
  std::function<void()> work;
  std::set<int> devices;  // whose memory it may touch
  const Event* wait = nullptr;
  long wait_for = 0;
};

struct Stream {
  int device = 0;
  std::deque<Task> tasks;

  bool ready() const {
    return !tasks.empty() &&
           (tasks.front().wait == nullptr || tasks.front().wait->done >= tasks.front().wait_for);
  }
};

namespace {

constexpr std::size_t kRange = std::size_t(8) << 30;  // addresses of a device
constexpr std::size_t kUnit = 256;
constexpr std::size_t kGuard = 256;
constexpr unsigned char kGuardByte = 0xA5;
constexpr int kNewMemory = 0xFF;  // NaN as float or double, -1 as int
constexpr unsigned kMostThreads = 1024;
constexpr unsigned kMostBlocks = 65535;
constexpr std::size_t kMostShared = std::size_t(48) << 10;

struct Device {
  unsigned char* base = nullptr;
  std::map<std::size_t, std::size_t> allocated;  // offset -> bytes
  std::size_t in_use = 0;
  std::set<int> peers;
  bool broken = false;
};

struct State {
  std::mutex mutex;
  Options options;
  std::vector<Device> devices;
  std::vector<std::unique_ptr<Stream>> streams;
  std::map<const unsigned char*, std::size_t> pinned;
  std::mt19937 random;
  std::set<int> open;  // devices whose memory can be reached now
  long operations = 0;
};

[[noreturn]] void fatal(const std::string& what) {
  std::fprintf(stderr, "cuda_on_host: %s\n", what.c_str());
  std::abort();
}

void start(State& s, const Options& options) {
  for (const Device& device : s.devices) {
    if (!device.allocated.empty()) fatal("configured while memory is allocated");
    munmap(device.base, kRange);
  }
  s.options = options;
  s.random.seed(options.seed);
  s.devices.assign(std::size_t(options.devices), Device{});
  for (Device& device : s.devices) {
    const int access = options.guarded ? PROT_NONE : PROT_READ | PROT_WRITE;
    void* base = mmap(nullptr, kRange, access, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED) fatal("no address range for a device");
    device.base = static_cast<unsigned char*>(base);
  }
}

Options options_of_environment() {
  Options options;
  const char* text = std::getenv("EXITWAVE_CUDA_ON_HOST");
  const auto number = [&](const std::string& name, long otherwise) {
    const char* at = text == nullptr ? nullptr : std::strstr(text, (name + "=").c_str());
    return at == nullptr ? otherwise : std::atol(at + name.size() + 1);
  };
  options.devices = int(number("devices", options.devices));
  options.memory = std::size_t(number("memory", long(options.memory)));
  options.peers = number("peers", options.peers) != 0;
  options.seed = unsigned(number("seed", long(options.seed)));
  options.guarded = number("guarded", options.guarded) != 0;
  return options;
}

State& state() {
  static State* s = [] {
    auto* made = new State;  // never destroyed: threads may outlive main
    start(*made, options_of_environment());
    return made;
  }();
  return *s;
}

thread_local int current = 0;
thread_local cudaError_t last_error = cudaSuccess;

cudaError_t result(cudaError_t error) {
  if (error != cudaSuccess) last_error = error;
  return error;
}

bool exists(const State& s, int device) { return device >= 0 && device < int(s.devices.size()); }

cudaError_t health(const State& s, int device) {
  if (!exists(s, device)) return s.devices.empty() ? cudaErrorNoDevice : cudaErrorInvalidDevice;
  return s.devices[std::size_t(device)].broken ? cudaErrorECCUncorrectable : cudaSuccess;
}

// --- memory
// ---------------------------------------------------------------------------------------

void protect(State& s, int device, int access) {
  if (s.options.guarded) mprotect(s.devices[std::size_t(device)].base, kRange, access);
}

// Memory of exactly these devices can be reached.
void open_only(State& s, const std::set<int>& wanted) {
  for (const int device : s.open)
    if (!wanted.contains(device)) protect(s, device, PROT_NONE);
  for (const int device : wanted)
    if (!s.open.contains(device)) protect(s, device, PROT_READ | PROT_WRITE);
  s.open = wanted;
}

// The device that owns an address, or -1.
int owner(const State& s, const void* pointer) {
  const auto* at = static_cast<const unsigned char*>(pointer);
  for (std::size_t d = 0; d < s.devices.size(); ++d)
    if (at >= s.devices[d].base && at < s.devices[d].base + kRange) return int(d);
  return -1;
}

bool within_an_allocation(const State& s, int device, const void* pointer, std::size_t bytes) {
  const Device& d = s.devices[std::size_t(device)];
  const auto offset = std::size_t(static_cast<const unsigned char*>(pointer) - d.base);
  auto after = d.allocated.upper_bound(offset);
  if (after == d.allocated.begin()) return false;
  --after;
  return offset + bytes <= after->first + after->second;
}

bool is_pinned(const State& s, const void* pointer) {
  const auto* at = static_cast<const unsigned char*>(pointer);
  auto after = s.pinned.upper_bound(at);
  if (after == s.pinned.begin()) return false;
  --after;
  return at < after->first + after->second;
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

// --- work
// -----------------------------------------------------------------------------------------

std::set<int> reach(const State& s, int device) {
  std::set<int> devices = s.devices[std::size_t(device)].peers;
  devices.insert(device);
  return devices;
}

void do_next(State& s, Stream& stream) {
  const Task task = std::move(stream.tasks.front());
  stream.tasks.pop_front();
  if (!task.work) return;
  if (!task.devices.empty()) open_only(s, task.devices);
  task.work();
}

// Does queued work in random order until `done` holds.
template <class Done>
void work_until(State& s, const Done& done) {
  while (!done()) {
    std::vector<Stream*> ready;
    for (const auto& stream : s.streams)
      if (stream->ready()) ready.push_back(stream.get());
    if (ready.empty()) fatal("streams wait for events that nobody will record");
    Stream& chosen = *ready[s.random() % ready.size()];
    for (unsigned left = 1 + s.random() % 4; left > 0 && chosen.ready() && !done(); --left)
      do_next(s, chosen);
  }
  open_only(s, {});
}

void add(State& s, Stream* stream, Task task) {
  stream->tasks.push_back(std::move(task));
  // Now and then a stream runs ahead, as it would on an idle device.
  if (s.random() % 8 != 0) return;
  while (stream->ready()) do_next(s, *stream);
  open_only(s, {});
}

Stream* valid(const State& s, cudaStream_t stream) {
  for (const auto& known : s.streams)
    if (known.get() == stream) return stream;
  return nullptr;
}

void run_block(const cudaLaunchConfig_t& config, bool reverse,
               const std::function<void()>& kernel) {
  const unsigned threads = config.blockDim.x * config.blockDim.y * config.blockDim.z;
  const auto thread = [&](int number) {
    const unsigned i = unsigned(number);
    const auto set_index = [&] {
      threadIdx = {i % config.blockDim.x, i / config.blockDim.x % config.blockDim.y,
                   i / (config.blockDim.x * config.blockDim.y)};
    };
    set_index();
    kernel();
  };
  if (config.dynamicSmemBytes > 0) {
    std::memset(exitwave::cuda::shared_bytes, kNewMemory, kMostShared);
    return run_together(int(threads), reverse, thread);
  }
  for (unsigned i = 0; i < threads; ++i) thread(int(reverse ? threads - 1 - i : i));
}

void run_grid(State& s, const cudaLaunchConfig_t& config, const std::function<void()>& kernel) {
  gridDim = config.gridDim;
  blockDim = config.blockDim;
  const std::size_t blocks =
      std::size_t(gridDim.x) * std::size_t(gridDim.y) * std::size_t(gridDim.z);
  const std::size_t first = s.random() % blocks;
  const bool reverse = s.random() % 2 != 0;
  for (std::size_t n = 0; n < blocks; ++n) {
    const std::size_t b = ((reverse ? blocks - 1 - n : n) + first) % blocks;
    blockIdx = {unsigned(b % gridDim.x), unsigned(b / gridDim.x % gridDim.y),
                unsigned(b / gridDim.x / gridDim.y)};
    run_block(config, reverse, kernel);
  }
}

bool fits(const cudaLaunchConfig_t& c) {
  const auto product = std::size_t(c.blockDim.x) * c.blockDim.y * c.blockDim.z;
  return product > 0 && product <= kMostThreads && c.gridDim.x > 0 && c.gridDim.y > 0 &&
         c.gridDim.z > 0 && c.gridDim.x <= 0x7FFFFFFFU && c.gridDim.y <= kMostBlocks &&
         c.gridDim.z <= kMostBlocks && c.dynamicSmemBytes <= kMostShared;
}

}  // namespace

void configure(const Options& options) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  start(s, options);
}

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

cudaError_t enqueue(cudaStream_t stream, std::function<void()> work) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  if (valid(s, stream) == nullptr) return result(cudaErrorInvalidResourceHandle);
  if (const cudaError_t error = health(s, stream->device)) return result(error);
  add(s, stream,
      {[&s, work = std::move(work)] {
         ++s.operations;
         work();
       },
       reach(s, stream->device)});
  return cudaSuccess;
}

cudaError_t launch(const cudaLaunchConfig_t& config, std::function<void()> kernel) {
  State& s = state();
  if (!fits(config)) return result(cudaErrorInvalidConfiguration);
  if (config.stream != nullptr && config.stream->device != current)
    return result(cudaErrorInvalidResourceHandle);
  return enqueue(config.stream,
                 [&s, config, kernel = std::move(kernel)] { run_grid(s, config, kernel); });
}

}  // namespace cuda_on_host

using namespace cuda_on_host;

void __syncthreads() {
  const uint3 self = threadIdx;
  wait_for_all();
  threadIdx = self;
}

unsigned __ballot_sync(unsigned, int predicate) {
  static unsigned votes[kMostThreads / 32];
  const unsigned thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
  const unsigned bit = 1U << (thread % 32);
  unsigned& votes_of_warp = votes[thread / 32];
  votes_of_warp = predicate ? votes_of_warp | bit : votes_of_warp & ~bit;
  __syncthreads();
  const unsigned seen = votes_of_warp;
  __syncthreads();
  return seen;
}

cudaError_t cudaGetDeviceCount(int* count) {
  State& s = state();
  *count = int(s.devices.size());
  return result(*count == 0 ? cudaErrorNoDevice : cudaSuccess);
}

cudaError_t cudaSetDevice(int device) {
  State& s = state();
  if (!exists(s, device)) return result(cudaErrorInvalidDevice);
  current = device;
  return cudaSuccess;
}

cudaError_t cudaGetDevice(int* device) {
  *device = current;
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
  if (!exists(s, peer) || peer == current || !s.options.peers)
    return result(cudaErrorInvalidDevice);
  if (!s.devices[std::size_t(current)].peers.insert(peer).second)
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

cudaError_t cudaGetLastError() { return std::exchange(last_error, cudaSuccess); }

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

cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  if (const cudaError_t error = health(s, current)) return result(error);
  *total = s.options.memory;
  *free = s.options.memory - s.devices[std::size_t(current)].in_use;
  return cudaSuccess;
}

cudaError_t cudaMalloc(void** pointer, std::size_t bytes) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  if (const cudaError_t error = health(s, current)) return result(error);
  Device& device = s.devices[std::size_t(current)];
  if (bytes > s.options.memory - device.in_use) return result(cudaErrorMemoryAllocation);
  const std::size_t at = place(device, rounded(bytes) + kGuard);
  if (at + rounded(bytes) + kGuard > kRange) return result(cudaErrorMemoryAllocation);
  device.allocated[at] = bytes;
  device.in_use += bytes;
  open_only(s, {current});
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
  if (const cudaError_t error = health(s, current)) return result(error);
  *pointer = std::aligned_alloc(kUnit, rounded(bytes));
  if (*pointer == nullptr) return result(cudaErrorMemoryAllocation);
  std::memset(*pointer, kNewMemory, bytes);
  s.pinned[static_cast<const unsigned char*>(*pointer)] = bytes;
  return cudaSuccess;
}

cudaError_t cudaFreeHost(void* pointer) {
  if (pointer == nullptr) return cudaSuccess;
  State& s = state();
  const std::lock_guard lock(s.mutex);
  if (s.pinned.erase(static_cast<const unsigned char*>(pointer)) == 0)
    return result(cudaErrorInvalidValue);
  work_until(s, [&] {
    return std::all_of(s.streams.begin(), s.streams.end(),
                       [](const auto& stream) { return stream->tasks.empty(); });
  });
  std::free(pointer);
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

cudaError_t cudaMemcpyAsync(void* target, const void* source, std::size_t bytes,
                            cudaMemcpyKind kind, cudaStream_t stream) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  if (valid(s, stream) == nullptr) return result(cudaErrorInvalidResourceHandle);
  if (const cudaError_t error = health(s, stream->device)) return result(error);
  const bool any = kind == cudaMemcpyDefault;
  const bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  const bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  if (!is_end_of_copy(s, target, bytes, to_device, any) ||
      !is_end_of_copy(s, source, bytes, from_device, any))
    return result(cudaErrorInvalidValue);
  if (bytes == 0) return cudaSuccess;

  std::set<int> devices;
  for (const int device : {owner(s, target), owner(s, source)})
    if (device >= 0) devices.insert(device);
  std::shared_ptr<std::vector<unsigned char>> staged;
  if (owner(s, source) < 0 && !is_pinned(s, source)) {
    const auto* from = static_cast<const unsigned char*>(source);
    staged = std::make_shared<std::vector<unsigned char>>(from, from + bytes);
  }
  bool done = false;
  const bool waits = owner(s, target) < 0 && !is_pinned(s, target);
  add(s, stream,
      {[&s, target, source, bytes, staged, mark = waits ? &done : nullptr] {
         ++s.operations;
         std::memcpy(target, staged ? staged->data() : source, bytes);
         if (mark != nullptr) *mark = true;
       },
       devices});
  if (waits) work_until(s, [&] { return done; });
  return cudaSuccess;
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

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  if (flags != cudaStreamNonBlocking) fatal("only streams that the default stream does not block");
  if (const cudaError_t error = health(s, current)) return result(error);
  s.streams.push_back(std::make_unique<Stream>());
  s.streams.back()->device = current;
  *stream = s.streams.back().get();
  return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  if (valid(s, stream) == nullptr) return result(cudaErrorInvalidResourceHandle);
  work_until(s, [&] { return stream->tasks.empty(); });
  std::erase_if(s.streams, [&](const auto& known) { return known.get() == stream; });
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  if (valid(s, stream) == nullptr) return result(cudaErrorInvalidResourceHandle);
  if (const cudaError_t error = health(s, stream->device)) return result(error);
  work_until(s, [&] { return stream->tasks.empty(); });
  return cudaSuccess;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  if (valid(s, stream) == nullptr) return result(cudaErrorInvalidResourceHandle);
  if (event->done < event->asked) add(s, stream, {{}, {}, event, event->asked});
  return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new Event;
  return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  work_until(s, [&] { return event->done >= event->asked; });
  // Waits for it that are still queued hold.
  for (const auto& stream : s.streams)
    for (Task& task : stream->tasks)
      if (task.wait == event) task.wait = nullptr;
  delete event;
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  if (valid(s, stream) == nullptr) return result(cudaErrorInvalidResourceHandle);
  const long number = ++event->asked;
  add(s, stream, {[event, number] { event->done = std::max(event->done, number); }, {}});
  return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  work_until(s, [&] { return event->done >= event->asked; });
  return cudaSuccess;
}
