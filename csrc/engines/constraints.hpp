#pragma once

#include "engines/engine.hpp"
#include "engines/partial_sums.hpp"
#include "engines/state.hpp"
#include "engines/totals.hpp"
#include "kernels/update.hpp"

namespace exitwave {

// What object and probe are held to, whatever the engine: supports of the probe after each of its
// updates; its power and the object's limits at the end of an iteration.
template <class Backend>
class Constraints {
 public:
  using Lane = typename Backend::Lane;

  Constraints(Backend& backend, State<Backend>& state, PartialSums<Backend>& object_sums,
              Totals<Backend>& totals, const EngineOptions& options)
      : backend_(backend),
        state_(state),
        object_sums_(object_sums),
        totals_(totals),
        options_(options) {}

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

  // End of an iteration: probe power held at its start value, object amplitude clipped. The factor
  // goes from probe to object, so exit waves do not change.
  void apply(bool hold_power) {
    if (hold_power) {
      state_.for_each_copy(backend_, [&](Lane& lane, int part) {
        measure_power(lane, part, found::kPower);
        lane.map(state_.window(), state_.probe_modes(),
                 kernels::Scale<kernels::PowerFactor>{state_.probe(part), factor(part, false)});
        state_.refresh(lane, part);
      });
    }
    if (!hold_power && !options_.clip) return;
    backend_.for_each_part([&](Lane& lane, int, int part) {
      const Region& region = object_sums_.updated(part);
      if (hold_power)
        lane.map(region, state_.object_modes(),
                 kernels::Scale<kernels::PowerFactor>{state_.object(part), factor(part, true)});
      if (options_.clip)
        lane.map(region, state_.object_modes(),
                 kernels::ClipAmplitude{state_.object(part), Real(options_.clip_low),
                                        Real(options_.clip_high)});
    });
  }

  void measure_power(Lane& lane, int part, int place) {
    totals_.clear(lane, part, place, 1);
    state_.add_probe_power(lane, part, totals_.own(part, place));
  }

  void state(Archive& archive) { archive.number("probe_power", power_); }

 private:
  kernels::PowerFactor factor(int part, bool inverse) {
    return {totals_.alone(part, found::kPower), power_, inverse};
  }

  Backend& backend_;
  State<Backend>& state_;
  PartialSums<Backend>& object_sums_;
  Totals<Backend>& totals_;
  const EngineOptions& options_;
  double power_ = 0;  // of the probe at the start
};

}  // namespace exitwave
