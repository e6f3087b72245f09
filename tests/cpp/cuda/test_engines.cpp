#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "check.hpp"
#include "core/error.hpp"
#include "cpu/engine.hpp"
#include "cuda/engine.hpp"
#include "cuda_fixture.hpp"
#include "engine_runs.hpp"

namespace exitwave {

namespace {

using test::kEngines;
using test::kGroups;
using test::kKinds;
using test::options_of;
using test::Outcome;
using test::same_bits;
using test::Sample;
using test::SampleKind;

using Field = std::vector<Complex>;

// What the options have room for; eigen-probes are the probe under waves.
void refine_all(Engine& engine, const Sample& sample, const EngineOptions& options) {
  if (options.background_refinement) engine.refine_background(true);
  if (options.eigen_probes == 0) return;
  Field eigen;
  for (int k = 0; k < options.eigen_probes; ++k)
    for (std::size_t i = 0; i < sample.probe.size(); ++i)
      eigen.push_back(Real(std::cos(0.1 * (k + 1) * double(i))) * sample.probe[i]);
  const Field weights(std::size_t(sample.scan.frames) * std::size_t(options.eigen_probes));
  engine.set_eigen_probes(eigen.data(), weights.data());
  engine.relax_probe(true);
}

Outcome on_cpu(const Sample& sample, const EngineOptions& options, const Field& start) {
  test::bind_fft_library();
  const auto engine =
      make_cpu_engine({1, 1, 0, 0}, sample.scan, options, start.data(), sample.probe.data());
  refine_all(*engine, sample, options);
  return test::iterate(*engine, sample, 3, start);
}
Outcome on_cpu(const Sample& sample, const EngineOptions& options) {
  return on_cpu(sample, options, sample.ones);
}

Outcome on_gpu(const Sample& sample, const EngineOptions& options, const CudaSettings& settings,
               const Field& start) {
  test::bind_cufft();
  const auto engine =
      make_cuda_engine(settings, sample.scan, options, start.data(), sample.probe.data());
  refine_all(*engine, sample, options);
  return test::iterate(*engine, sample, 3, start);
}
Outcome on_gpu(const Sample& sample, const EngineOptions& options, const CudaSettings& settings) {
  return on_gpu(sample, options, settings, sample.ones);
}

CudaSettings settings(int devices, int streams, int batch, bool deterministic = false) {
  CudaSettings s;
  s.devices.clear();
  for (int device = 0; device < devices; ++device)
    s.devices.push_back(device % int(cuda_devices().size()));
  s.streams = streams;
  s.batch = batch;
  s.deterministic = deterministic;
  return s;
}

void check_close(const Outcome& got, const Outcome& expected, const std::string& what) {
  test::check_close(got, expected, 2e-5, what);
}

TEST("every engine gives on a GPU what it gives on a CPU") {
  for (const std::string& name : kEngines)
    for (const SampleKind& kind : kKinds) {
      Sample sample(kind);
      const EngineOptions options = options_of(name, kind);
      const Outcome expected = on_cpu(sample, options);
      check_close(on_gpu(sample, options, settings(1, 1, 4)), expected, name + ", one stream");
      sample.cut_in_parts(2);
      check_close(on_gpu(sample, options, settings(1, 2, 3)), expected, name + ", two streams");
    }
}

TEST("an engine that gets the state of another goes on with its bits") {
  test::bind_cufft();
  for (const std::string& name : kEngines)
    for (const SampleKind& kind : kKinds)
      for (const int devices : {1, 2}) {
        Sample sample(kind);
        sample.cut_in_parts(2);
        test::check_goes_on(name, kind, [&](const EngineOptions& options) {
          return make_cuda_engine(settings(devices, 2 / devices, 3, true), sample.scan, options,
                                  sample.ones.data(), sample.probe.data());
        });
      }
}

TEST("devices with memories of their own give what one gives") {
  for (const std::string& name : kEngines)
    for (const SampleKind& kind : kKinds) {
      Sample sample(kind);
      const EngineOptions options = options_of(name, kind);
      const Outcome expected = on_cpu(sample, options);
      sample.cut_in_parts(3);
      check_close(on_gpu(sample, options, settings(2, 2, 3)), expected, name + ", 3 parts");
      sample.cut_in_parts(2);
      check_close(on_gpu(sample, options, settings(2, 1, 20)), expected, name + ", 2 parts");
    }
}

TEST("deterministic runs have the same bits, in every batch") {
  for (const std::string& name : kEngines) {
    const SampleKind kind{true, false, 2, 2};
    Sample sample(kind);
    sample.cut_in_parts(3);
    const EngineOptions options = options_of(name, kind);
    const Outcome first = on_gpu(sample, options, settings(1, 2, 3, true));
    check_close(first, on_cpu(sample, options), name);
    test::check(same_bits(first, on_gpu(sample, options, settings(1, 2, 3, true))), name);
    test::check(same_bits(first, on_gpu(sample, options, settings(1, 1, 3, true))),
                name + ", one stream");
    test::check(same_bits(first, on_gpu(sample, options, settings(1, 2, 2, true))),
                name + ", batch of 2");
  }
}

TEST("slices and tilted beams work on GPUs") {
  for (const std::string name : {"ePIE", "mPIE", "ML", "LSQML"})
    for (const bool near_field : {false, true}) {
      Sample sample({true, near_field, 2, 2});
      const EngineOptions options = test::with_slices(options_of(name, sample.kind), sample);
      const Field start(sample.ones.size() * std::size_t(options.slices), Complex{1, 0});
      const Outcome expected = on_cpu(sample, options, start);
      sample.cut_in_parts(3);
      check_close(on_gpu(sample, options, settings(1, 2, 3), start), expected, name + ", one");
      check_close(on_gpu(sample, options, settings(2, 2, 3), start), expected, name + ", two");
      test::check(same_bits(on_gpu(sample, options, settings(1, 2, 3, true), start),
                            on_gpu(sample, options, settings(1, 1, 2, true), start)),
                  name + ", bits");
    }
}

TEST("detectors that spread light and have a background work on GPUs") {
  for (const std::string name : {"ML", "gradient", "LSQML"})
    for (const bool near_field : {false, true}) {
      Sample sample({true, near_field, 2, 1});
      sample.scan.background.assign(std::size_t(sample.scan.ny * sample.scan.nx), Real(3));
      EngineOptions options = options_of(name, sample.kind);
      options.point_spread = {{3, 1, {0.1F, 0.7F, 0.2F}}, {1, 5, {0.1F, 0.1F, 0.5F, 0.1F, 0.2F}}};
      options.background_refinement = name != "LSQML";
      options.background_smoothing = {{3, 3, std::vector<Real>(9, Real(1) / 9)}};
      const Outcome expected = on_cpu(sample, options);
      sample.cut_in_parts(3);
      check_close(on_gpu(sample, options, settings(1, 2, 3)), expected, name + ", one");
      check_close(on_gpu(sample, options, settings(2, 2, 3)), expected, name + ", two");
      test::check(same_bits(on_gpu(sample, options, settings(1, 2, 3, true)),
                            on_gpu(sample, options, settings(1, 1, 2, true))),
                  name + ", bits");
    }
}

TEST("frames have probes of their own on GPUs") {
  for (const SampleKind& kind : kKinds) {
    Sample sample(kind);
    EngineOptions options = options_of("ML", kind);
    options.eigen_probes = 2;
    const Outcome expected = on_cpu(sample, options);
    test::check(!same_bits(expected, on_cpu(sample, options_of("ML", kind))), "acts");
    sample.cut_in_parts(3);
    check_close(on_gpu(sample, options, settings(1, 2, 3)), expected, "one");
    check_close(on_gpu(sample, options, settings(2, 2, 3)), expected, "two");
    test::check(same_bits(on_gpu(sample, options, settings(1, 2, 3, true)),
                          on_gpu(sample, options, settings(1, 1, 2, true))),
                "bits");
  }
}

TEST("deterministic runs on several devices have the same bits, in every batch") {
  for (const std::string& name : kEngines) {
    const SampleKind kind{true, false, 2, 1};
    Sample sample(kind);
    sample.cut_in_parts(3);
    const EngineOptions options = options_of(name, kind);
    const Outcome first = on_gpu(sample, options, settings(2, 2, 3, true));
    test::check(same_bits(first, on_gpu(sample, options, settings(2, 1, 3, true))), name);
    test::check(same_bits(first, on_gpu(sample, options, settings(2, 2, 1, true))),
                name + ", batch of 1");
  }
}

TEST("supports, clipping and the power bound work on GPUs") {
  for (const std::string& name : kEngines) {
    Sample sample({true, false, 2, 1});
    EngineOptions options = test::restricted_options_of(name, sample);
    if (name == "ML") options.smoothness = 1e-4;
    // Not from ones: where the support leaves a model dark, its phase would be rounding.
    const Field& start = sample.object;
    const Outcome expected = on_cpu(sample, options, start);
    sample.cut_in_parts(3);
    check_close(on_gpu(sample, options, settings(1, 2, 3), start), expected, name + ", one");
    check_close(on_gpu(sample, options, settings(2, 2, 3), start), expected, name + ", two");
  }
}

TEST("streamed runs have the bits of resident ones") {
  for (const std::string& name : kEngines)
    for (const bool half : {false, true}) {
      const bool keeps_waves = name == "DM" || name == "RAAR";
      if (half && !keeps_waves) continue;
      const SampleKind kind{true, false, 2, 1};
      Sample sample(kind);
      sample.cut_in_parts(3);  // of 4 or 5 frames: the slot that was used last is used next
      EngineOptions options = options_of(name, kind);
      options.storage.half = half;
      options.storage.half_scale = 0.1F;
      const CudaSettings how = settings(1, 1, 2, true);
      const Outcome resident = on_gpu(sample, options, how);
      options.storage.stream_counts = true;
      options.storage.block_frames = 1;
      for (const WaveTier tier : {WaveTier::device, WaveTier::host, WaveTier::file}) {
        options.storage.waves = tier;
        options.storage.scratch_folder = "/tmp";
        test::check(same_bits(resident, on_gpu(sample, options, how)), name + ", in blocks");
      }
    }
}

TEST("probe and object move together on GPUs") {
  Sample sample({false, false, 2, 1});
  sample.cut_in_parts(2);
  for (const std::string& name : kEngines) {
    const EngineOptions options = options_of(name, sample.kind);
    test::bind_cufft();
    test::bind_fft_library();
    const auto gpu = make_cuda_engine(settings(1, 2, 3), sample.scan, options, sample.ones.data(),
                                      sample.probe.data());
    const auto cpu = make_cpu_engine({1, 1, 0, 0}, sample.scan, options, sample.ones.data(),
                                     sample.probe.data());
    for (Engine* engine : {gpu.get(), cpu.get()}) {
      engine->iterate(kGroups, true);
      engine->move_probe(1, -2);
    }
    check_close(test::iterate(*gpu, sample, 2, sample.ones),
                test::iterate(*cpu, sample, 2, sample.ones), name);
  }
}

TEST("an engine that does not fit says what to set, and the next one runs") {
  Sample sample({});
  const EngineOptions options = options_of("DM", sample.kind);
  CudaSettings tight = settings(1, 1, 4);
  tight.memory_limit = 20000;
  test::check_throws<OutOfMemory>("memory_limit", [&] { on_gpu(sample, options, tight); });
  check_close(on_gpu(sample, options, settings(1, 1, 4)), on_cpu(sample, options), "DM");
}

}  // namespace

}  // namespace exitwave
