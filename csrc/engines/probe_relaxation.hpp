#pragma once

#include <string>
#include <vector>

#include "core/buffer.hpp"
#include "core/images.hpp"
#include "engines/eigen_probes.hpp"
#include "engines/field.hpp"
#include "engines/partial_sums.hpp"
#include "engines/problem.hpp"
#include "engines/state.hpp"
#include "engines/totals.hpp"
#include "kernels/descent.hpp"
#include "kernels/probe_relaxation.hpp"
#include "kernels/update.hpp"

namespace exitwave {

// Eigen-probes and weights as further unknowns of a descent along conjugate directions, beside
// object and probe: their negative gradients, those divided by what the loss bends by, directions
// and steps. Sums of the eigen-probes follow those of the probe's modes.
//
//   z of E_k:   z of a probe with that sum / mean_n |w_nk|^2
//   z of w_nk:  <E_k, T_n> / mean_n sum |O|^2 |E_k|^2
//
// Eigen-probes begin as noise without weights. A step along both has a part of second order in the
// probes of frames, which limits it (kernels::StepLength).
template <class Backend>
class ProbeRelaxation {
 public:
  using Lane = typename Backend::Lane;

  ProbeRelaxation(Backend& backend, Problem<Backend>& problem, State<Backend>& state,
                  PartialSums<Backend>& probe_sums)
      : backend_(backend),
        problem_(problem),
        state_(state),
        eigen_(state.eigen()),
        probe_sums_(probe_sums),
        totals_(backend, on() ? problem.parts() : 0, 2 * eigen_.count() + 2) {
    if (!on()) return;
    for (Field<Backend, Complex>* field : {&direction_, &old_, &z_})
      *field = {backend, "directions", problem.window(), state.windows(), eigen_.images()};
    for (int part = 0; part < problem.parts(); ++part) {
      if (part < state.copies()) spectra_.emplace_back();
      numbers_.emplace_back();
      if (!backend.holds(part)) continue;
      Memory& memory = backend.memory(part);
      memory.account("directions");
      if (part < state.copies() && problem.fractional())
        spectra_.back() = Images<Complex>(memory, eigen_.all_images());
      const auto buffer = [&] {
        return Buffer<Complex>(memory,
                               std::size_t(eigen_.count()) * std::size_t(problem.frames_of(part)));
      };
      numbers_.back() = Numbers{buffer(), buffer(), buffer()};
    }
  }

  bool on() const { return eigen_.on(); }
  void set(const Complex* eigen, const Complex* weights) {
    eigen_.write(eigen, weights);
    state_.for_each_copy(backend_, [&](Lane& lane, int part) {
      for (int k = 0; k < eigen_.count(); ++k)
        state_.apply_supports(lane, part, eigen_.view(part, k));
      state_.refresh(lane, part);
    });
  }
  // Whether the next iterations move the unknowns, where they move the probe.
  void allow(bool moves) { allowed_ = moves; }
  // Whether this iteration moves them where the last did not, or the other way around.
  bool begin(bool update_probe) {
    moved_ = moves_;
    moves_ = allowed_ && update_probe;
    return moves_ != moved_;
  }

  // z of all unknowns, from sums that are whole. `probe_z`: of the part's probe.
  template <class F>
  void precondition(const F& probe_z) {
    if (!moves_) return;
    measure();
    const double mean = 1 / double(problem_.scan().frames);
    backend_.for_each_part([&](Lane& lane, int, int part) {
      for (int k = 0; k < eigen_.count(); ++k) {
        const CanvasView<Complex> z = row(numbers(part).z, part, k);
        lane.map(eigen_.row(part), 1, kernels::Copy<Complex>{z, eigen_.overlaps(part).every(1, k)});
        lane.map(eigen_.row(part), 1,
                 kernels::Scale<kernels::InverseOfSum>{
                     z, {totals_.alone(part, eigen_power(k)), mean, 0}});
        if (part < state_.copies()) precondition_images(lane, part, k, probe_z(part), mean);
      }
    });
  }

  // Totals of kernels::GradientProducts, of the part's own numbers.
  void add_products(Lane& lane, int part, double* found) {
    if (!moves_) return;
    for_each_unknown(part, part == 0, [&](const Region& region, int images, const Unknown& u) {
      lane.sum(region, images,
               kernels::GradientProducts<kernels::Stored>{u.sum, u.old, u.direction,
                                                          kernels::Stored{u.z}},
               found);
    });
  }

  // direction <- z + beta direction, or none where nothing moves
  void turn(Lane& lane, int part, const kernels::Conjugacy& beta) {
    if (!moves_ && !moved_) return;
    for_each_unknown(part, part < state_.copies(),
                     [&](const Region& region, int images, const Unknown& u) {
                       if (!moves_)
                         return lane.map(region, images, kernels::Clear<Complex>{u.direction});
                       lane.map(region, images,
                                kernels::NextDirection<kernels::Stored>{
                                    u.direction, u.old, u.sum, kernels::Stored{u.z}, beta});
                     });
    refresh(lane, part);
  }

  // change <- mean + sum_k (w_nk dE_k + dw_nk E_k) of a batch; as spectra where positions are
  // fractional.
  void compose_change(Lane& lane, int part, const int* frame, Extent n, BatchView<Complex> change,
                      BatchView<const Complex> mean) {
    for (int k = 0; k < eigen_.count(); ++k) {
      lane.map(n, kernels::AddEigenProbe{change, k == 0 ? mean : BatchView<const Complex>(change),
                                         direction_seen(part, k),
                                         eigen_.numbers(eigen_.weights(part), k, frame)});
      lane.map(n, kernels::AddEigenProbe{change, change, eigen_.seen(part, k),
                                         eigen_.numbers(weight_direction(part), k, frame)});
    }
  }
  // bend <- sum_k dw_nk dE_k
  void compose_bend(Lane& lane, int part, const int* frame, Extent n, BatchView<Complex> bend) {
    lane.clear(bend.data, std::size_t(n.frames) * std::size_t(bend.frame_stride) * sizeof(Complex));
    for (int k = 0; k < eigen_.count(); ++k)
      lane.map(n, kernels::AddEigenProbe{bend, bend, direction_seen(part, k),
                                         eigen_.numbers(weight_direction(part), k, frame)});
  }

  // Powers of the waves' changes along the directions, which limit the step.
  void forget_changes() {
    if (!on()) return;
    backend_.for_each_part(
        [&](Lane& lane, int, int part) { totals_.clear(lane, part, changes(), 2); });
  }
  double* own_changes(int part) { return totals_.own(part, changes()); }
  void share_changes() {
    if (!on()) return;
    backend_.for_each_part([&](Lane& lane, int, int part) { totals_.share(lane, part); });
    totals_.exchange();
  }
  kernels::Across change_powers(int part) {
    return on() ? totals_.across(part, changes()) : kernels::Across{};
  }

  // In parts that hold a probe, this comes before what follows from the probe is found again.
  template <class Length>
  void step(Lane& lane, int part, const Length& length) {
    if (!moves_) return;
    for_each_unknown(
        part, part < state_.copies(), [&](const Region& region, int images, const Unknown& u) {
          lane.map(region, images, kernels::AddScaled<Length>{u.field, u.direction, length});
        });
  }

  void state(Archive& archive) {
    if (!on()) return;
    eigen_.state(archive);
    if (!archive.saving())
      state_.for_each_copy(backend_, [&](Lane& lane, int part) { state_.refresh(lane, part); });
    archive.number("relaxed", moves_);
    direction_.state(archive, "eigen_direction");
    old_.state(archive, "eigen_gradient");
    for (std::size_t part = 0; part < numbers_.size(); ++part) {
      archive.buffer("weight_direction/" + std::to_string(part), numbers_[part].direction);
      archive.buffer("weight_gradient/" + std::to_string(part), numbers_[part].old);
    }
  }

 private:
  // Mean square weight below which an eigen-probe is taken as if it had that: with 1e-6 to 1e-4
  // simulated scans needed the same number of iterations, with 1e-3 half as many again.
  static constexpr double kLeastWeight = 1e-4;

  // Of weights, (count, part's frames).
  struct Numbers {
    Buffer<Complex> direction;
    Buffer<Complex> old;
    Buffer<Complex> z;
  };
  // Eigen-probes, or the weights of a part.
  struct Unknown {
    CanvasView<Complex> field;
    CanvasView<Complex> sum;
    CanvasView<Complex> direction;
    CanvasView<Complex> old;
    CanvasView<Complex> z;
  };

  // f(region, images, unknown)
  template <class F>
  void for_each_unknown(int part, bool with_images, const F& f) {
    f(eigen_.row(part), eigen_.count(),
      Unknown{eigen_.weights(part), eigen_.overlaps(part), weight_direction(part),
              row(numbers(part).old, part, 0), row(numbers(part).z, part, 0)});
    if (with_images)
      f(state_.window(), eigen_.images(),
        Unknown{eigen_.view(part), sums(part), direction_.view(part), old_.view(part),
                z_.view(part)});
  }

  // Places in a row of the totals: sum_n |w_nk|^2, sum |E_k|^2 sum_n |O|^2, sum |P|^2, and two
  // powers of changes.
  int weight_power(int k) const { return k; }
  int eigen_power(int k) const { return eigen_.count() + k; }
  int changes() const { return 2 * eigen_.count(); }

  void measure() {
    backend_.for_each_part([&](Lane& lane, int, int part) {
      totals_.clear(lane, part, 0, 2 * eigen_.count());
      for (int k = 0; k < eigen_.count(); ++k) {
        lane.sum(eigen_.row(part), 1, kernels::Power{eigen_.weights(part).every(1, k)},
                 totals_.own(part, weight_power(k)));
        if (part >= state_.copies()) continue;
        if (problem_.fractional()) state_.from_spectrum(lane, part, eigen_.of(sums(part), k));
        lane.sum(state_.window(), eigen_.modes(),
                 kernels::PowerUnderWeight{eigen_.view(part, k), probe_sums_.weight(part)},
                 totals_.own(part, eigen_power(k)));
      }
      totals_.share(lane, part);
    });
    totals_.exchange();
  }

  void precondition_images(Lane& lane, int part, int k, kernels::Quotient quotient, double mean) {
    const CanvasView<Complex> z = eigen_.of(z_.view(part), k);
    quotient.sum = eigen_.of(sums(part), k);
    lane.map(state_.window(), eigen_.modes(), kernels::Store<kernels::Quotient>{z, quotient});
    lane.map(state_.window(), eigen_.modes(),
             kernels::Scale<kernels::InverseOfSum>{
                 z, {totals_.across(part, weight_power(k)), mean, kLeastWeight}});
    if (state_.has_supports()) state_.apply_supports(lane, part, z);
  }

  void refresh(Lane& lane, int part) {
    if (part < state_.copies() && problem_.fractional())
      eigen_.transform(lane, direction_.view(part), spectrum(part));
  }

  CanvasView<Complex> sums(int part) {
    return probe_sums_.sum(part).every(1, state_.probe_modes());
  }
  CanvasView<Complex> row(Buffer<Complex>& buffer, int part, int k) {
    const int frames = problem_.frames_of(part);
    return CanvasView<Complex>{buffer.data(), frames, frames}.every(1, k);
  }
  CanvasView<Complex> weight_direction(int part) { return row(numbers(part).direction, part, 0); }
  BatchView<const Complex> direction_seen(int part, int k) {
    return eigen_.seen(direction_.view(part), problem_.fractional() ? &spectrum(part) : nullptr, k);
  }
  Numbers& numbers(int part) { return numbers_[std::size_t(part)]; }
  Images<Complex>& spectrum(int part) {
    return spectra_[spectra_.size() == 1 ? 0 : std::size_t(part)];
  }

  bool allowed_ = false;
  bool moves_ = false;  // in this iteration
  bool moved_ = false;  // in the last one
  Backend& backend_;
  Problem<Backend>& problem_;
  State<Backend>& state_;
  EigenProbes<Backend>& eigen_;
  PartialSums<Backend>& probe_sums_;
  Totals<Backend> totals_;
  Field<Backend, Complex> direction_;
  Field<Backend, Complex> old_;
  Field<Backend, Complex> z_;
  std::vector<Images<Complex>> spectra_;  // of the directions, for each copy of the probe
  std::vector<Numbers> numbers_;          // of each part
};

}  // namespace exitwave
