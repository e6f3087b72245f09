#include "engine_runs.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>

#include "check.hpp"

namespace exitwave::test {

namespace {

using Saved = std::map<std::string, std::vector<unsigned char>>;

std::size_t size_of(ElementType type) {
  switch (type) {
    case ElementType::byte:
      return 1;
    case ElementType::float32:
      return 4;
    case ElementType::int64:
    case ElementType::float64:
    case ElementType::complex64:
      return 8;
  }
  return 0;
}

Saved saved(Engine& engine) {
  Saved all;
  Archive archive(true, [&](const Archive::Piece& piece) {
    std::vector<unsigned char>& bytes = all[piece.name];
    const std::size_t size = size_of(piece.type);
    bytes.resize(piece.total * size);
    std::memcpy(bytes.data() + piece.first * size, piece.data, piece.count * size);
  });
  engine.state(archive);
  return all;
}

void restore(Engine& engine, const Saved& all) {
  Archive archive(false, [&](const Archive::Piece& piece) {
    const std::vector<unsigned char>& bytes = all.at(piece.name);
    const std::size_t size = size_of(piece.type);
    check(bytes.size() == piece.total * size, piece.name + " has its size");
    std::memcpy(piece.data, bytes.data() + piece.first * size, piece.count * size);
  });
  engine.state(archive);
}

}  // namespace

void check_goes_on(const std::string& name, const SampleKind& kind,
                   const std::function<std::unique_ptr<Engine>(const EngineOptions&)>& make) {
  EngineOptions options = options_of(name, kind);
  const std::unique_ptr<Engine> one = make(options);
  one->iterate(kGroups, true);
  one->iterate(kGroups, name != "ML");
  options.resumed = true;
  const std::unique_ptr<Engine> other = make(options);

  restore(*other, saved(*one));

  check(saved(*other) == saved(*one), name + ": what was given has come");
  for (int i = 0; i < 2; ++i) {
    one->iterate(kGroups, true);
    other->iterate(kGroups, true);
    check(saved(*other) == saved(*one), name + ": the same bits afterwards");
  }
  check(other->deviation() == one->deviation(), name + ": the same error");
}

EngineOptions options_of(const std::string& name, const SampleKind& kind) {
  EngineOptions o;
  o.name = name;
  o.probe_modes = kind.probe_modes;
  o.object_modes = kind.object_modes;
  if (name == "AP" || name == "DM" || name == "RAAR") o.object_inertia = o.probe_inertia = 1e-3;
  if (name == "RAAR") o.beta = 0.75;
  if (name == "rPIE" || name == "mPIE") o.object_alpha = o.probe_alpha = 0.2;
  if (name == "mPIE") {
    o.momentum = 0.5;
    o.momentum_period = 4;
  }
  if (name == "ML" || name == "LSQML" || name == "gradient")
    o.object_inertia = o.probe_inertia = 0.1;
  // Both directions of ML, depending on the sample.
  if (name == "ML" && kind.fractional) o.history = 2;
  if (name == "gradient") {
    o.probe_optimiser = OptimiserKind::momentum;
    o.step_memory = 0.8;
    o.square_memory = 0.9;
    o.object_step = 0.05;
  }
  if (name == "LSQML") {
    o.group_size = 3;
    o.object_step = o.probe_step = 0.7;
    o.momentum = 0.5;
    o.noise = Noise::amplitude;
  }
  return o;
}

EngineOptions restricted_options_of(const std::string& name, const Sample& sample) {
  EngineOptions o = options_of(name, sample.kind);
  const auto pixels = std::size_t(sample.scan.ny) * std::size_t(sample.scan.nx);
  o.probe_support.assign(pixels, 1);
  for (std::size_t i = 0; i < 20; ++i) o.probe_support[i] = 0;
  o.probe_fourier_support.assign(pixels, 1);
  for (std::size_t i = 100; i < 130; ++i) o.probe_fourier_support[i] = 0;
  o.clip = true;
  o.clip_low = 0.3;
  o.clip_high = 1.1;
  if (name == "AP" || name == "DM" || name == "RAAR") o.power_bound = 0.2;
  return o;
}

void check_close(const Outcome& got, const Outcome& expected, double tolerance,
                 const std::string& what) {
  check(relative(got.object, expected.object) < tolerance, what + ", object");
  check(relative(got.probe, expected.probe) < tolerance, what + ", probe");
  check(std::abs(got.error.back() / expected.error.back() - 1) < 10 * tolerance, what + ", error");
}

EngineOptions with_slices(EngineOptions options, const Sample& sample) {
  const Scan& scan = sample.scan;
  options.slices = 3;
  for (int gap = 1; gap < options.slices; ++gap)
    for (int y = 0; y < scan.ny; ++y)
      for (int x = 0; x < scan.nx; ++x) {
        const int v = std::min(y, scan.ny - y);
        const int u = std::min(x, scan.nx - x);
        const double phase = 0.02 * gap * (v * v + u * u);
        options.slice_kernels.push_back({Real(std::cos(phase)), Real(-std::sin(phase))});
      }
  for (int i = 0; i < 2 * (options.slices - 1) * scan.frames; ++i)
    options.slice_shifts.push_back(Real(i % 7) / 10);
  return options;
}

Outcome iterate(Engine& engine, const Sample& sample, int iterations,
                const std::vector<Complex>& start) {
  Outcome outcome{start, sample.probe, {}};
  for (int i = 0; i < iterations; ++i)
    outcome.error.push_back(engine.iterate(kGroups, true).deviation / sample.total_counts);
  engine.finish();
  outcome.error.push_back(engine.deviation() / sample.total_counts);
  engine.get_object(outcome.object.data());
  engine.get_probe(outcome.probe.data());
  return outcome;
}

bool same_bits(const std::vector<Complex>& a, const std::vector<Complex>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(Complex)) == 0;
}
bool same_bits(const Outcome& a, const Outcome& b) {
  return same_bits(a.object, b.object) && same_bits(a.probe, b.probe) && a.error == b.error;
}

}  // namespace exitwave::test
