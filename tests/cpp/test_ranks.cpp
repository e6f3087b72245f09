#include "check.hpp"
#include "cpu/engine.hpp"
#include "engine_runs.hpp"
#include "rank_runs.hpp"

namespace exitwave {

TEST("any number of ranks comes to what one process comes to") {
  for (const std::string& name : test::kEngines)
    for (const test::SampleKind& kind : test::kKinds)
      for (const int ranks : {2, 3})
        for (const int emulated : {0, 1, 2}) {
          CpuSettings settings;
          settings.threads = test::kPartsOfRank;
          settings.emulated = emulated;
          test::check_ranks(name, kind, ranks, emulated == 1, 1e-5,
                            [&](const test::Sample& sample, const Scan& scan,
                                const EngineOptions& options, const Complex* object) {
                              return make_cpu_engine(settings, scan, options, object,
                                                     sample.probe.data());
                            });
        }
}

}  // namespace exitwave
