#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>

namespace exitwave {

// A thread of its own that does jobs in the order in which they come, started with the first.
class JobQueue {
 public:
  using Ticket = std::uint64_t;

  JobQueue() = default;
  // Does what is left.
  ~JobQueue();
  JobQueue(const JobQueue&) = delete;
  JobQueue& operator=(const JobQueue&) = delete;

  Ticket submit(std::function<void()> job);
  // Returns when the job is done. The first exception of any job is thrown again, and jobs after it
  // are not done.
  void wait(Ticket ticket);

 private:
  void work();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> jobs_;
  Ticket submitted_ = 0;
  Ticket done_ = 0;
  bool stop_ = false;
  std::exception_ptr error_;
  std::thread thread_;
};

}  // namespace exitwave
