#include "cpu/fft_floor.hpp"

#include <chrono>

#include "core/host_memory.hpp"
#include "core/images.hpp"
#include "core/thread_pool.hpp"
#include "cpu/fft.hpp"

namespace exitwave {

double time_transforms(int ny, int nx, int images, int threads) {
  const auto plan = fft_plan(ny, nx, FftMaker::library);
  HostMemory memory("host memory", true, 0);
  Images<Complex> image(memory, {threads, 1, ny, nx});
  ThreadPool pool(threads);
  const auto work = [&](int member) {
    Complex* data = image.view().at(Pixel{member, 0, 0, 0});
    const int first = int(long(images) * member / threads);
    const int last = int(long(images) * (member + 1) / threads);
    for (int i = first; i < last; ++i) {
      plan->execute(data, Direction::forward);
      plan->execute(data, Direction::backward);
    }
  };
  pool.run(work);
  const auto began = std::chrono::steady_clock::now();
  pool.run(work);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
}

}  // namespace exitwave
