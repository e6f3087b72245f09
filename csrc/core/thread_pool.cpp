#include "core/thread_pool.hpp"

namespace exitwave {

namespace {
// Phases of an iteration follow each other within microseconds; sleeping would cost more.
constexpr int kSpins = 2000;

inline void relax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#endif
}
}  // namespace

ThreadPool::ThreadPool(int threads) {
  for (int member = 1; member < threads; ++member)
    workers_.emplace_back([this, member] { wait_for_work(member); });
}

ThreadPool::~ThreadPool() {
  stop_ = true;
  ++round_;
  round_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::run(const std::function<void(int)>& work) {
  work_ = &work;
  error_ = nullptr;
  busy_ = std::uint32_t(workers_.size());
  ++round_;
  round_.notify_all();
  work_as(0);
  for (int spin = 0; spin < kSpins && busy_ != 0; ++spin) relax();
  for (std::uint32_t busy = busy_; busy != 0; busy = busy_) busy_.wait(busy);
  if (error_) std::rethrow_exception(error_);
}

void ThreadPool::wait_for_work(int member) {
  std::uint32_t seen = 0;
  while (true) {
    for (int spin = 0; spin < kSpins && round_ == seen; ++spin) relax();
    round_.wait(seen);
    seen = round_;
    if (stop_) return;
    work_as(member);
    if (--busy_ == 0) busy_.notify_all();
  }
}

void ThreadPool::work_as(int member) {
  try {
    (*work_)(member);
  } catch (...) {
    const std::lock_guard lock(error_mutex_);
    if (!error_) error_ = std::current_exception();
  }
}

}  // namespace exitwave
