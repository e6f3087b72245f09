#pragma once

#include <string>
#include <vector>

#include "core/buffer.hpp"
#include "core/images.hpp"
#include "engines/layout.hpp"
#include "engines/model.hpp"
#include "engines/partial_sums.hpp"
#include "engines/point_spread.hpp"
#include "engines/problem.hpp"
#include "engines/state.hpp"
#include "kernels/background.hpp"
#include "storage/archive.hpp"

namespace exitwave {

// The background under refinement: counts b >= 0 that all frames have beside those of their waves.
// With S = -sum dL/dI and W = sum d2L/dI2 over all frames of an iteration, and G that smooths,
//
//   b <- max(0, b + G[ G[S] / (G[W] + d max G[W]) ])
//
// Bright pixels say little of b (W goes as 1 / I) and d holds them back, so that they do not take
// up what the object does not explain yet. Without d they ran away: five times the background in
// sum after 80 iterations, and an object 2.5 times worse; any d from 0.03 to 0.3 was as good.
template <class Backend>
class Background {
 public:
  using Lane = typename Backend::Lane;

  Background(Backend& backend, Problem<Backend>& problem, State<Backend>& state,
             const EngineOptions& options)
      : backend_(backend),
        problem_(problem),
        state_(state),
        sums_(backend, state.windows(), probe_owners(problem.scan()), 1),
        smoothing_(backend, problem, options.background_smoothing) {
    for (int copy = 0; copy < state.copies(); ++copy) {
      work_.emplace_back();
      if (!backend.holds(copy)) continue;
      Memory& memory = backend.memory(copy);
      memory.account("sums");
      const Extent two{1, 2, problem.scan().ny, problem.scan().nx};
      work_.back() = {Images<Real>(memory, two),
                      smoothing_.sharp() ? Images<Real>() : Images<Real>(memory, two),
                      Buffer<double>(memory, 1)};
    }
  }

  // What the frames of a batch say, `slope` being -dL/dI; both (frames, 1, ny, nx).
  void add(Lane& lane, Model<Backend>& model, const Batch& b, BatchView<const Real> slope,
           BatchView<const Real> curvature) {
    lane.run(model.frames(b), model.sum_frames(1, sums_.sum(b.part), kernels::SlopeOfFrame{slope}),
             model.sum_frames(1, sums_.weight(b.part), kernels::CurvatureOfFrame{curvature}));
  }

  // From what all frames said since the last one.
  void step() {
    make_whole();
    state_.for_each_copy(backend_, [&](Lane& lane, int part) { step(lane, part); });
  }

  // (ny, nx), first pixel as the waves have it.
  void read(Real* target) {
    for (int copy = 0; copy < state_.copies(); ++copy) {
      if (!backend_.holds(copy)) continue;
      const std::size_t pixels = state_.window().pixels();
      return problem_.background(copy).buffer().download(target, 0, pixels);
    }
  }

  void state(Archive& archive) {
    for (int copy = 0; copy < state_.copies(); ++copy)
      archive.buffer("background/" + std::to_string(copy), problem_.background(copy).buffer());
  }

 private:
  static constexpr double kInertia = 0.03;

  struct Work {
    Images<Real> terms;
    Images<Real> spread;
    Buffer<double> largest;
  };

  // The sums of all frames, wherever a part has a background.
  void make_whole() {
    const auto for_each_part = [&](const auto& f) {
      backend_.for_each_part([&](Lane& lane, int, int part) { f(lane, part); });
    };
    for_each_part([&](Lane& lane, int part) { sums_.send(lane, part, nullptr); });
    travel(true);
    for_each_part([&](Lane& lane, int part) {
      sums_.collect(lane, part);
      if (!backend_.shared()) sums_.give_back(lane, part);
    });
    if (backend_.shared()) return;
    travel(false);
    for_each_part([&](Lane& lane, int part) { sums_.take_back(lane, part); });
  }
  void travel(bool to_owners) {
    Communicator* communicator = backend_.ranks().communicator;
    if (communicator == nullptr) return;
    sums_.post(to_owners);
    communicator->finish();
    sums_.arrive(to_owners);
  }

  void step(Lane& lane, int part) {
    Work& w = work_[std::size_t(part)];
    const BatchView<Real> images = w.terms.view();
    const CanvasView<Real> terms{images.data, images.mode_stride, images.row_stride};
    const auto smooth = [&] {
      if (!smoothing_.sharp())
        smoothing_.spread(lane, part, w.terms.extent(), images, w.spread.view());
    };
    const Region& window = state_.window();
    lane.map(window, 1, kernels::BackgroundTerms{terms, sums_.sum(part), sums_.weight(part)});
    smooth();
    lane.largest(window, terms.every(1, 1), w.largest.data());
    lane.map(window, 1, kernels::BackgroundQuotient{terms, {{w.largest.data(), 1, 1}, kInertia}});
    smooth();
    const BatchView<Real> background = problem_.background(part).view();
    lane.map(window, 1,
             kernels::StepBackground{{background.data, 0, background.row_stride}, terms});
    sums_.clear(lane, part);
  }

  Backend& backend_;
  Problem<Backend>& problem_;
  State<Backend>& state_;
  PartialSums<Backend> sums_;
  PointSpread<Backend> smoothing_;
  std::vector<Work> work_;  // of each copy
};

}  // namespace exitwave
