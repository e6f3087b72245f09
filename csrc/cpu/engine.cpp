#include "cpu/engine.hpp"

#include "cpu/backend.hpp"
#include "engines/factory.hpp"

namespace exitwave {

std::unique_ptr<Engine> make_cpu_engine(const CpuSettings& settings, const Scan& scan,
                                        const EngineOptions& options, const Complex* object,
                                        const Complex* probe) {
  return make_engine_on<CpuBackend>(settings, scan, options, object, probe);
}

}  // namespace exitwave
