// Transforms of any size by splitting off prime factors, in double precision. The work area is
// spoilt by each transform, so that nothing else may lie there.
#include "cufft.h"

#include <complex>
#include <cstring>
#include <map>
#include <mutex>
#include <numbers>
#include <vector>

#include "cuda_on_host.hpp"

namespace {

using Value = std::complex<double>;

struct Plan {
  int ny = 0;
  int nx = 0;
  int distance = 0;
  int batch = 0;
  std::size_t work_bytes = 0;
  void* work = nullptr;
  cudaStream_t stream = nullptr;
};

std::mutex mutex;
std::map<cufftHandle, Plan> plans;
int last = 0;

int smallest_factor(int n) {
  for (int p = 2; p * p <= n; ++p)
    if (n % p == 0) return p;
  return n;
}

// exp(i turn k / n), kept: work is done by one thread at a time.
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

void transform_image(cufftComplex* image, int ny, int nx, int sign) {
  const double turn = sign * 2 * std::numbers::pi;
  std::vector<Value> all(std::size_t(ny) * std::size_t(nx));
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = {double(image[i].x), double(image[i].y)};
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
  for (std::size_t i = 0; i < all.size(); ++i)
    image[i] = {float(all[i].real()), float(all[i].imag())};
}

Plan* find(cufftHandle plan) {
  const auto found = plans.find(plan);
  return found == plans.end() ? nullptr : &found->second;
}

}  // namespace

cufftResult cufftCreate(cufftHandle* plan) {
  const std::lock_guard lock(mutex);
  *plan = ++last;
  plans[*plan] = {};
  return CUFFT_SUCCESS;
}

cufftResult cufftDestroy(cufftHandle plan) {
  const std::lock_guard lock(mutex);
  return plans.erase(plan) == 1 ? CUFFT_SUCCESS : CUFFT_INVALID_PLAN;
}

cufftResult cufftSetAutoAllocation(cufftHandle plan, int automatic) {
  const std::lock_guard lock(mutex);
  if (find(plan) == nullptr) return CUFFT_INVALID_PLAN;
  return automatic == 0 ? CUFFT_SUCCESS : CUFFT_INVALID_VALUE;
}

cufftResult cufftMakePlanMany(cufftHandle plan, int rank, int* n, int* inembed, int istride,
                              int idist, int* onembed, int ostride, int odist, cufftType type,
                              int batch, std::size_t* bytes) {
  const std::lock_guard lock(mutex);
  Plan* p = find(plan);
  if (p == nullptr) return CUFFT_INVALID_PLAN;
  if (rank != 2 || istride != 1 || ostride != 1 || idist != odist || type != CUFFT_C2C ||
      batch < 1 || idist < n[0] * n[1] || inembed == nullptr || onembed == nullptr ||
      inembed[1] != n[1] || onembed[1] != n[1])
    return CUFFT_INVALID_VALUE;
  *p = {
      n[0],    n[1],   idist, batch, std::size_t(batch) * std::size_t(n[1]) * sizeof(cufftComplex),
      nullptr, nullptr};
  *bytes = p->work_bytes;
  return CUFFT_SUCCESS;
}

cufftResult cufftSetWorkArea(cufftHandle plan, void* area) {
  const std::lock_guard lock(mutex);
  if (find(plan) == nullptr) return CUFFT_INVALID_PLAN;
  find(plan)->work = area;
  return CUFFT_SUCCESS;
}

cufftResult cufftSetStream(cufftHandle plan, cudaStream_t stream) {
  const std::lock_guard lock(mutex);
  if (find(plan) == nullptr) return CUFFT_INVALID_PLAN;
  find(plan)->stream = stream;
  return CUFFT_SUCCESS;
}

cufftResult cufftExecC2C(cufftHandle plan, cufftComplex* source, cufftComplex* target, int sign) {
  const std::lock_guard lock(mutex);
  const Plan* found = find(plan);
  if (found == nullptr) return CUFFT_INVALID_PLAN;
  if (source != target || found->work == nullptr) return CUFFT_INVALID_VALUE;
  const cudaError_t error = cuda_on_host::enqueue(found->stream, [p = *found, target, sign] {
    std::memset(p.work, 0xFF, p.work_bytes);
    for (int i = 0; i < p.batch; ++i)
      transform_image(target + std::ptrdiff_t(i) * p.distance, p.ny, p.nx, sign);
  });
  return error == cudaSuccess ? CUFFT_SUCCESS : CUFFT_INVALID_VALUE;
}

cufftResult cufftGetVersion(int* version) {
  *version = 0;
  return CUFFT_SUCCESS;
}
