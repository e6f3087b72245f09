#include "fibers.hpp"

#include <setjmp.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

namespace cuda_on_host {

namespace {

constexpr std::size_t kStackBytes = std::size_t(256) << 10;

// A thread of a block. Its stack is kept from block to block: between blocks it waits in its loop.
struct Fiber {
  ucontext_t start;
  jmp_buf resume;
  void* stack = nullptr;
  void* sanitizer = nullptr;  // what a sanitizer remembers of it
  int number = 0;
  bool started = false;
  bool waits = false;
};

std::vector<std::unique_ptr<Fiber>> fibers;
const std::function<void(int)>* work = nullptr;
Fiber* running = nullptr;
jmp_buf host;
[[maybe_unused]] void* host_sanitizer = nullptr;
[[maybe_unused]] const void* host_stack = nullptr;
[[maybe_unused]] std::size_t host_stack_bytes = 0;

void leaving(Fiber* to) {
#if defined(__SANITIZE_ADDRESS__)
  if (to != nullptr)
    __sanitizer_start_switch_fiber(&host_sanitizer, to->stack, kStackBytes);
  else
    __sanitizer_start_switch_fiber(&running->sanitizer, host_stack, host_stack_bytes);
#elif defined(__SANITIZE_THREAD__)
  if (to != nullptr && to->sanitizer == nullptr) to->sanitizer = __tsan_create_fiber(0);
  if (to != nullptr) host_sanitizer = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(to != nullptr ? to->sanitizer : host_sanitizer, 0);
#else
  (void)to;
#endif
}

void arrived(Fiber* at) {
#if defined(__SANITIZE_ADDRESS__)
  if (at != nullptr)
    __sanitizer_finish_switch_fiber(at->sanitizer, &host_stack, &host_stack_bytes);
  else
    __sanitizer_finish_switch_fiber(host_sanitizer, nullptr, nullptr);
#else
  (void)at;
#endif
}

void back_to_host() {
  Fiber* self = running;
  if (_setjmp(self->resume) != 0) return arrived(self);
  leaving(nullptr);
  _longjmp(host, 1);
}

void loop() {
  arrived(running);
  while (true) {
    running->waits = false;
    (*work)(running->number);
    running->waits = false;
    back_to_host();
  }
}

Fiber& fiber(int number) {
  while (int(fibers.size()) <= number) {
    auto made = std::make_unique<Fiber>();
    made->number = int(fibers.size());
    made->stack = mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (made->stack == MAP_FAILED) std::abort();
    getcontext(&made->start);
    made->start.uc_stack.ss_sp = made->stack;
    made->start.uc_stack.ss_size = kStackBytes;
    made->start.uc_link = nullptr;
    makecontext(&made->start, loop, 0);
    fibers.push_back(std::move(made));
  }
  return *fibers[std::size_t(number)];
}

// Until it waits or is done.
void resume(Fiber& f) {
  running = &f;
  if (_setjmp(host) == 0) {
    leaving(&f);
    if (f.started) _longjmp(f.resume, 1);
    f.started = true;
    setcontext(&f.start);
  }
  arrived(nullptr);
  running = nullptr;
}

}  // namespace

void run_together(int threads, bool reverse, const std::function<void(int)>& thread) {
  work = &thread;
  int waiting = 0;
  do {
    waiting = 0;
    for (int i = 0; i < threads; ++i) {
      Fiber& f = fiber(reverse ? threads - 1 - i : i);
      resume(f);
      waiting += f.waits ? 1 : 0;
    }
    if (waiting != 0 && waiting != threads) {
      std::fprintf(stderr, "cuda_on_host: %d of %d threads of a block wait for the others\n",
                   waiting, threads);
      std::abort();
    }
  } while (waiting != 0);
}

void wait_for_all() {
  if (running == nullptr) {
    std::fprintf(stderr,
                 "cuda_on_host: threads wait for each other in a launch without shared memory\n");
    std::abort();
  }
  running->waits = true;
  back_to_host();
  running->waits = false;
}

}  // namespace cuda_on_host
