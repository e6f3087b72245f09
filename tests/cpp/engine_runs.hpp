#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engines/engine.hpp"
#include "sample.hpp"

// Runs of every engine on every kind of sample, for tests of engines on any backend.
namespace exitwave::test {

struct Outcome {
  std::vector<Complex> object;
  std::vector<Complex> probe;
  std::vector<double> error;  // of the model at the start of each iteration, and of the last one
};

inline const std::vector<std::vector<int>> kGroups{
    {0, 6, 12}, {1, 7}, {2, 8, 11}, {3, 9}, {4, 10, 5}};
inline const std::vector<std::string> kEngines{"AP",   "DM", "RAAR",  "ePIE",    "rPIE",
                                               "mPIE", "ML", "LSQML", "gradient"};
inline const std::vector<SampleKind> kKinds{
    {false, false, 1, 1}, {true, false, 2, 1}, {false, true, 1, 2}, {true, true, 2, 2}};

EngineOptions options_of(const std::string& name, const SampleKind& kind);
// The same with supports of the probe, clipping and, where there is one, the power bound.
EngineOptions restricted_options_of(const std::string& name, const Sample& sample);
// The same with three slices and a beam of its own tilt in each frame.
EngineOptions with_slices(EngineOptions options, const Sample& sample);

// What an engine, made from these start values of the object, comes to.
Outcome iterate(Engine& engine, const Sample& sample, int iterations,
                const std::vector<Complex>& start);

// Stops an engine, gives its state to another one, and compares the state of both as they go on.
void check_goes_on(const std::string& name, const SampleKind& kind,
                   const std::function<std::unique_ptr<Engine>(const EngineOptions&)>& make);

// Relative differences of object and probe, and ten times as much of the last error.
void check_close(const Outcome& got, const Outcome& expected, double tolerance,
                 const std::string& what);

bool same_bits(const std::vector<Complex>& a, const std::vector<Complex>& b);
bool same_bits(const Outcome& a, const Outcome& b);

}  // namespace exitwave::test
