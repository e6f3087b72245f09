#pragma once

#include <algorithm>
#include <vector>

#include "engines/groups.hpp"
#include "engines/loss_gradient.hpp"
#include "kernels/positions.hpp"

namespace exitwave {

// Loss and gradients of object and probe that somebody else updates. An iteration is one look at
// the frames of its first group, or at all: it leaves object and probe as they are. Where positions
// may move, it finds the slopes along them as well, in a second pass.
template <class Backend, class NoiseModel>
class Losses final : public LossGradient<Backend, NoiseModel> {
  using Base = LossGradient<Backend, NoiseModel>;
  using typename Base::Lane;

 public:
  Losses(const typename Backend::Settings& settings, const Scan& scan, const EngineOptions& options,
         const Complex* object, const Complex* probe)
      : Base(settings, scan, options, object, probe),
        object_gradient_(this->backend_, "gradients", problem_.held(), problem_.layout().tiles(),
                         options.object_images()),
        probe_gradient_(this->backend_, "gradients", problem_.window(), state_.windows(),
                        options.probe_modes) {
    if (scan.moves()) make_slopes(scan);
  }

  IterationReport iterate(const std::vector<std::vector<int>>& groups, bool) override {
    this->forget(Base::kLoss, 2);
    const auto sum = [&](const Region* touched) {
      this->template sum_gradients<kernels::LossAndResidual>(true, touched, Base::kLoss,
                                                             [](Lane&, int) {});
    };
    if (groups.empty()) {
      this->pass_.take_all();
      sum(nullptr);
    } else {
      Group group = split_group(problem_, groups.front());
      this->pass_.take(std::move(group.numbers));
      sum(&group.touched);
    }
    keep_gradients();
    if (problem_.scan().moves()) find_slopes();
    return told();
  }

  void get_gradients(Complex* object, Complex* probe) override {
    object_gradient_.download(object);
    probe_gradient_.download(probe);
  }

  void get_position_slopes(double* target) override {
    for (std::size_t part = 0; part < slopes_.size(); ++part) {
      const std::vector<int>& frames = problem_.scan().parts[part];
      for (const Buffer<double>* kept : {&slopes_[part], &wave_slopes_[part]}) {
        std::vector<double> rows(kept->size());
        kept->download(rows.data());
        for (std::size_t i = 0; i < rows.size(); ++i)
          target[2 * std::size_t(frames[i / 2]) + i % 2] += rows[i];
      }
    }
  }

 private:
  using Base::model_;
  using Base::object_sums_;
  using Base::probe_sums_;
  using Base::problem_;
  using Base::state_;
  using Base::totals_;

  void keep_gradients() {
    this->backend_.for_each_part([&](Lane& lane, int, int part) {
      const CanvasView<Complex> gradient = object_gradient_.view(part);
      lane.map(object_sums_.updated(part), state_.object_images(),
               kernels::Clear<Complex>{gradient});
      lane.map(object_sums_.active(part), state_.object_images(),
               kernels::TakeNegative{gradient, object_sums_.sum(part)});
      object_sums_.clear(lane, part);
      if (part >= state_.copies()) return;
      lane.map(state_.window(), state_.probe_modes(),
               kernels::TakeNegative{probe_gradient_.view(part), probe_sums_.sum(part)});
      probe_sums_.clear(lane, part);
    });
  }

  IterationReport told() {
    const std::vector<double> rows = totals_.read();
    IterationReport report;
    report.loss = this->found(rows, Base::kLoss);
    report.deviation = this->found(rows, Base::kLoss + 1);
    return report;
  }

  // --- slopes along positions -------------------------------------------------------------------

  void make_slopes(const Scan& scan) {
    for (int part = 0; part < this->parts(); ++part) {
      slopes_.emplace_back();
      wave_slopes_.emplace_back();
      if (!this->backend_.holds(part)) continue;
      Memory& memory = this->backend_.memory(part);
      memory.account("gradients");
      const std::size_t count = 2 * std::size_t(problem_.frames_of(part));
      slopes_.back() = Buffer<double>(memory, count);
      if (scan.near_field) wave_slopes_.back() = Buffer<double>(memory, count);
    }
    for (int lane = 0; lane < this->backend_.lanes() && scan.near_field; ++lane) {
      Memory& memory = this->backend_.lane_memory(lane);
      memory.account("work");
      exit_.emplace_back(memory, Extent{model_.batch(), model_.wave_modes(), scan.ny, scan.nx});
    }
  }

  void find_slopes() {
    this->backend_.for_each_part([&](Lane& lane, int lane_number, int part) {
      for (std::vector<Buffer<double>>* kept : {&slopes_, &wave_slopes_}) {
        Buffer<double>& all = (*kept)[std::size_t(part)];
        if (all.size() != 0) lane.clear(all.data(), all.bytes());
      }
      this->for_each_batch(lane, lane_number, part, [&](Scratch& s, const Batch& b) {
        const kernels::ProbeMode p = model_.model(lane, s, b);
        this->template find_residual<kernels::LossResidual>(lane, s, b);
        model_.backward(lane, b, s.wave.view());
        model_.probe_term(lane, s, b, model_.object(b, 0));
        if (problem_.scan().near_field)
          find_wave_slope(lane, s, exit_[std::size_t(lane_number)].view(), b, p);
        find_probe_slope(lane, s, b);
      });
    });
  }

  // The probe moves with the frame. Takes the place of the shifted probe.
  void find_probe_slope(Lane& lane, Scratch& s, const Batch& b) {
    lane.map(model_.probes(b), kernels::ShiftSpectrum{s.probe.view(), state_.spectrum(b.part),
                                                      problem_.phase(b.part, b.frame), Real(1)});
    keep_slope(lane, s, b, state_.probe_modes(), s.term.view(), s.probe.view(), -1, slopes_);
  }

  // In the near field the wave moves back on its way to the detector.
  void find_wave_slope(Lane& lane, Scratch& s, BatchView<Complex> exit, const Batch& b,
                       const kernels::ProbeMode& p) {
    lane.map(model_.waves(b), kernels::ExitWave{exit, p, model_.object(b, 0)});
    lane.fft2(model_.waves(b), exit, Direction::forward);
    lane.fft2(model_.waves(b), s.wave.view(), Direction::forward);
    keep_slope(lane, s, b, model_.wave_modes(), s.wave.view(), exit, 1, wave_slopes_);
  }

  // The residual is that of the negative gradient, and transforms are unscaled.
  void keep_slope(Lane& lane, Scratch& s, const Batch& b, int modes,
                  BatchView<const Complex> residual, BatchView<const Complex> wave, Real sign,
                  std::vector<Buffer<double>>& kept) {
    const int ny = problem_.scan().ny;
    const int nx = problem_.scan().nx;
    const double turn = 2 * 2 * 3.14159265358979323846 / (double(ny) * nx);
    const kernels::MoveSlope slope{residual, wave, sign * Real(turn), ny, nx};
    using Sum = typename Lane::template SumModes<kernels::MoveSlope>;
    lane.run(model_.frames(b), Sum{modes, slope, s.totals.data()});
    lane.map({b.count, 1, 1, 2},
             kernels::KeepTotals{kept[std::size_t(b.part)].data(), s.totals.data(), b.frame, 2});
  }

  Field<Backend, Complex> object_gradient_;
  Field<Backend, Complex> probe_gradient_;
  std::vector<Images<Complex>> exit_;        // of each lane, near field only
  std::vector<Buffer<double>> slopes_;       // of each part, (frames, 2)
  std::vector<Buffer<double>> wave_slopes_;  // the same, near field only
};

}  // namespace exitwave
