#pragma once

#include <string>
#include <vector>

#include "core/buffer.hpp"
#include "core/view.hpp"
#include "engines/problem.hpp"
#include "kernels/intensity.hpp"
#include "storage/archive.hpp"

namespace exitwave {

// A factor on the waves of each frame; without room where all are 1.
template <class Backend>
class Intensities {
 public:
  using Lane = typename Backend::Lane;

  Intensities(Backend& backend, const Problem<Backend>& problem, bool on) : problem_(problem) {
    for (int part = 0; on && part < problem.parts(); ++part) {
      factors_.emplace_back();
      if (!backend.holds(part)) continue;
      Memory& memory = backend.memory(part);
      memory.account("positions and mask");
      factors_.back() =
          Buffer<double>(memory, std::vector<double>(std::size_t(problem.frames_of(part)), 1.0));
    }
  }

  bool on() const { return !factors_.empty(); }
  double* of(int part) { return factors_[std::size_t(part)].data(); }

  // Waves of some frames of a part.
  void scale(Lane& lane, int part, const int* frame, Extent n, BatchView<Complex> wave) {
    if (on()) lane.map(n, kernels::ScaleFrames{wave, of(part), frame});
  }

  // (frames of the scan), where this process holds the frame; waits for the lanes.
  void read(double* target) const {
    for_each([&](const Buffer<double>& part, const std::vector<int>& frames) {
      std::vector<double> factors(frames.size());
      part.download(factors.data());
      for (std::size_t i = 0; i < frames.size(); ++i) target[frames[i]] = factors[i];
    });
  }
  void write(const double* source) {
    for_each([&](const Buffer<double>& part, const std::vector<int>& frames) {
      std::vector<double> factors;
      for (const int frame : frames) factors.push_back(source[frame]);
      const_cast<Buffer<double>&>(part).upload(factors.data());
    });
  }
  void state(Archive& archive) {
    for (std::size_t part = 0; part < factors_.size(); ++part)
      archive.buffer("intensities/" + std::to_string(part), factors_[part]);
  }

 private:
  template <class F>
  void for_each(const F& f) const {
    for (std::size_t part = 0; part < factors_.size(); ++part)
      if (factors_[part].size() != 0) f(factors_[part], problem_.scan().parts[part]);
  }

  const Problem<Backend>& problem_;
  std::vector<Buffer<double>> factors_;
};

}  // namespace exitwave
