#include "check.hpp"
#include "cuda/engine.hpp"
#include "cuda_fixture.hpp"
#include "engine_runs.hpp"
#include "rank_runs.hpp"

namespace exitwave {

// Staged through the host's memory.
TEST("ranks that share a GPU come to what one CPU process comes to") {
  test::bind_cufft();
  CudaSettings settings;
  settings.batch = 3;
  settings.deterministic = true;
  for (const std::string& name : test::kEngines)
    for (const test::SampleKind& kind : {test::kKinds.front(), test::kKinds.back()})
      test::check_ranks(name, kind, 2, false, 3e-5,
                        [&](const test::Sample& sample, const Scan& scan,
                            const EngineOptions& options, const Complex* object) {
                          return make_cuda_engine(settings, scan, options, object,
                                                  sample.probe.data());
                        });
}

}  // namespace exitwave
