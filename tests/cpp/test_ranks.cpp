#include <vector>

#include "check.hpp"
#include "cpu/engine.hpp"
#include "engine_runs.hpp"
#include "rank_runs.hpp"
#include "sample.hpp"

namespace exitwave {

TEST("any number of ranks comes to what one process comes to") {
  test::bind_fft_library();
  for (const std::string& name : test::kEngines)
    for (const test::SampleKind& kind : test::kKinds)
      for (const int ranks : {2, 3}) {
        test::Sample sample(kind);
        sample.cut_in_parts(ranks * test::kPartsOfRank);
        const EngineOptions options = test::options_of(name, kind);
        const auto one =
            make_cpu_engine({}, sample.scan, options, sample.ones.data(), sample.probe.data());
        const auto expected = test::iterate(*one, sample, test::kIterations, sample.ones);
        for (const int emulated : {0, 1, 2}) {
          CpuSettings settings;
          settings.threads = test::kPartsOfRank;
          settings.emulated = emulated;
          const auto outcomes = test::run_ranks(
              sample, options, ranks, emulated == 1, expected,
              [&](const Scan& scan, const Complex* object) {
                return make_cpu_engine(settings, scan, options, object, sample.probe.data());
              });
          for (const test::Outcome& outcome : outcomes) {
            CHECK(test::relative(outcome.object, expected.object) < 1e-5);
            CHECK(test::relative(outcome.probe, expected.probe) < 1e-5);
            CHECK(test::same_bits(outcome.probe, outcomes[0].probe));
            CHECK(outcome.error == outcomes[0].error);
          }
        }
      }
}

}  // namespace exitwave
