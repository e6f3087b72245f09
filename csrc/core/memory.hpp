#pragma once

#include <cstddef>
#include <map>
#include <string>

namespace exitwave {

// Where buffers live. Engines reach arrays through Buffer on every device, the CPU included.
class Memory {
 public:
  virtual ~Memory() = default;

  // Aligned to 64 bytes. Throws OutOfMemory, which names the bytes asked for.
  virtual void* allocate(std::size_t bytes) = 0;
  virtual void deallocate(void* pointer, std::size_t bytes) noexcept = 0;
  virtual void copy_from_host(void* target, const void* source, std::size_t bytes) = 0;
  virtual void copy_to_host(void* target, const void* source, std::size_t bytes) = 0;
  virtual void set_zero(void* target, std::size_t bytes) = 0;
  // True where the host and all lanes see the same bytes, so that nothing needs to be copied.
  virtual bool shared_with_host() const = 0;
  // True where bytes are only counted: nothing is allocated, and copies do nothing.
  virtual bool planning() const { return false; }

  virtual const std::string& name() const = 0;
  virtual std::size_t bytes_in_use() const = 0;
  virtual std::size_t peak_bytes() const = 0;

  // What is allocated from now on is used for.
  void account(const char* use) { use_ = use; }
  // Bytes allocated for each use since the beginning.
  const std::map<std::string, std::size_t>& uses() const { return uses_; }

 protected:
  void count(std::size_t bytes) { uses_[use_] += bytes; }

 private:
  std::string use_ = "other";
  std::map<std::string, std::size_t> uses_;
};

}  // namespace exitwave
