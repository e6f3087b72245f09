#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "check.hpp"
#include "cpu/engine.hpp"
#include "engine_runs.hpp"

namespace exitwave {

namespace {

using test::check_close;
using test::kEngines;
using test::kGroups;
using test::kKinds;
using test::options_of;
using test::Outcome;
using test::same_bits;
using test::Sample;
using test::SampleKind;

std::unique_ptr<Engine> make(const Sample& sample, const EngineOptions& options,
                             const CpuSettings& settings, const std::vector<Complex>& object) {
  test::bind_fft_library();
  return make_cpu_engine(settings, sample.scan, options, object.data(), sample.probe.data());
}

Outcome run(const Sample& sample, const EngineOptions& options, const CpuSettings& settings,
            int iterations, const std::vector<Complex>& start) {
  return test::iterate(*make(sample, options, settings, start), sample, iterations, start);
}
Outcome run(const Sample& sample, const EngineOptions& options, const CpuSettings& settings) {
  return run(sample, options, settings, 3, sample.ones);
}

CpuSettings on_threads(int threads, int batch = 1) { return {threads, batch, 0, 0}; }
constexpr CpuSettings kEmulated{2, 3, 3, 0};
// One device, so that its parts share what the host does not see.
constexpr CpuSettings kOneEmulated{2, 3, 1, 0};

TEST("an engine that gets the state of another goes on with its bits") {
  for (const std::string& name : kEngines)
    for (const SampleKind& kind : kKinds)
      for (const CpuSettings& settings : {on_threads(2), kEmulated, kOneEmulated}) {
        Sample sample(kind);
        sample.cut_in_parts(3);
        test::check_goes_on(name, kind, [&](const EngineOptions& options) {
          return make(sample, options, settings, sample.ones);
        });
      }
}

TEST("the truth has no error") {
  for (const SampleKind& kind : kKinds) {
    const Sample sample(kind);
    const auto engine = make(sample, options_of("AP", kind), on_threads(1), sample.object);
    CHECK(engine->deviation() / sample.total_counts < 1e-10);
  }
}

TEST("the truth stays what it is") {
  for (const std::string& name : kEngines)
    for (const SampleKind& kind : kKinds) {
      const Sample sample(kind);
      const Outcome outcome = run(sample, options_of(name, kind), on_threads(1), 2, sample.object);
      test::check(test::relative(outcome.object, sample.object) < 3e-5, name + ", object");
      test::check(test::relative(outcome.probe, sample.probe) < 3e-5, name + ", probe");
    }
}

TEST("the error falls") {
  for (const std::string& name : kEngines)
    for (const SampleKind& kind : kKinds) {
      const Sample sample(kind);
      const Outcome outcome = run(sample, options_of(name, kind), on_threads(2), 12, sample.ones);
      test::check(outcome.error.back() < 0.5 * outcome.error.front(), name);
    }
}

TEST("two and three parts, and the emulated device, give what one part gives") {
  for (const std::string& name : kEngines)
    for (const SampleKind& kind : kKinds) {
      Sample sample(kind);
      const EngineOptions options = options_of(name, kind);
      const Outcome one = run(sample, options, on_threads(1));
      const auto agrees = [&](const Outcome& other) { check_close(other, one, 1e-5, name); };
      sample.cut_in_parts(2);
      agrees(run(sample, options, on_threads(2)));
      sample.cut_in_parts(3);
      agrees(run(sample, options, on_threads(2)));
      agrees(run(sample, options, kEmulated));
    }
}

TEST("batches, threads and repetition change no bit") {
  for (const std::string& name : kEngines) {
    const SampleKind kind{true, false, 2, 2};
    Sample sample(kind);
    sample.cut_in_parts(3);
    const EngineOptions options = options_of(name, kind);

    const Outcome first = run(sample, options, on_threads(3));

    test::check(same_bits(first, run(sample, options, on_threads(3))), name + ", again");
    test::check(same_bits(first, run(sample, options, on_threads(1))), name + ", one thread");
    test::check(same_bits(first, run(sample, options, on_threads(3, 4))), name + ", batch of 4");
    const CpuSettings emulated_singly{2, 1, 3, 0};
    test::check(same_bits(run(sample, options, kEmulated), run(sample, options, emulated_singly)),
                name + ", emulated");
  }
}

TEST("slices give in parts, batches and on the emulated device what they give in one") {
  for (const std::string name : {"ePIE", "rPIE", "mPIE", "ML", "LSQML"}) {
    Sample sample({true, false, 2, 2});
    const EngineOptions options = test::with_slices(options_of(name, sample.kind), sample);
    const std::vector<Complex> start(3 * sample.ones.size(), Complex{1, 0});
    const Outcome one = run(sample, options, on_threads(1), 3, start);
    sample.cut_in_parts(3);
    const Outcome three = run(sample, options, on_threads(2), 3, start);
    test::check(test::relative(three.object, one.object) < 1e-5, name + ", object");
    const Outcome emulated = run(sample, options, kEmulated, 3, start);
    test::check(test::relative(emulated.object, one.object) < 1e-5, name + ", emulated");
    test::check(same_bits(three, run(sample, options, on_threads(2, 4), 3, start)),
                name + ", batch of 4");
  }
}

TEST("every noise model runs in parts") {
  for (const Noise noise : {Noise::poisson, Noise::amplitude, Noise::gaussian, Noise::anscombe}) {
    Sample sample({true, false, 1, 1});
    EngineOptions options = options_of("ML", sample.kind);
    options.noise = noise;
    options.smoothness = 1e-4;
    const Outcome one = run(sample, options, on_threads(1));
    sample.cut_in_parts(3);
    const Outcome three = run(sample, options, kEmulated);
    CHECK(one.error.back() < one.error.front());
    CHECK(test::relative(three.object, one.object) < 1e-5);
  }
}

TEST("supports, clipping and the power bound agree between parts") {
  for (const std::string& name : kEngines) {
    Sample sample({true, false, 2, 1});
    const EngineOptions options = test::restricted_options_of(name, sample);
    // Not from ones: where the support leaves a model dark, its phase would be rounding.
    const Outcome one = run(sample, options, on_threads(1), 3, sample.object);
    sample.cut_in_parts(3);
    for (const CpuSettings& settings : {on_threads(2), kEmulated, kOneEmulated}) {
      check_close(run(sample, options, settings, 3, sample.object), one, 2e-5, name);
    }
    for (const Complex& value : one.object)
      test::check(norm(value) < 1.1F * 1.1F * 1.0001F, name + ", clipped");
  }
}

template <class Count>
Outcome run_with_counts(Sample& sample, CountType type, const CpuSettings& settings) {
  std::vector<Count> counts;
  for (const float value : sample.counts)
    counts.push_back(Count(std::fmin(std::floor(value / 10), 255.0F)));
  sample.scan.counts = {counts.data(), type};
  return run(sample, options_of("DM", sample.kind), settings);
}

TEST("the type of the counts changes no bit") {
  Sample sample({});
  for (const CpuSettings& settings : {on_threads(1), kEmulated, kOneEmulated}) {
    const Outcome expected = run_with_counts<float>(sample, CountType::float32, settings);
    CHECK(same_bits(run_with_counts<std::uint8_t>(sample, CountType::uint8, settings), expected));
    CHECK(same_bits(run_with_counts<std::uint16_t>(sample, CountType::uint16, settings), expected));
    CHECK(same_bits(run_with_counts<std::uint32_t>(sample, CountType::uint32, settings), expected));
  }
}

TEST("what stands at invalid pixels changes no bit") {
  for (const std::string& name : kEngines) {
    Sample sample({});
    sample.scan.valid[50] = sample.scan.valid[131] = 0;
    const Outcome expected = run(sample, options_of(name, sample.kind), on_threads(2));
    for (std::size_t frame = 0; frame < 13; ++frame) {
      sample.counts[frame * 240 + 50] = 1e9F;
      sample.counts[frame * 240 + 131] = std::nanf("");
    }
    test::check(same_bits(run(sample, options_of(name, sample.kind), on_threads(2)), expected),
                name);
  }
}

TEST("probe and object that move together leave the exit waves alone") {
  for (const std::string& name : kEngines) {
    const Sample sample({false, false, 2, 1});
    const auto engine = make(sample, options_of(name, sample.kind), on_threads(1), sample.ones);
    engine->iterate(kGroups, true);
    engine->move_probe(1, -2);
    std::vector<Complex> moved(sample.probe.size());
    engine->get_probe(moved.data());
    engine->move_probe(-1, 2);
    std::vector<Complex> back(sample.probe.size());
    engine->get_probe(back.data());
    // Pixel (6, 10) of the probe is far from the edges, where values are lost.
    test::check(norm(moved[7 * 20 + 8] - back[6 * 20 + 10]) == 0, name);
    engine->iterate(kGroups, true);
  }
}

TEST("arrays are seen in place where memory is shared, and copied where not") {
  Sample sample({});
  sample.cut_in_parts(2);
  for (const bool emulated : {false, true}) {
    const auto engine =
        make(sample, options_of("DM", sample.kind), {2, 3, emulated, 0}, sample.ones);
    engine->iterate(kGroups, true);
    std::vector<Complex> object = sample.ones;
    engine->get_object(object.data());
    CHECK((engine->object_in_place().data == nullptr) == emulated);
    CHECK((engine->probe_in_place().data == nullptr) == emulated);
    if (!emulated)
      CHECK(std::memcmp(object.data(), engine->object_in_place().data,
                        object.size() * sizeof(Complex)) == 0);
  }
}

}  // namespace

}  // namespace exitwave
