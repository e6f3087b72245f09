#include "cuda/backend.cuh"
#include "cuda/engine.hpp"
#include "engines/factory.hpp"

namespace exitwave {

std::unique_ptr<Engine> make_cuda_engine(const CudaSettings& settings, const Scan& scan,
                                         const EngineOptions& options, const Complex* object,
                                         const Complex* probe) {
  return make_engine_on<CudaBackend>(settings, scan, options, object, probe);
}

}  // namespace exitwave
