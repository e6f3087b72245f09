#pragma once

#include <map>
#include <utility>
#include <vector>

#include "engines/reconstruction.hpp"

namespace exitwave {

// Alternating projections, difference map (Thibault et al., Ultramicroscopy 109, 338 (2009)) and
// relaxed averaged alternating reflections (Luke, Inverse Problems 21, 37 (2005)).
//
// DM and RAAR keep their exit waves at the detector: the model of P O is transformed anyway, so the
// reflection 2 model - stored needs no transform of its own. Two transforms per frame and mode, and
// the error of the model, not of a reflected wave, comes for free. Per frame pixel and mode: 8
// bytes kept, 16 moved.
//
// Object first, then probe, from one pass over the frames: the residual after the object's change
// dO is, to first order, the old one less P dO, so the probe's sum is corrected by P sum_j
// conj(O_j) dO_j, which takes neither transforms nor exit waves. Without it both would take the
// full step, and a factor common to them would overshoot and oscillate.
template <class Backend>
class Projections final : public Reconstruction<Backend> {
  using Base = Reconstruction<Backend>;
  using typename Base::Lane;

 public:
  Projections(const typename Backend::Settings& settings, const Scan& scan,
              const EngineOptions& options, const Complex* object, const Complex* probe)
      : Base(settings, scan, options, object, probe, 1, kept_bytes(scan, options)),
        reflects_(options.name != "AP"),
        a_(options.name == "DM" ? -options.beta : 1 - 2 * options.beta),
        b_(options.beta),
        bound_(options.power_bound * double(scan.valid_pixels())),
        overlap_(this->backend_, "sums", problem_.held(), problem_.layout().tiles(), 1),
        overlap_weight_(this->backend_, "sums", problem_.held(), problem_.layout().tiles(), 1) {
    if (!reflects_) return;
    for (int part = 0; part < this->parts(); ++part) {
      ramps_.emplace_back();
      if (!this->backend_.holds(part)) continue;
      Memory& memory = this->backend_.memory(part);
      ramps_.back() = {Buffer<Complex>(memory, std::size_t(scan.ny)),
                       Buffer<Complex>(memory, std::size_t(scan.nx))};
    }
  }

  void start() override {
    Base::start();
    if (reflects_) fill_stored();
  }

  IterationReport iterate(const std::vector<std::vector<int>>&, bool update_probe) override {
    this->pass_.take_all();
    this->forget(Base::kDeviation, 3);
    const auto sums = update_probe ? Base::ProbeSums::terms : Base::ProbeSums::none;
    const WaveAccess change{reflects_, reflects_};
    this->accumulate(sums, nullptr, change, [&](Lane& lane, Scratch& s, const Batch& b) {
      reflects_ ? reflect(lane, s, b) : project(lane, s, b);
    });
    update_object();
    if (update_probe) this->update_probe();
    this->constrain(update_probe);
    return this->report();
  }

  void move_probe(int dy, int dx) override {
    Base::move_probe(dy, dx);
    this->pass_.take_all();
    if (reflects_) move_stored(dy, dx);
  }

  // In the far field a kept wave is that of its frame's window, and moves with it by whole pixels;
  // in the near field it is that of the detector, which stands still.
  void set_positions(const std::vector<Corner>& corner,
                     const std::vector<Real>& fraction) override {
    if (reflects_ && !problem_.scan().near_field) follow_windows(corner);
    Base::set_positions(corner, fraction);
  }

 private:
  using Base::model_;
  using Base::options_;
  using Base::problem_;
  using Base::state_;

  // E <- D[P O]
  void fill_stored() {
    this->pass_.take_all();
    this->backend_.for_each_part([&](Lane& lane, int lane_number, int part) {
      this->for_each_batch(lane, lane_number, part, {false, true}, [&](Scratch& s, const Batch& b) {
        model_.model(lane, s, b);
        with_kept(b, [&]<class T>(const kernels::KeptWaves<T>& kept) {
          lane.map(model_.waves(b), kernels::StoreWave<T>{kept, s.wave.view()});
        });
      });
    });
  }

  void project(Lane& lane, Scratch& s, const Batch& b) {
    problem_.with_sensor(b.part, [&](const auto& sensor) {
      detect(lane, s, b, this->modulus_residual(s, sensor), this->scale_wave(s), 0);
    });
    this->template add_totals<1>(lane, s, b);
  }

  void reflect(Lane& lane, Scratch& s, const Batch& b) {
    with_kept(b, [&]<class T>(const kernels::KeptWaves<T>& kept) {
      const kernels::ReflectWave<T> change{s.wave.view(), kept,     s.measured(),  s.keep.data(),
                                           Real(a_),      Real(b_), model_.scale()};
      problem_.with_sensor(b.part, [&]<class Sensor>(const Sensor& sensor) {
        const kernels::ReflectedModulus<T, Sensor> modulus{s.measured(), s.wave.view(), kept,
                                                           model_.scale(), sensor};
        detect(lane, s, b, model_.sum_modes(modulus, s), model_.map(change), 1);
      });
    });
    this->template add_totals<2>(lane, s, b);
  }

  // Modulus, then the change of the wave. The power bound must know the whole frame in between.
  template <class Modulus, class Change>
  void detect(Lane& lane, Scratch& s, const Batch& b, const Modulus& modulus, const Change& change,
              int deviation) {
    if (bound_ < 0) return model_.detect(lane, s, b, modulus, change);
    model_.detect(lane, s, b, modulus);
    const int stride = deviation + 1;
    const double* deviations = s.totals.data() + deviation;
    lane.map({b.count, 1, 1, 1},
             kernels::PowerBound{s.keep.data(), s.inside.data(), deviations, stride, bound_});
    lane.add_totals(b.count, 1, s.inside.data(), this->totals_.own(b.part, Base::kInside));
    lane.run(model_.frames(b), change);
  }

  // Bytes that are kept of one frame.
  static std::size_t kept_bytes(const Scan& scan, const EngineOptions& options) {
    if (options.name == "AP") return 0;
    const std::size_t pixels = std::size_t(scan.ny) * std::size_t(scan.nx);
    return pixels * std::size_t(options.probe_modes * options.object_modes) *
           (options.storage.half ? sizeof(HalfComplex) : sizeof(Complex));
  }

  // f(kept exit waves of a batch), in the type that they are kept in.
  template <class F>
  void with_kept(const Batch& b, F&& f) {
    const Scan& scan = problem_.scan();
    const std::ptrdiff_t pixels = std::ptrdiff_t(scan.ny) * scan.nx;
    const auto kept = [&]<class T>(T* waves, Real scale) {
      const BatchView<T> view{waves, pixels * model_.wave_modes(), pixels, scan.nx};
      f(kernels::KeptWaves<T>{view, b.waves_at, scale});
    };
    if (options_.storage.half)
      kept(reinterpret_cast<HalfComplex*>(b.waves), options_.storage.half_scale);
    else
      kept(reinterpret_cast<Complex*>(b.waves), Real(1));
  }

  // All frames whose windows go the same way at once.
  void follow_windows(const std::vector<Corner>& corner) {
    std::map<std::pair<int, int>, std::vector<std::vector<int>>> moved;
    for (int frame = 0; frame < problem_.scan().frames; ++frame) {
      const Corner from = problem_.corner_of(frame);
      const Corner to = corner[std::size_t(frame)];
      if (to.y == from.y && to.x == from.x) continue;
      auto& numbers = moved[{to.y - from.y, to.x - from.x}];
      numbers.resize(std::size_t(this->parts()));
      const auto slot = problem_.slot(frame);
      numbers[std::size_t(slot.part)].push_back(slot.number);
    }
    for (auto& [move, numbers] : moved) {
      this->pass_.take(std::move(numbers));
      move_stored(-move.first, -move.second);
    }
  }

  // Of the frames of the pass.
  void move_stored(int dy, int dx) {
    const Scan& scan = problem_.scan();
    for (Ramps& ramps : ramps_) {
      if (ramps.along_y.size() == 0) continue;
      ramps.along_y.upload(kernels::phase_ramp(scan.ny, Real(dy)).data());
      ramps.along_x.upload(kernels::phase_ramp(scan.nx, Real(dx)).data());
    }
    this->backend_.for_each_part([&](Lane& lane, int lane_number, int part) {
      const Ramps& ramps = ramps_[std::size_t(part)];
      this->for_each_batch(lane, lane_number, part, {true, true}, [&](Scratch&, const Batch& b) {
        with_kept(b, [&]<class T>(const kernels::KeptWaves<T>& kept) {
          lane.map(model_.waves(b),
                   kernels::MoveWave<T>{kept, ramps.along_y.data(), ramps.along_x.data()});
        });
      });
    });
  }

  // Any value from 1 to 20 was as robust as a second pass over the exit waves, on probes that the
  // start did not know at all; without damping these diverge.
  static constexpr Real kChangeDamping = 4;

  void update_object() {
    this->complete(true, false);
    this->backend_.for_each_part([&](Lane& lane, int, int part) {
      state_.for_each_object_mode([&](auto first, auto last, int mode) {
        lane.map(
            this->object_sums_.updated(part), 1,
            kernels::RecordedStep<first, last>{
                state_.object(part), this->object_sums_.sum(part), this->object_sums_.weight(part),
                this->object_floor(part, options_.object_inertia), overlap_.view(part),
                overlap_weight_.view(part), kChangeDamping, mode});
      });
    });
  }

  void update_probe() {
    const int correction = state_.probe_modes();
    this->backend_.for_each_part([&](Lane& lane, int, int part) {
      sum_overlap(lane, part, correction);
      this->probe_sums_.send(lane, part, nullptr);
    });
    this->complete(false, true);
    this->backend_.for_each_part([&](Lane& lane, int, int part) {
      this->apply_probe(lane, part,
                        kernels::CorrectedStep{
                            state_.probe(part),
                            this->probe_quotient(part, 1.0, options_.probe_inertia), correction});
    });
  }

  // The correction of the probe's sum, and its weight, over all windows.
  void sum_overlap(Lane& lane, int part, int correction) {
    const Batch all = this->all_frames(part);
    CanvasView<Complex> sum = this->probe_sums_.sum(part);
    sum.data = sum.at(correction, 0, 0);
    lane.run_rows(
        model_.frames(all),
        model_.sum_frames(1, sum, model_.template window<Complex>(overlap_.view(part), all)),
        model_.sum_frames(1, this->probe_sums_.weight(part),
                          model_.template window<Real>(overlap_weight_.view(part), all)));
  }

  // Phases that move the kept waves, for each part.
  struct Ramps {
    Buffer<Complex> along_y;
    Buffer<Complex> along_x;
  };

  bool reflects_;
  double a_;
  double b_;
  double bound_;  // summed over valid pixels; negative: off
  std::vector<Ramps> ramps_;
  // Of the last update of the object, see RecordedStep.
  Field<Backend, Complex> overlap_;
  Field<Backend, Real> overlap_weight_;
};

}  // namespace exitwave
