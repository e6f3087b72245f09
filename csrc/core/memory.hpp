#pragma once

#include <atomic>
#include <cstddef>
#include <map>
#include <string>
#include <utility>

#include "core/place.hpp"

namespace exitwave {

// Rows of `bytes` each, whose beginnings are `target_pitch` and `source_pitch` bytes apart.
struct Rows {
  std::size_t bytes;
  std::size_t count;
  std::size_t target_pitch;
  std::size_t source_pitch;

  static Rows one(std::size_t bytes) { return {bytes, 1, bytes, bytes}; }
};

// Where buffers live. Engines reach arrays through Buffer on every device, the CPU included. What
// is taken is counted here, whatever the memory; subclasses only take, give back and copy.
class Memory {
 public:
  // `limit`: bytes at most, 0: no limit. With `planning` bytes are only counted, without a limit:
  // nothing is taken, and copies do nothing. `device`: number of the GPU whose memory it is.
  Memory(std::string name, bool shared_with_host, std::size_t limit, bool planning,
         int device = kOnHost)
      : name_(std::move(name)),
        shared_(shared_with_host),
        limit_(limit),
        planning_(planning),
        device_(device) {}
  virtual ~Memory() = default;
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  // Aligned to 64 bytes. Throws OutOfMemory, which names the bytes asked for.
  void* allocate(std::size_t bytes);
  void deallocate(void* pointer, std::size_t bytes) noexcept;
  // Counts what is taken elsewhere until this goes.
  void reserve(const char* use, std::size_t bytes);
  void copy_from_host(void* target, const void* source, std::size_t bytes) {
    if (!planning_) write(target, source, bytes);
  }
  void copy_to_host(void* target, const void* source, std::size_t bytes) {
    if (!planning_) read(target, source, bytes);
  }
  void set_zero(void* target, std::size_t bytes) {
    if (!planning_) clear(target, bytes);
  }

  // The other end is the caller's: in the host's memory, or where this is a GPU's in that of any
  // GPU. Done when the call returns.
  void copy_rows_in(void* target, const void* source, const Rows& rows) {
    if (!planning_) write_rows(target, source, rows);
  }
  void copy_rows_out(void* target, const void* source, const Rows& rows) {
    if (!planning_) read_rows(target, source, rows);
  }
  // Returns when all that was given to lanes and to this memory is done.
  virtual void finish() {}
  // Pins what somebody else has taken of the host's memory, so that devices copy from it without
  // waiting; false where that cannot be done, or is no use. What was pinned must be let go.
  virtual bool pin(const void*, std::size_t) { return false; }
  virtual void let_go(const void*) noexcept {}

  const std::string& name() const { return name_; }
  // True where the host and all lanes see the same bytes, so that nothing needs to be copied.
  bool shared_with_host() const { return shared_; }
  bool planning() const { return planning_; }
  // Number of the GPU, or kOnHost.
  int device() const { return device_; }
  // Whether lanes here work on a caller's array where it is: on this GPU, or kOnHost.
  bool reaches(int place) const { return place == device_ && (shared_ || device_ != kOnHost); }
  std::size_t bytes_in_use() const { return in_use_; }
  std::size_t peak_bytes() const { return peak_; }

  // What is allocated from now on is used for.
  void account(const char* use) { use_ = use; }
  // Bytes allocated for each use since the beginning.
  const std::map<std::string, std::size_t>& uses() const { return uses_; }

 protected:
  // Throws OutOfMemory where there is none left.
  virtual void* take(std::size_t bytes) = 0;
  virtual void give_back(void* pointer) noexcept = 0;
  virtual void write(void* target, const void* source, std::size_t bytes) = 0;
  virtual void read(void* target, const void* source, std::size_t bytes) = 0;
  virtual void clear(void* target, std::size_t bytes) = 0;
  virtual void write_rows(void* target, const void* source, const Rows& rows) = 0;
  virtual void read_rows(void* target, const void* source, const Rows& rows) = 0;

 private:
  // Throws OutOfMemory where it goes beyond the limit.
  void count(std::size_t bytes);
  void note(std::size_t bytes);

  std::string name_;
  bool shared_;
  std::size_t limit_;
  bool planning_;
  int device_;
  std::atomic<std::size_t> in_use_{0};
  std::atomic<std::size_t> peak_{0};
  std::string use_ = "other";
  std::map<std::string, std::size_t> uses_;
};

}  // namespace exitwave
