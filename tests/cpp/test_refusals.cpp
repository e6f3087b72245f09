#include <memory>
#include <vector>

#include "check.hpp"
#include "core/counts.hpp"
#include "core/error.hpp"
#include "cpu/engine.hpp"
#include "sample.hpp"

namespace exitwave {

namespace {

std::unique_ptr<Engine> make(const test::Sample& sample, const EngineOptions& options,
                             const CpuSettings& settings) {
  test::bind_fft_library();
  return make_cpu_engine(settings, sample.scan, options, sample.ones.data(), sample.probe.data());
}

TEST("an unknown engine is named") {
  const test::Sample sample({});
  EngineOptions options;
  options.name = "PIE";
  test::check_throws<InvalidArgument>("engine: unknown name PIE",
                                      [&] { make(sample, options, {}); });
}

TEST("a device without room refuses before any work, at whatever array it ends") {
  const test::Sample sample({true, false, 2, 1});
  for (const char* name : {"AP", "DM", "mPIE", "ML"}) {
    EngineOptions options;
    options.name = name;
    options.probe_modes = 2;
    options.momentum_period = 3;
    const auto peak = [&](const CpuSettings& settings) {
      return make(sample, options, settings)->memory()[0].peak;
    };
    const std::size_t needed = peak({2, 3, 1, 0});
    for (std::size_t limit = 1; limit < needed; limit += needed / 7 + 1)
      test::check_throws<OutOfMemory>("device 0", [&] { peak({2, 3, 1, limit}); });
    CHECK(peak({2, 3, 1, needed}) == needed);
  }
}

TEST("counts of an unknown type are refused") {
  test::check_throws<InvalidArgument>(
      "data: unknown count type", [] { with_counts({nullptr, CountType(7)}, [](const auto*) {}); });
}

}  // namespace

}  // namespace exitwave
