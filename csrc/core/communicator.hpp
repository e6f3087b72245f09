#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

namespace exitwave {

// Moves bytes between the processes (ranks) of a run. All ranks make the same calls in the same
// order, from one thread at a time.
class Communicator {
 public:
  struct Message {
    int rank;  // the other end
    void* data;
    std::size_t bytes;
    bool sent;  // else received
  };

  virtual ~Communicator() = default;

  // Starts messages. Those from one rank to another arrive in the order in which both name them.
  virtual void start(const std::vector<Message>& messages) = 0;
  // Waits for all messages that were started.
  virtual void finish() = 0;
  // Each rank has filled its stretch of `values`, counts[rank] long; fills in those of the others.
  virtual void gather(std::vector<double>& values, const std::vector<int>& counts) = 0;
  // True where messages may lie in the memory of devices.
  virtual bool reaches_devices() const = 0;
};

// Who holds which parts of a scan. The parts of a rank follow each other.
struct Ranks {
  Communicator* communicator = nullptr;  // none: this process holds all parts
  int rank = 0;
  std::vector<int> first_part;  // of each rank, and after them the number of parts

  int rank_of(int part) const {
    const auto after = std::upper_bound(first_part.begin(), first_part.end(), part);
    return int(after - first_part.begin()) - 1;
  }
};

}  // namespace exitwave
