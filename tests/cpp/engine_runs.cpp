#include "engine_runs.hpp"

#include <cstring>

namespace exitwave::test {

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
  if (name == "ML") o.object_inertia = o.probe_inertia = 0.1;
  return o;
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
