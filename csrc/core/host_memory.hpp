#pragma once

#include <string>
#include <utility>

#include "core/memory.hpp"

namespace exitwave {

// Memory of the host. With `shared_with_host` false it stands in for a device of its own: arrays
// must be copied there and back.
class HostMemory : public Memory {
 public:
  HostMemory(std::string name, bool shared_with_host, std::size_t limit, bool planning = false)
      : Memory(std::move(name), shared_with_host, limit, planning) {}

 private:
  void* take(std::size_t bytes) override;
  void give_back(void* pointer) noexcept override;
  void write(void* target, const void* source, std::size_t bytes) override;
  void read(void* target, const void* source, std::size_t bytes) override;
  void clear(void* target, std::size_t bytes) override;
  void write_rows(void* target, const void* source, const Rows& rows) override;
  void read_rows(void* target, const void* source, const Rows& rows) override;
};

}  // namespace exitwave
