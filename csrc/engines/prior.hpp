#pragma once

#include <cmath>
#include <vector>

#include "core/communicator.hpp"
#include "engines/engine.hpp"
#include "engines/field.hpp"
#include "engines/partial_sums.hpp"
#include "engines/problem.hpp"
#include "engines/state.hpp"
#include "kernels/limits.hpp"
#include "kernels/prior.hpp"
#include "kernels/regularise.hpp"

namespace exitwave {

// What is known of the object beforehand (kernels/prior.hpp): as a step of its own after the update
// of an engine, or as a part of the loss of an engine that has one. In units of the mean
// illumination, so that neither exposure nor the number of frames or pixels changes what a strength
// means.
//
// A step needs neighbours that other parts own: owners find the change of their pixels, in the sums
// of the object, which are zero between updates, and the sums return to all as in any update.
template <class Backend>
class Prior {
 public:
  using Lane = typename Backend::Lane;

  Prior(Backend& backend, Problem<Backend>& problem, State<Backend>& state,
        PartialSums<Backend>& sums, const EngineOptions& options)
      : backend_(backend), problem_(problem), state_(state), sums_(sums), options_(options) {
    if (options.smoothness > 0 || options.object_blur > 0 || in_loss()) mark_reached();
  }

  // Whether there is more than `smoothness` of the whole object, which losses have in another form.
  bool in_loss() const {
    return options_.object_tv > 0 || options_.object_l1 > 0 || options_.object_reweighted_l1 > 0 ||
           options_.object_l2 > 0 || (options_.prior_of_phase && options_.smoothness > 0);
  }

  // The object, one step after the update of an engine.
  void step() {
    if (options_.smoothness == 0 && !in_loss()) return;
    change([&](Lane& lane, int part) {
      with_field(part, Real(options_.smoothness), [&]<class Quantity>(const auto& field, Quantity) {
        lane.map(sums_.owned(part), state_.object_images(),
                 kernels::PriorChange<Quantity>{sums_.sum(part), field});
      });
    });
  }

  // The object smoothed by a Gaussian.
  void blur() {
    constexpr double kMost = 0.2;  // share of a difference in a step, which is stable up to 1/4
    const int steps = int(std::ceil(options_.object_blur / (2 * kMost)));
    for (int i = 0; i < steps; ++i)
      change([&](Lane& lane, int part) {
        const kernels::Neighbours object{state_.object(part), reached_.view(part),
                                         problem_.scan().object_ny, problem_.scan().object_nx};
        lane.map(
            sums_.owned(part), state_.object_images(),
            kernels::BlurChange{sums_.sum(part), object, Real(options_.object_blur / (2 * steps))});
      });
  }

  // sum <- sum - dR / d conj(O), at the pixels that the part owns
  void add_gradient(Lane& lane, int part, double power) {
    if (!in_loss()) return;
    with_field(part, loss_smoothness(), [&]<class Quantity>(const auto& field, Quantity) {
      lane.map(sums_.owned(part), state_.object_images(),
               kernels::PriorGradient<Quantity>{sums_.sum(part), field, Real(illumination(power))});
    });
  }
  // totals <- expansion of R along a direction, in units of the mean illumination
  void expand(Lane& lane, int part, CanvasView<const Complex> direction, double* totals) {
    if (!in_loss()) return;
    lane.clear(totals, 2 * sizeof(double));
    with_field(part, loss_smoothness(), [&]<class Quantity>(const auto& field, Quantity) {
      lane.sum(sums_.owned(part), state_.object_images(),
               kernels::PriorAlong<Quantity>{field, direction}, totals);
    });
  }

  // Mean of sum_j |P_j|^2 over the pixels that frames reach, for a probe of this power.
  double illumination(double power) const {
    return power * problem_.scan().frames / double(reached_pixels_);
  }
  CanvasView<const Real> reached(int part) { return reached_.view(part); }

 private:
  Real loss_smoothness() const { return options_.prior_of_phase ? Real(options_.smoothness) : 0; }

  void mark_reached() {
    const Region& reached = problem_.layout().reached();
    const Rect held = problem_.held();
    std::vector<Real> mask(held.pixels(), Real(0));
    for (const Span& s : reached.intersected(held).spans())
      for (int x = s.x0; x < s.x1; ++x)
        mask[std::size_t(s.y - held.y0) * std::size_t(held.nx()) + std::size_t(x - held.x0)] = 1;
    reached_ = Field<Backend, Real>(backend_, "prior", held, problem_.layout().tiles(), 1);
    reached_.upload(mask.data());
    reached_pixels_ = reached.pixels();
  }

  // f(field, quantity)
  template <class F>
  void with_field(int part, Real smoothness, const F& f) {
    const kernels::PriorStrength strength{
        smoothness, Real(options_.object_tv), Real(options_.object_l1),
        Real(options_.object_reweighted_l1), Real(options_.object_l2)};
    const auto call = [&]<class Quantity>(Quantity quantity) {
      f(kernels::PriorField<Quantity>{state_.object(part), reached_.view(part),
                                      problem_.scan().object_ny, problem_.scan().object_nx,
                                      strength},
        quantity);
    };
    if (options_.prior_of_phase)
      call(kernels::ObjectPhase{});
    else
      call(kernels::WholeObject{});
  }

  // find(lane, part): owners' change of the object in the sums, which all take.
  template <class F>
  void change(const F& find) {
    backend_.for_each_part([&](Lane& lane, int, int part) { find(lane, part); });
    return_sums();
    backend_.for_each_part([&](Lane& lane, int, int part) {
      lane.map(sums_.updated(part), state_.object_images(),
               kernels::TakeChange{state_.object(part), sums_.sum(part)});
    });
  }

  // What owners have found goes to all who hold the pixels.
  void return_sums() {
    if (backend_.shared()) return;
    sums_.choose_all();
    backend_.for_each_part([&](Lane& lane, int, int part) { sums_.give_back(lane, part); });
    if (Communicator* communicator = backend_.ranks().communicator) {
      sums_.post(false);
      communicator->finish();
      sums_.arrive(false);
    }
    backend_.for_each_part([&](Lane& lane, int, int part) { sums_.take_back(lane, part); });
  }

  Backend& backend_;
  Problem<Backend>& problem_;
  State<Backend>& state_;
  PartialSums<Backend>& sums_;
  const EngineOptions& options_;
  Field<Backend, Real> reached_;
  std::size_t reached_pixels_ = 0;  // of all parts; 0: not needed
};

}  // namespace exitwave
