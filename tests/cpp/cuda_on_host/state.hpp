#pragma once

// The CUDA runtime on the host, as strict as its documentation allows a real one to be:
//
// - Work waits in the queues of its streams until somebody waits for it. Then streams are taken in
//   a seeded random order, which only the order within a stream and events restrict, so that a
//   missing dependency shows as a wrong result. Blocks, and threads of a block, change order too.
// - Each device has memory of its own, a range of addresses that the host can reach only while work
//   is being done, and another device's work only where peer access was enabled. New memory holds
//   NaN. Guard bytes behind each allocation are checked when it is freed.
// - Copies from pinned memory read it when they are done, not when they are asked for.

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "cuda_on_host.hpp"

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

struct Device {
  unsigned char* base = nullptr;
  std::map<std::size_t, std::size_t> allocated;  // offset -> bytes
  std::size_t in_use = 0;
  std::set<int> peers;
  bool broken = false;
};

// Memory of the host that devices copy from without waiting.
struct Pinned {
  std::size_t bytes = 0;
  bool lent = false;  // registered, not allocated
  int copies = 0;     // queued, from there or to there
};

struct State {
  std::mutex mutex;
  Options options;
  std::vector<Device> devices;
  std::vector<std::unique_ptr<Stream>> streams;
  std::map<const unsigned char*, Pinned> pinned;
  std::mt19937 random;
  std::set<int> open;  // devices whose memory can be reached now
  long operations = 0;
};

State& state();
// Of the calling thread.
int& current_device();
cudaError_t& last_error();

[[noreturn]] void fatal(const std::string& what);
cudaError_t result(cudaError_t error);
bool exists(const State& s, int device);
cudaError_t health(const State& s, int device);

constexpr std::size_t kRange = std::size_t(8) << 30;  // addresses of a device
constexpr int kNewMemory = 0xFF;                      // NaN as float or double, -1 as int

// Memory of exactly these devices can be reached.
void open_only(State& s, const std::set<int>& wanted);
// The device that owns an address, or -1.
int owner(const State& s, const void* pointer);

// Devices whose memory work of a device may touch.
std::set<int> reach(const State& s, int device);
// Null for what is no stream.
Stream* valid(const State& s, cudaStream_t stream);
void add(State& s, Stream* stream, Task task);
// Does queued work in random order until `done` holds.
void work_until(State& s, const std::function<bool()>& done);

}  // namespace cuda_on_host
