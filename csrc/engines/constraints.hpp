#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "engines/engine.hpp"
#include "engines/partial_sums.hpp"
#include "engines/prior.hpp"
#include "engines/problem.hpp"
#include "engines/state.hpp"
#include "engines/totals.hpp"
#include "kernels/limits.hpp"
#include "kernels/slices.hpp"
#include "kernels/update.hpp"

namespace exitwave {

// What object and probe are held to, whatever the engine: supports of the probe after each of its
// updates; at the end of an iteration its power and smoothness, and what is known of the object.
template <class Backend>
class Constraints {
 public:
  using Lane = typename Backend::Lane;

  Constraints(Backend& backend, Problem<Backend>& problem, State<Backend>& state,
              PartialSums<Backend>& object_sums, PartialSums<Backend>& probe_sums,
              Totals<Backend>& totals, const EngineOptions& options)
      : backend_(backend),
        state_(state),
        object_sums_(object_sums),
        probe_sums_(probe_sums),
        totals_(totals),
        options_(options),
        prior_(backend, problem, state, object_sums, options) {
    if (!options.object_flat.empty() || options.flat_amplitude >= 0) find_flat(problem.scan());
    if (options.kappa_region.empty()) return;
    const Region material = marked(problem.scan(), options.kappa_region);
    for (int part = 0; part < problem.parts(); ++part)
      material_owned_.push_back(object_sums.owned(part).intersected(material));
  }

  Prior<Backend>& prior() { return prior_; }
  // Of the probe at the start.
  double power() const { return power_; }

  // The power that is held is that of the start, behind its supports.
  void start() {
    state_.for_each_copy(backend_, [&](Lane& lane, int part) {
      state_.apply_supports(lane, part, state_.probe(part));
      state_.refresh(lane, part);
      measure_power(lane, part, found::kPower);
    });
    power_ = totals_.read()[found::kPower];
  }

  // After an update of the probe.
  void restrict_probe(Lane& lane, int part) {
    if (!state_.has_supports()) return;
    measure_power(lane, part, found::kUncut);
    lane.copy(totals_.own(part, found::kCutOf), totals_.own(part, found::kUncut), sizeof(double));
    state_.apply_supports(lane, part, state_.probe(part));
    measure_power(lane, part, found::kCut);
  }

  // Probe power back at its start value. The factor goes from probe to object, to its first slice,
  // so exit waves do not change.
  void hold_power() {
    const auto factor = [&](int part, bool inverse) {
      return kernels::PowerFactor{totals_.alone(part, found::kPower), power_, inverse};
    };
    state_.for_each_copy(backend_, [&](Lane& lane, int part) {
      measure_power(lane, part, found::kPower);
      lane.map(state_.window(), state_.probe_modes(),
               kernels::Scale<kernels::PowerFactor>{state_.probe(part), factor(part, false)});
      if (state_.eigen().on())
        lane.map(
            state_.window(), state_.eigen().images(),
            kernels::Scale<kernels::PowerFactor>{state_.eigen().view(part), factor(part, false)});
      state_.refresh(lane, part);
    });
    backend_.for_each_part([&](Lane& lane, int, int part) {
      lane.map(object_sums_.updated(part), state_.object_modes(),
               kernels::Scale<kernels::PowerFactor>{state_.object(part, 0), factor(part, true)});
    });
  }

  void smooth_probe() {
    if (options_.probe_smoothness == 0) return;
    state_.for_each_copy(backend_, [&](Lane& lane, int part) {
      const Rect window = state_.windows()[0];
      lane.map(state_.window(), state_.probe_modes(),
               kernels::SmoothChange{probe_sums_.sum(part), state_.probe(part), window.ny(),
                                     window.nx(), Real(options_.probe_smoothness)});
      lane.map(state_.window(), state_.probe_modes(),
               kernels::TakeChange{state_.probe(part), probe_sums_.sum(part)});
      state_.apply_supports(lane, part, state_.probe(part));
      state_.refresh(lane, part);
    });
  }

  // From the next iteration on: whether iterations end with what follows, and whether the ratio of
  // one material is found anew then.
  void set_due(bool due, bool refine_kappa) {
    due_ = due;
    refine_kappa_ = refine_kappa;
  }

  // End of an iteration, but for the power. `step`: the weights of what is known of the object are
  // no part of a loss.
  void apply(bool update_probe, bool step) {
    if (!due_) return;
    if (update_probe) smooth_probe();
    if (step) prior_.step();
    prior_.blur();
    smooth_slices();
    limit_object();
  }

  // The object drawn together along its slices.
  void smooth_slices() {
    if (options_.slice_smoothness > 0)
      backend_.for_each_part([&](Lane& lane, int, int part) { smooth_slices(lane, part); });
  }

  // Limits of single pixels of the object, then its flat region.
  void limit_object() {
    if (options_.one_material && refine_kappa_) measure_material();
    if (options_.clip || options_.positivity != Positivity::none || options_.one_material)
      backend_.for_each_part([&](Lane& lane, int, int part) { limit_pixels(lane, part); });
    if (flat_owned_.empty()) return;
    for (int image = 0; image < state_.object_images(); ++image) flatten(image);
  }

  void measure_power(Lane& lane, int part, int place) {
    totals_.clear(lane, part, place, 1);
    state_.add_probe_power(lane, part, totals_.own(part, place));
  }

  void state(Archive& archive) { archive.number("probe_power", power_); }

 private:
  // Takes the sums of the object, which are zero between updates.
  void smooth_slices(Lane& lane, int part) {
    const Region& region = object_sums_.updated(part);
    const int last = state_.slices() - 1;
    for (int slice = 0; slice <= last; ++slice)
      lane.map(region, state_.object_modes(),
               kernels::SmoothSlice{
                   object_sums_.sum(part, slice), state_.object(part, std::max(slice - 1, 0)),
                   state_.object(part, slice), state_.object(part, std::min(slice + 1, last)),
                   Real(options_.slice_smoothness)});
    lane.map(region, state_.object_images(),
             kernels::TakeChange{state_.object(part), object_sums_.sum(part)});
  }

  void limit_pixels(Lane& lane, int part) {
    const Region& region = object_sums_.updated(part);
    const CanvasView<Complex> object = state_.object(part);
    const auto map = [&](const auto& body) { lane.map(region, state_.object_images(), body); };
    if (options_.one_material) map(kernels::OneMaterial{object, kappa(part)});
    if (options_.positivity == Positivity::real) map(kernels::PositiveReal{object});
    if (options_.positivity == Positivity::phase) map(kernels::PhaseSign{object, 1});
    if (options_.positivity == Positivity::negative_phase) map(kernels::PhaseSign{object, -1});
    if (options_.clip)
      map(kernels::ClipAmplitude{object, Real(options_.clip_low), Real(options_.clip_high)});
  }

  void measure_material() {
    backend_.for_each_part([&](Lane& lane, int, int part) {
      totals_.clear(lane, part, found::kMaterial, 2);
      lane.sum(material_owned_[std::size_t(part)], state_.object_images(),
               kernels::MaterialSums{state_.object(part)}, totals_.own(part, found::kMaterial));
      totals_.share(lane, part);
    });
    totals_.exchange();
  }
  kernels::MaterialRatio kappa(int part) {
    if (!refine_kappa_) return {{}, options_.kappa};
    return {totals_.across(part, found::kMaterial), options_.kappa};
  }

  // Pixels that an image of the whole object marks; without one all. Neighbours are in one span,
  // because lanes hold them.
  static Region marked(const Scan& scan, const std::vector<unsigned char>& image) {
    std::vector<Span> spans;
    for (int y = 0; y < scan.object_ny; ++y)
      for (int x = 0; x < scan.object_nx; ++x) {
        if (!image.empty() && !image[std::size_t(y) * std::size_t(scan.object_nx) + std::size_t(x)])
          continue;
        if (!spans.empty() && spans.back().y == y && spans.back().x1 == x)
          ++spans.back().x1;
        else
          spans.push_back({y, x, x + 1, 0});
      }
    return Region::from_spans(std::move(spans));
  }

  void find_flat(const Scan& scan) {
    const Region flat = marked(scan, options_.object_flat);
    for (int part = 0; part < int(scan.parts.size()); ++part) {
      flat_owned_.push_back(object_sums_.owned(part).intersected(flat));
      flat_updated_.push_back(object_sums_.updated(part).intersected(flat));
    }
  }

  void flatten(int image) {
    const auto flat = [&](int part) {
      return kernels::FlatSum{state_.object(part), image,
                              options_.object_flat.empty() ? Real(options_.flat_amplitude) : 0};
    };
    backend_.for_each_part([&](Lane& lane, int, int part) {
      totals_.clear(lane, part, found::kFlat, 3);
      lane.sum(flat_owned_[std::size_t(part)], 1, flat(part), totals_.own(part, found::kFlat));
      totals_.share(lane, part);
    });
    totals_.exchange();
    backend_.for_each_part([&](Lane& lane, int, int part) {
      lane.map(
          flat_updated_[std::size_t(part)], 1,
          kernels::Flatten{state_.object(part), flat(part), totals_.across(part, found::kFlat)});
    });
  }

  Backend& backend_;
  State<Backend>& state_;
  PartialSums<Backend>& object_sums_;
  PartialSums<Backend>& probe_sums_;
  Totals<Backend>& totals_;
  const EngineOptions& options_;
  Prior<Backend> prior_;
  std::vector<Region> material_owned_;  // where the ratio of one material is looked for
  std::vector<Region> flat_owned_;
  std::vector<Region> flat_updated_;
  double power_ = 0;  // of the probe at the start
  bool due_ = true;
  bool refine_kappa_ = false;
};

}  // namespace exitwave
