#include <vector>

#include "check.hpp"
#include "cpu/engine.hpp"
#include "cuda/engine.hpp"
#include "cuda_fixture.hpp"
#include "engine_runs.hpp"
#include "rank_runs.hpp"
#include "sample.hpp"

namespace exitwave {

// Staged through the host's memory.
TEST("ranks that share a GPU come to what one CPU process comes to") {
  test::bind_fft_library();
  test::bind_cufft();
  for (const std::string& name : test::kEngines)
    for (const test::SampleKind& kind : {test::kKinds.front(), test::kKinds.back()}) {
      test::Sample sample(kind);
      sample.cut_in_parts(2 * test::kPartsOfRank);
      const EngineOptions options = test::options_of(name, kind);
      const auto one =
          make_cpu_engine({}, sample.scan, options, sample.ones.data(), sample.probe.data());
      const auto expected = test::iterate(*one, sample, test::kIterations, sample.ones);
      CudaSettings settings;
      settings.batch = 3;
      settings.deterministic = true;
      const auto outcomes = test::run_ranks(
          sample, options, 2, false, expected, [&](const Scan& scan, const Complex* object) {
            return make_cuda_engine(settings, scan, options, object, sample.probe.data());
          });
      for (const test::Outcome& outcome : outcomes) {
        CHECK(test::relative(outcome.object, expected.object) < 1e-5);
        CHECK(test::relative(outcome.probe, expected.probe) < 1e-5);
        CHECK(test::same_bits(outcome.probe, outcomes[0].probe));
        CHECK(outcome.error == outcomes[0].error);
      }
    }
}

}  // namespace exitwave
