#pragma once

#include <algorithm>
#include <vector>

#include "core/buffer.hpp"
#include "engines/model.hpp"
#include "engines/problem.hpp"
#include "kernels/intensity.hpp"
#include "kernels/positions.hpp"

namespace exitwave {

// What each frame says about its position: PositionTerms of the residual exit waves that a pass
// makes anyway, or how well it agrees with the model at a place that is tried. Kept where the lanes
// are, and read once when the pass is over.
template <class Backend>
class PositionSums {
 public:
  using Lane = typename Backend::Lane;
  static constexpr int kCount = kernels::PositionTerms::kTotals;

  // Without room where positions stay as they are.
  PositionSums(Backend& backend, const Problem<Backend>& problem) : problem_(problem) {
    for (int part = 0; part < problem.parts() && problem.scan().moves(); ++part) {
      sums_.emplace_back();
      if (!backend.holds(part)) continue;
      Memory& memory = backend.memory(part);
      memory.account("positions and mask");
      sums_.back() = Buffer<double>(memory, std::size_t(problem.frames_of(part)) * kCount);
    }
  }

  // From the residual chi in s.wave and the probe of the batch.
  void find(Lane& lane, Model<Backend>& model, Scratch& s, const Batch& b,
            const kernels::ProbeMode& p) {
    if (model.slices() == 1) {
      Extent inner = model.frames(b);
      inner.ny -= 2;
      inner.nx -= 2;
      const kernels::PositionTerms terms{s.wave.view(), p, model.object(b, 0)};
      lane.run(inner, model.sum_modes(terms, s));
    } else {
      model.move_through_slices(lane, s, b, p);
      const kernels::ThickPositionTerms terms{s.wave.view(), s.moved[0].view(), s.moved[1].view()};
      lane.run(model.frames(b), model.sum_modes(terms, s));
    }
    // The residual is that of waves with their frame's factor, the window's change is without.
    if (model.intensities().on())
      lane.map({b.count, 1, 1, 2},
               kernels::DivideByFactor{s.totals.data() + kernels::PositionTerms::kSlopes, kCount,
                                       model.intensities().of(b.part), b.frame});
    keep(lane, s, b, kCount);
  }

  // The totals of a batch, `count` numbers for each frame.
  void keep(Lane& lane, Scratch& s, const Batch& b, int count) {
    lane.map({b.count, 1, 1, count}, kernels::KeepTotals{sums_[std::size_t(b.part)].data(),
                                                         s.totals.data(), b.frame, count});
  }

  // (frames of the scan, count), where this process holds the frame; waits for the lanes.
  void read(double* target, int count = kCount) const {
    for (int part = 0; part < int(sums_.size()); ++part) {
      if (sums_[std::size_t(part)].size() == 0) continue;
      const std::vector<int>& frames = problem_.scan().parts[std::size_t(part)];
      std::vector<double> rows(frames.size() * kCount);
      sums_[std::size_t(part)].download(rows.data());
      for (std::size_t i = 0; i < frames.size(); ++i)
        std::copy_n(&rows[i * std::size_t(count)], count,
                    target + std::size_t(frames[i]) * std::size_t(count));
    }
  }

 private:
  const Problem<Backend>& problem_;
  std::vector<Buffer<double>> sums_;
};

}  // namespace exitwave
