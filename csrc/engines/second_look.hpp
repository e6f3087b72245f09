#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "core/buffer.hpp"
#include "core/images.hpp"
#include "engines/engine.hpp"
#include "engines/model.hpp"
#include "kernels/least_squares.hpp"
#include "kernels/slices.hpp"

namespace exitwave {

// Frames of a group, looked at once more with the directions that the group has found: how far each
// would go. What the first look saw is kept, so that a thin object takes no transform; slices take
// two per gap, because what they change together is seen behind the last one only.
template <class Backend>
class SecondLook {
 public:
  using Lane = typename Backend::Lane;

  SecondLook(Backend& backend, Problem<Backend>& problem, const Model<Backend>& model,
             const EngineOptions& options)
      : slices_(options.slices) {
    const Scan& scan = problem.scan();
    for (int part = 0; part < problem.parts(); ++part) {
      kept_.emplace_back();
      if (!backend.holds(part)) continue;
      Memory& memory = backend.memory(part);
      memory.account("residuals");
      const int frames = std::min(options.group_size, problem.frames_of(part));
      const Extent waves{frames, model.wave_modes(), scan.ny, scan.nx};
      Kept& kept = kept_.back();
      kept.residual = Images<Complex>(memory, waves);
      if (slices_ > 1) kept.front = Images<Complex>(memory, waves);
      for (int slice = 1; slice < slices_; ++slice) kept.incoming.emplace_back(memory, waves);
    }
    for (int lane = 0; lane < backend.lanes(); ++lane) {
      Memory& memory = backend.lane_memory(lane);
      memory.account("work");
      const Extent waves{model.batch(), model.wave_modes(), scan.ny, scan.nx};
      const Extent probes{model.batch(), options.probe_modes, scan.ny, scan.nx};
      work_.emplace_back();
      if (problem.fractional()) work_.back().shifted = Images<Complex>(memory, probes);
      if (slices_ == 1) continue;
      work_.back().change = Images<Complex>(memory, waves);
      work_.back().totals = Buffer<double>(memory, 2 * std::size_t(model.batch()));
    }
  }

  // Room for the direction of the probe under each frame.
  Images<Complex>& shifted(int lane) { return work_[std::size_t(lane)].shifted; }

  // At the first look, on the residual's way back: it is behind `slice`. `place`: of the first
  // frame of the batch, in the group.
  void keep(Lane& lane, Scratch& s, const Batch& b, std::ptrdiff_t place, int slice) {
    Kept& kept = kept_[std::size_t(b.part)];
    const auto copy = [&](Images<Complex>& to, Images<Complex>& from) {
      const BatchView<Complex> target = at(to, place);
      lane.copy(target.data, from.view().data,
                std::size_t(b.count) * std::size_t(target.frame_stride) * sizeof(Complex));
    };
    if (slice == slices_ - 1) copy(kept.residual, s.wave);
    if (slice == 0 && slices_ > 1) copy(kept.front, s.wave);
    if (slice > 0) {
      const auto before = std::size_t(slice) - 1;
      copy(kept.incoming[before], s.incoming[before]);
    }
  }

  // s.totals <- StepTerms of the batch. `probe_direction`: under each frame; `object_direction`: of
  // all slices.
  void look(Lane& lane, int lane_number, Model<Backend>& model, Scratch& s, const Batch& b,
            std::ptrdiff_t place, const kernels::ProbeMode& probe_direction,
            CanvasView<const Complex> object_direction) {
    Kept& kept = kept_[std::size_t(b.part)];
    const kernels::ProbeMode p = model.probe(lane, s, b);
    const auto direction = [&](int slice) {
      return model.object(object_direction.every(slices_, slice), b);
    };
    const kernels::StepTerms terms{at(slices_ > 1 ? kept.front : kept.residual, place), p,
                                   model.object(b, 0), probe_direction, direction(0)};
    lane.run(model.frames(b), model.sum_modes(terms, s));
    if (slices_ == 1) return;
    Work& work = work_[std::size_t(lane_number)];
    const BatchView<Complex> change = work.change.view();
    lane.map(model.waves(b), kernels::ExitWave{change, p, direction(0)});
    for (int slice = 1; slice < slices_; ++slice) {
      model.to_next_slice(lane, b, change, slice - 1);
      lane.map(model.waves(b),
               kernels::ChangeThroughSlice{change, at(kept.incoming[std::size_t(slice) - 1], place),
                                           model.object(b, slice), direction(slice)});
    }
    using Sum = typename Lane::template SumModes<kernels::ChangeTerms>;
    lane.run(model.frames(b),
             Sum{model.wave_modes(), {at(kept.residual, place), change}, work.totals.data()});
    lane.map({b.count, 1, 1, 1}, kernels::TakeChangeTerms{s.totals.data(), work.totals.data()});
  }

 private:
  // Of the frames of a group.
  struct Kept {
    Images<Complex> residual;               // behind the last slice
    Images<Complex> front;                  // with slices: the residual behind the first one,
    std::vector<Images<Complex>> incoming;  // and the waves that meet the others
  };
  struct Work {
    Images<Complex> shifted;  // fractional positions only
    Images<Complex> change;   // with slices, as the next
    Buffer<double> totals;
  };

  static BatchView<Complex> at(Images<Complex>& images, std::ptrdiff_t place) {
    BatchView<Complex> view = images.view();
    view.data += place * view.frame_stride;
    return view;
  }

  int slices_;
  std::vector<Kept> kept_;  // of each part
  std::vector<Work> work_;  // of each lane
};

}  // namespace exitwave
