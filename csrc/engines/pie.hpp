#pragma once

#include <utility>
#include <vector>

#include "engines/groups.hpp"
#include "engines/momentum.hpp"
#include "engines/reconstruction.hpp"

namespace exitwave {

// ePIE (Maiden & Rodenburg, Ultramicroscopy 109, 1256 (2009)), rPIE and mPIE (Maiden, Johnson & Li,
// Optica 4, 736 (2017)), with one update per group of frames. A group of one frame is the published
// sequential form.
template <class Backend>
class Pie final : public Reconstruction<Backend> {
  using Base = Reconstruction<Backend>;
  using typename Base::Lane;

 public:
  Pie(const typename Backend::Settings& settings, const Scan& scan, const EngineOptions& options,
      const Complex* object, const Complex* probe)
      : Base(settings, scan, options, object, probe) {
    if (options.momentum_period == 0) return;
    momentum_ = {this->backend_, problem_.held(), problem_.layout().tiles(),
                 options.object_images()};
    momentum_.begin(object);
  }

  IterationReport iterate(const std::vector<std::vector<int>>& groups, bool update_probe) override {
    this->forget(Base::kDeviation, 1);
    for (const std::vector<int>& group : groups) update(group, update_probe);
    this->constrain(update_probe);
    return this->report();
  }

  void move_probe(int dy, int dx) override {
    Base::move_probe(dy, dx);
    if (options_.momentum_period != 0) restart_momentum();
  }

  void state(Archive& archive) override {
    Base::state(archive);
    archive.number("updates", updates_);
    momentum_.state(archive, "");
  }

 private:
  using Base::options_;
  using Base::problem_;
  using Base::state_;

  void update(const std::vector<int>& group, bool update_probe) {
    Group frames = split_group(problem_, group);
    const Region& touched = frames.touched;
    this->pass_.take(std::move(frames.numbers));
    const auto sums = update_probe ? Base::ProbeSums::terms_and_weights : Base::ProbeSums::none;
    this->accumulate(sums, &touched, {}, [&](Lane& lane, Scratch& s, const Batch& b) {
      problem_.with_sensor(b.part, [&](const auto& sensor) {
        this->model_.detect(lane, s, b, this->modulus_residual(s, sensor), this->scale_wave(s));
      });
      this->template add_totals<1>(lane, s, b);
    });
    this->complete(true, update_probe);
    this->backend_.for_each_part([&](Lane& lane, int, int part) {
      step_object(lane, part);
      if (update_probe)
        this->apply_probe(lane, part,
                          kernels::QuotientStep{
                              state_.probe(part),
                              this->probe_quotient(part, 1 - options_.probe_alpha,
                                                   options_.probe_alpha + options_.probe_inertia),
                              Real(options_.probe_step)});
    });
    if (options_.momentum_period != 0 && ++updates_ % options_.momentum_period == 0) add_momentum();
  }

  void step_object(Lane& lane, int part) {
    const double inertia = options_.object_alpha + options_.object_inertia;
    // All slices together take the step of one.
    const Real step = Real(options_.object_step / state_.slices());
    for (int slice = 0; slice < state_.slices(); ++slice)
      state_.for_each_object_mode([&](auto, auto last, int mode) {
        lane.map(this->object_sums_.active(part), 1,
                 kernels::ObjectStep<last>{
                     state_.object(part, slice), this->object_sums_.sum(part, slice),
                     this->object_sums_.weight(part, slice), Real(1 - options_.object_alpha),
                     this->object_floor(part, inertia, slice), step, mode});
      });
  }

  void add_momentum() {
    this->backend_.for_each_part([&](Lane& lane, int, int part) {
      momentum_.step(lane, this->object_sums_.updated(part), part, state_.object(part),
                     options_.momentum);
    });
  }

  void restart_momentum() {
    this->backend_.for_each_part([&](Lane& lane, int, int part) {
      momentum_.rest(lane, this->object_sums_.updated(part), part, state_.object(part));
    });
  }

  long updates_ = 0;
  Momentum<Backend> momentum_;
};

}  // namespace exitwave
