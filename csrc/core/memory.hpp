#pragma once

#include <atomic>
#include <cstddef>
#include <map>
#include <string>
#include <utility>

namespace exitwave {

// Where buffers live. Engines reach arrays through Buffer on every device, the CPU included. What
// is taken is counted here, whatever the memory; subclasses only take, give back and copy.
class Memory {
 public:
  // `limit`: bytes at most, 0: no limit. With `planning` bytes are only counted, without a limit:
  // nothing is taken, and copies do nothing.
  Memory(std::string name, bool shared_with_host, std::size_t limit, bool planning)
      : name_(std::move(name)), shared_(shared_with_host), limit_(limit), planning_(planning) {}
  virtual ~Memory() = default;
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  // Aligned to 64 bytes. Throws OutOfMemory, which names the bytes asked for.
  void* allocate(std::size_t bytes);
  void deallocate(void* pointer, std::size_t bytes) noexcept;
  void copy_from_host(void* target, const void* source, std::size_t bytes) {
    if (!planning_) write(target, source, bytes);
  }
  void copy_to_host(void* target, const void* source, std::size_t bytes) {
    if (!planning_) read(target, source, bytes);
  }
  void set_zero(void* target, std::size_t bytes) {
    if (!planning_) clear(target, bytes);
  }

  const std::string& name() const { return name_; }
  // True where the host and all lanes see the same bytes, so that nothing needs to be copied.
  bool shared_with_host() const { return shared_; }
  bool planning() const { return planning_; }
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

 private:
  std::string name_;
  bool shared_;
  std::size_t limit_;
  bool planning_;
  std::atomic<std::size_t> in_use_{0};
  std::atomic<std::size_t> peak_{0};
  std::string use_ = "other";
  std::map<std::string, std::size_t> uses_;
};

}  // namespace exitwave
