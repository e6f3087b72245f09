#pragma once

#include <functional>

namespace cuda_on_host {

// work(thread) for the threads of one block, each on a stack of its own, so that wait_for_all() may
// stand anywhere in it. Threads are taken up in the order of their numbers or in reverse.
void run_together(int threads, bool reverse, const std::function<void(int)>& work);

// Inside work: returns when all threads have called it. All must, equally often.
void wait_for_all();

}  // namespace cuda_on_host
