// The work area is spoilt by each transform, so that nothing else may lie there.
#include "cufft.h"

#include <cstring>
#include <map>
#include <mutex>

#include "cuda_on_host.hpp"
#include "transform.hpp"

namespace {

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
      cuda_on_host::transform_image(&target[std::ptrdiff_t(i) * p.distance].x, p.ny, p.nx, sign);
  });
  return error == cudaSuccess ? CUFFT_SUCCESS : CUFFT_INVALID_VALUE;
}

cufftResult cufftGetVersion(int* version) {
  *version = 0;
  return CUFFT_SUCCESS;
}
