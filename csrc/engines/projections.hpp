#pragma once

#include <vector>

#include "engines/reconstruction.hpp"

namespace exitwave {

// Alternating projections, difference map (Thibault et al., Ultramicroscopy 109, 338 (2009)) and
// relaxed averaged alternating reflections (Luke, Inverse Problems 21, 37 (2005)).
//
// DM and RAAR keep their exit waves at the detector: the model of P O is transformed anyway, so the
// reflection 2 model - stored needs no transform of its own. Two transforms per frame and mode, and
// the error of the model, not of a reflected wave, comes for free. Per frame pixel and mode: 8 bytes
// kept, 16 moved.
//
// Object first, then probe, from one pass over the frames: the residual after the object's change dO
// is, to first order, the old one less P dO, so the probe's sum is corrected by P sum_j conj(O_j)
// dO_j, which takes neither transforms nor exit waves. Without it both would take the full step, and
// a factor common to them would overshoot and oscillate.
template <class Backend>
class Projections final : public Reconstruction<Backend> {
  using Base = Reconstruction<Backend>;
  using typename Base::Lane;

 public:
  Projections(const typename Backend::Settings& settings, const Scan& scan,
              const EngineOptions& options, const Complex* object, const Complex* probe)
      : Base(settings, scan, options, object, probe, 1),
        reflects_(options.name != "AP"),
        a_(options.name == "DM" ? -options.beta : 1 - 2 * options.beta),
        b_(options.beta),
        bound_(options.power_bound * double(scan.valid_pixels())),
        change_(this->backend_, {0, 0, scan.object_ny, scan.object_nx}, problem_.layout().tiles(),
                options.object_modes) {
    if (!reflects_) return;
    for (int part = 0; part < this->parts(); ++part)
      stored_.emplace_back(this->backend_.memory(), Extent{problem_.frames_of(part), model_.wave_modes(), scan.ny, scan.nx});
    fill_stored();
  }

  IterationReport iterate(const std::vector<std::vector<int>>&, bool update_probe) override {
    this->set_all_frames();
    std::vector<long> in_bound(std::size_t(this->parts()), 0);
    const auto sums = update_probe ? Base::ProbeSums::terms : Base::ProbeSums::none;
    this->accumulate(sums, [&](Lane& lane, Scratch& s, const Batch& b) {
      long& left_alone = in_bound[std::size_t(b.part)];
      reflects_ ? reflect(lane, s, b, left_alone) : project(lane, s, b, left_alone);
    });
    update_object();
    if (update_probe) this->update_probe();
    this->constrain(update_probe && options_.hold_power);

    IterationReport report;
    report.deviation = this->take_totals()[0];
    report.frames_in_bound = std::accumulate(in_bound.begin(), in_bound.end(), 0L);
    report.cut_power = this->cut_power_;
    return report;
  }

  void move_probe(int dy, int dx) override {
    Base::move_probe(dy, dx);
    if (reflects_) move_stored(dy, dx);
  }

 private:
  using Base::model_;
  using Base::options_;
  using Base::problem_;
  using Base::state_;

  // E <- D[P O]
  void fill_stored() {
    this->set_all_frames();
    this->backend_.for_each_part(this->parts(), [&](Lane& lane, int lane_number, int part) {
      this->for_each_batch(lane_number, part, [&](Scratch& s, const Batch& b) {
        model_.model(lane, s, b);
        lane.map(model_.waves(b), kernels::StoreWave{stored(b), s.wave.view(), b.frame});
      });
    });
  }

  void project(Lane& lane, Scratch& s, const Batch& b, long& left_alone) {
    this->modulus_residual(lane, s, b);
    bound(lane, s, b, s.totals.data(), 1, left_alone);
    this->template add_totals<1>(lane, s, b);
    this->scale_wave(lane, s, b);
  }

  void reflect(Lane& lane, Scratch& s, const Batch& b, long& left_alone) {
    lane.sum_modes(model_.waves(b),
                   kernels::ReflectedModulus{s.measured.view(), s.wave.view(), stored(b), b.frame,
                                             model_.scale()},
                   s.totals.data());
    bound(lane, s, b, s.totals.data() + 1, 2, left_alone);
    this->template add_totals<2>(lane, s, b);
    lane.map(model_.waves(b),
             kernels::ReflectWave{s.wave.view(), stored(b), s.measured.view(), s.keep.data(),
                                  b.frame, Real(a_), Real(b_), model_.scale()});
  }

  void bound(Lane& lane, Scratch& s, const Batch& b, const double* deviation, int stride,
             long& left_alone) {
    if (bound_ < 0) return;
    lane.map({b.count, 1, 1, 1}, kernels::PowerBound{s.keep.data(), deviation, stride, bound_});
    for (int i = 0; i < b.count; ++i) left_alone += deviation[i * stride] <= bound_ ? 1 : 0;
  }

  void update_object() {
    this->exchange_object(nullptr);
    const double floor = options_.object_inertia * this->largest_weight(this->object_sums_);
    this->backend_.for_each_part(this->parts(), [&](Lane& lane, int, int part) {
      lane.map(this->object_sums_.updated(part), state_.object_modes(),
               kernels::RecordedStep{state_.object(part), change_.view(part),
                                     this->object_quotient(part, 1.0, floor)});
      this->object_sums_.clear(lane, part);
    });
  }

  void update_probe() {
    const int correction = state_.probe_modes();
    this->backend_.for_each_part(this->parts(), [&](Lane& lane, int lane_number, int part) {
      this->for_each_batch(lane_number, part, [&](Scratch&, const Batch& b) {
        const auto o = model_.object(state_.object(part), b);
        const auto change = model_.object(change_.view(part), b);
        lane.sum_frames(model_.windows(b), this->probe_sums_.sum(part),
                        kernels::ObjectChangeTerm{o, change, correction});
        model_.add_probe_weight(lane, b, this->probe_sums_.weight(part));
      });
    });
    this->exchange_probe();
    const double floor = options_.probe_inertia * this->largest_weight(this->probe_sums_);
    this->apply_probe([&](int part) {
      return kernels::CorrectedStep{state_.probe(part), this->probe_quotient(part, 1.0, floor),
                                    correction};
    });
  }

  BatchView<Complex> stored(const Batch& b) { return stored_[std::size_t(b.part)].view(); }

  void move_stored(int dy, int dx) {
    const Scan& scan = problem_.scan();
    Memory& memory = this->backend_.memory();
    const Buffer<Complex> along_y(memory, kernels::phase_ramp(scan.ny, Real(dy)));
    const Buffer<Complex> along_x(memory, kernels::phase_ramp(scan.nx, Real(dx)));
    this->backend_.for_each_part(this->parts(), [&](Lane& lane, int, int part) {
      Images<Complex>& stored = stored_[std::size_t(part)];
      lane.map(stored.extent(), kernels::MoveWave{stored.view(), along_y.data(), along_x.data()});
    });
  }

  bool reflects_;
  double a_;
  double b_;
  double bound_;  // summed over valid pixels; negative: off
  std::vector<Images<Complex>> stored_;
  Field<Backend, Complex> change_;  // of the object, in the last update
};

}  // namespace exitwave
