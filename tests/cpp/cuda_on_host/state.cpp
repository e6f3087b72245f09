#include "state.hpp"

#include <sys/mman.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace cuda_on_host {

namespace {

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
  options.pinnable = number("pinnable", options.pinnable) != 0;
  options.seed = unsigned(number("seed", long(options.seed)));
  options.guarded = number("guarded", options.guarded) != 0;
  return options;
}

void protect(State& s, int device, int access) {
  if (s.options.guarded) mprotect(s.devices[std::size_t(device)].base, kRange, access);
}

void do_next(State& s, Stream& stream) {
  const Task task = std::move(stream.tasks.front());
  stream.tasks.pop_front();
  if (!task.work) return;
  if (!task.devices.empty()) open_only(s, task.devices);
  task.work();
}

}  // namespace

void fatal(const std::string& what) {
  std::fprintf(stderr, "cuda_on_host: %s\n", what.c_str());
  std::abort();
}

State& state() {
  static State* s = [] {
    auto* made = new State;  // never destroyed: threads may outlive main
    start(*made, options_of_environment());
    return made;
  }();
  return *s;
}

int& current_device() {
  static thread_local int current = 0;
  return current;
}

cudaError_t& last_error() {
  static thread_local cudaError_t error = cudaSuccess;
  return error;
}

cudaError_t result(cudaError_t error) {
  if (error != cudaSuccess) last_error() = error;
  return error;
}

bool exists(const State& s, int device) { return device >= 0 && device < int(s.devices.size()); }

cudaError_t health(const State& s, int device) {
  if (!exists(s, device)) return s.devices.empty() ? cudaErrorNoDevice : cudaErrorInvalidDevice;
  return s.devices[std::size_t(device)].broken ? cudaErrorECCUncorrectable : cudaSuccess;
}

void open_only(State& s, const std::set<int>& wanted) {
  for (const int device : s.open)
    if (!wanted.contains(device)) protect(s, device, PROT_NONE);
  for (const int device : wanted)
    if (!s.open.contains(device)) protect(s, device, PROT_READ | PROT_WRITE);
  s.open = wanted;
}

int owner(const State& s, const void* pointer) {
  const auto* at = static_cast<const unsigned char*>(pointer);
  for (std::size_t d = 0; d < s.devices.size(); ++d)
    if (at >= s.devices[d].base && at < s.devices[d].base + kRange) return int(d);
  return -1;
}

std::set<int> reach(const State& s, int device) {
  std::set<int> devices = s.devices[std::size_t(device)].peers;
  devices.insert(device);
  return devices;
}

Stream* valid(const State& s, cudaStream_t stream) {
  for (const auto& known : s.streams)
    if (known.get() == stream) return stream;
  return nullptr;
}

void add(State& s, Stream* stream, Task task) {
  stream->tasks.push_back(std::move(task));
  // Now and then a stream runs ahead, as it would on an idle device.
  if (s.random() % 8 != 0) return;
  while (stream->ready()) do_next(s, *stream);
  open_only(s, {});
}

void work_until(State& s, const std::function<bool()>& done) {
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

void configure(const Options& options) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  start(s, options);
}

}  // namespace cuda_on_host
