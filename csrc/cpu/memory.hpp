#pragma once

#include <atomic>
#include <string>
#include <utility>

#include "core/memory.hpp"

namespace exitwave {

// Memory of the host. `limit` bytes at most (0: no limit). With `shared_with_host` false it stands
// in for a device of its own: arrays must be copied there and back. With `planning` it only counts.
class HostMemory final : public Memory {
 public:
  HostMemory(std::string name, bool shared_with_host, std::size_t limit, bool planning = false)
      : name_(std::move(name)), shared_(shared_with_host), planning_(planning), limit_(limit) {}

  void* allocate(std::size_t bytes) override;
  void deallocate(void* pointer, std::size_t bytes) noexcept override;
  void copy_from_host(void* target, const void* source, std::size_t bytes) override;
  void copy_to_host(void* target, const void* source, std::size_t bytes) override;
  void set_zero(void* target, std::size_t bytes) override;
  bool shared_with_host() const override { return shared_; }
  bool planning() const override { return planning_; }
  const std::string& name() const override { return name_; }
  std::size_t bytes_in_use() const override { return in_use_; }
  std::size_t peak_bytes() const override { return peak_; }

 private:
  std::string name_;
  bool shared_;
  bool planning_;
  std::size_t limit_;
  std::atomic<std::size_t> in_use_{0};
  std::atomic<std::size_t> peak_{0};
};

}  // namespace exitwave
