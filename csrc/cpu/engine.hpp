#pragma once

#include <memory>

#include "cpu/settings.hpp"
#include "engines/engine.hpp"

namespace exitwave {

std::unique_ptr<Engine> make_cpu_engine(const CpuSettings& settings, const Scan& scan,
                                        const EngineOptions& options, const Complex* object,
                                        const Complex* probe);

}  // namespace exitwave
