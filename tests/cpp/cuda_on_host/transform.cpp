// Transforms of any size by splitting off prime factors, in double precision; also behind the part
// of FFTW's interface that the CPU uses, for machines that have no FFT library.
#include "transform.hpp"

#include <algorithm>
#include <complex>
#include <cstddef>
#include <map>
#include <mutex>
#include <numbers>
#include <utility>
#include <vector>

namespace cuda_on_host {

namespace {

using Value = std::complex<double>;

int smallest_factor(int n) {
  for (int p = 2; p * p <= n; ++p)
    if (n % p == 0) return p;
  return n;
}

// exp(i turn k / n), kept.
const std::vector<Value>& roots_of(int n, double turn) {
  static std::map<std::pair<int, double>, std::vector<Value>> known;
  std::vector<Value>& roots = known[{n, turn}];
  if (roots.empty())
    for (int k = 0; k < n; ++k) roots.push_back(std::polar(1.0, turn * k / n));
  return roots;
}

// n values at `from`, `stride` apart; `turn` is -1 or 1 times 2 pi.
std::vector<Value> transform(const Value* from, int n, int stride, double turn) {
  if (n == 1) return {from[0]};
  const int p = smallest_factor(n);
  const int m = n / p;
  std::vector<std::vector<Value>> parts;
  for (int i = 0; i < p; ++i)
    parts.push_back(transform(from + std::ptrdiff_t(i) * stride, m, stride * p, turn));
  const std::vector<Value>& roots = roots_of(n, turn);
  std::vector<Value> result(static_cast<std::size_t>(n));
  for (int k = 0; k < n; ++k)
    for (int i = 0; i < p; ++i)
      result[std::size_t(k)] +=
          roots[std::size_t(long(i) * k % n)] * parts[std::size_t(i)][std::size_t(k % m)];
  return result;
}

}  // namespace

void transform_image(float* image, int ny, int nx, int sign) {
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  const double turn = sign * 2 * std::numbers::pi;
  std::vector<Value> all(std::size_t(ny) * std::size_t(nx));
  for (std::size_t i = 0; i < all.size(); ++i)
    all[i] = {double(image[2 * i]), double(image[2 * i + 1])};
  for (int y = 0; y < ny; ++y) {
    Value* row = all.data() + std::ptrdiff_t(y) * nx;
    const std::vector<Value> t = transform(row, nx, 1, turn);
    std::copy(t.begin(), t.end(), row);
  }
  for (int x = 0; x < nx; ++x) {
    const std::vector<Value> t = transform(all.data() + x, ny, nx, turn);
    for (int y = 0; y < ny; ++y)
      all[std::size_t(y) * std::size_t(nx) + std::size_t(x)] = t[std::size_t(y)];
  }
  for (std::size_t i = 0; i < all.size(); ++i) {
    image[2 * i] = float(all[i].real());
    image[2 * i + 1] = float(all[i].imag());
  }
}

}  // namespace cuda_on_host

namespace {

struct HostPlan {
  int ny;
  int nx;
  int sign;
};

}  // namespace

extern "C" {

extern const char fftwf_version[];  // or else a constant is not exported
const char fftwf_version[] = "a stand-in for tests";

void* fftwf_plan_dft_2d(int ny, int nx, float*, float*, int sign, unsigned) {
  return new HostPlan{ny, nx, sign};
}
void fftwf_execute_dft(void* plan, float* image, float*) {
  const auto* p = static_cast<const HostPlan*>(plan);
  cuda_on_host::transform_image(image, p->ny, p->nx, p->sign);
}
void fftwf_destroy_plan(void* plan) { delete static_cast<HostPlan*>(plan); }
int fftwf_import_wisdom_from_filename(const char*) { return 0; }
int fftwf_export_wisdom_to_filename(const char*) { return 0; }

}  // extern "C"
