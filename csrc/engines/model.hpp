#pragma once

#include <vector>

#include "core/direction.hpp"
#include "core/images.hpp"
#include "engines/intensities.hpp"
#include "engines/partial_sums.hpp"
#include "engines/point_spread.hpp"
#include "engines/problem.hpp"
#include "engines/slices.hpp"
#include "engines/state.hpp"
#include "kernels/exit_wave.hpp"
#include "kernels/overlap.hpp"
#include "kernels/positions.hpp"
#include "kernels/propagate.hpp"
#include "kernels/slices.hpp"
#include "kernels/spread.hpp"

namespace exitwave {

// Frames that a lane takes through a step together.
struct Batch {
  int part;
  const int* frame;  // numbers in the part
  int count;
  // Where their counts and exit waves are, see Block.
  Counts counts = {};
  const int* counts_at = nullptr;
  unsigned char* waves = nullptr;
  const int* waves_at = nullptr;
};

// What a lane needs for its batches; nothing is allocated while it runs.
struct Scratch {
  Images<Complex> wave;  // (batch, wave modes, ny, nx)
  // Waves that meet the slices, from the second on, each as wave.
  std::vector<Images<Complex>> incoming;
  std::vector<Images<Complex>> moved;  // with slices and moving positions: two more, as wave
  Images<Complex> probe;               // (batch, probe modes, ny, nx), fractional positions only
  Images<Complex> term;                // as probe
  Images<Real> counts;                 // (batch, 1, ny, nx), or one row
  // Where the detector spreads its light, two: (batch, sums over modes, ny, nx).
  Images<Real> light;
  Images<Real> spread;
  Images<Real> curvature;  // of the loss (batch, 1, ny, nx), where the background is refined
  Buffer<Real> keep;       // (batch), see ScaleWave
  Buffer<double> inside;   // (batch), see PowerBound
  Buffer<double> totals;   // (batch, up to 5)

  // Counts and, later, factors of a batch. Where a lane goes row by row and nobody looks at a whole
  // frame of them, all rows are one, which never leaves the cache.
  BatchView<Real> measured() {
    return counts.extent().ny == 1 ? BatchView<Real>{counts.view().data, 0, 0, 0} : counts.view();
  }
};

// Forward model of a batch, D[P O] or, with slices, D[O_S A .. A[O_1 P]], and its adjoint:
// residual waves back to sums of object and probe.
template <class Backend>
class Model {
 public:
  using Lane = typename Backend::Lane;

  Model(Backend& backend, Problem<Backend>& problem, State<Backend>& state,
        const EngineOptions& options)
      : problem_(problem),
        state_(state),
        slices_(backend, problem, options),
        intensities_(backend, problem, options.intensity_refinement),
        spread_(backend, problem, options.point_spread),
        batch_(backend.batch()) {
    const Scan& scan = problem.scan();
    const Real pixels = Real(scan.ny) * Real(scan.nx);
    // Far field transforms are unscaled, so stored waves are sqrt(pixels) times the unitary ones.
    scale_ = scan.near_field ? Real(1) : 1 / pixels;
    const bool whole_frames = options.needs_whole_frames() || !backend.row_by_row();
    for (int i = 0; i < backend.lanes(); ++i)
      scratch_.push_back(make_scratch(backend.lane_memory(i), whole_frames, options));
  }

  int batch() const { return batch_; }
  int slices() const { return slices_.count(); }
  Slices<Backend>& gaps() { return slices_; }
  Intensities<Backend>& intensities() { return intensities_; }
  int wave_modes() const { return state_.probe_modes() * state_.object_modes(); }
  // |stored wave|^2 to counts, and what a residual is multiplied by before it goes back.
  Real scale() const { return scale_; }
  Scratch& scratch(int lane) { return scratch_[std::size_t(lane)]; }
  Extent waves(const Batch& b) const {
    return {b.count, wave_modes(), problem_.scan().ny, problem_.scan().nx};
  }
  Extent probes(const Batch& b) const {
    return {b.count, state_.probe_modes(), problem_.scan().ny, problem_.scan().nx};
  }
  Extent frames(const Batch& b) const {
    return {b.count, 1, problem_.scan().ny, problem_.scan().nx};
  }

  // Detector step: the counts of the batch are loaded into s.measured() and meet a sum over the
  // modes of the waves there; operations on waves follow, whose factors it has left there.
  template <class Sum, class... Operations>
  void detect(Lane& lane, Scratch& s, const Batch& b, const Sum& sum,
              const Operations&... operations) {
    problem_.with_load(b.part, b.counts, b.counts_at, s.measured(), [&](const auto& load) {
      if (spread_.sharp())
        lane.run(frames(b), load, sum, operations...);
      else
        lane.run(frames(b), load);
    });
    if (spread_.sharp()) return;
    sum_spread(lane, s, b, sum);
    if constexpr (sizeof...(operations) > 0) change_waves(lane, s, b, operations...);
  }
  // Operations on waves with factors that were found for counts: what their light has to do with
  // them.
  template <class... Operations>
  void change_waves(Lane& lane, Scratch& s, const Batch& b, const Operations&... operations) {
    if (!spread_.sharp()) spread_.gather(lane, b.part, frames(b), s.measured(), s.spread.view());
    lane.run(frames(b), operations...);
  }

  // The probe under each frame: the same for all, or moved by the fraction of its position.
  kernels::ProbeMode probe(Lane& lane, Scratch& s, const Batch& b) {
    if (!problem_.fractional()) return {state_.probe_images(b.part), state_.object_modes()};
    return shifted(lane, state_.spectrum(b.part), s.probe, b);
  }
  kernels::ProbeMode shifted(Lane& lane, BatchView<const Complex> spectrum, Images<Complex>& target,
                             const Batch& b) {
    const Real scale = 1 / (Real(problem_.scan().ny) * Real(problem_.scan().nx));
    lane.map(probes(b), kernels::ShiftSpectrum{target.view(), spectrum,
                                               problem_.phase(b.part, b.frame), scale});
    lane.fft2(probes(b), target.view(), Direction::backward);
    return {target.view(), state_.object_modes()};
  }
  // A direction of the probe, under each frame; `spectrum` and `target`: for fractional positions.
  kernels::ProbeMode probe_direction(Lane& lane, const Batch& b, CanvasView<Complex> direction,
                                     Images<Complex>& spectrum, Images<Complex>& target) {
    if (problem_.fractional()) return shifted(lane, spectrum.repeated(), target, b);
    return {{direction.data, 0, direction.mode_stride, direction.row_stride},
            state_.object_modes()};
  }
  template <class T>
  kernels::Window<T> window(CanvasView<const T> image, const Batch& b) {
    return {image, problem_.corner(b.part), b.frame};
  }
  // A slice of the object, or of something like it.
  kernels::ObjectWindow object(CanvasView<const Complex> object, const Batch& b) {
    return {object, problem_.corner(b.part), b.frame, state_.object_modes()};
  }
  kernels::ObjectWindow object(const Batch& b, int slice) {
    return object(state_.object(b.part, slice), b);
  }

  // Exit wave to detector, in place.
  void forward(Lane& lane, const Batch& b, BatchView<Complex> wave) {
    lane.fft2(waves(b), wave, Direction::forward);
    if (problem_.scan().near_field) near_field<true>(lane, b, wave);
  }
  // Detector to exit wave; its adjoint.
  void backward(Lane& lane, const Batch& b, BatchView<Complex> wave) {
    if (!problem_.scan().near_field) return lane.fft2(waves(b), wave, Direction::backward);
    lane.fft2(waves(b), wave, Direction::forward);
    near_field<false>(lane, b, wave);
  }

  // Waves behind a slice to the next one, in place.
  void to_next_slice(Lane& lane, const Batch& b, BatchView<Complex> wave, int slice) {
    slices_.template propagate<true>(lane, b.frame, b.part, waves(b), wave, slice);
  }

  // The change of waves that meet a slice, in their place, see Slices::set_changes.
  void change_before_slice(Lane& lane, const Batch& b, BatchView<Complex> wave, int slice) {
    slices_.change(lane, b.part, waves(b), wave, slice - 1);
  }

  // wave <- model at the detector; returns the probe of the batch, which the adjoint needs again.
  kernels::ProbeMode model(Lane& lane, Scratch& s, const Batch& b) {
    const kernels::ProbeMode p = probe(lane, s, b);
    lane.map(waves(b), kernels::ExitWave{behind(s, 0), p, object(b, 0)});
    for (int slice = 1; slice < slices_.count(); ++slice) {
      const BatchView<Complex> incoming = behind(s, slice - 1);
      to_next_slice(lane, b, incoming, slice - 1);
      lane.map(waves(b), kernels::ExitWave{behind(s, slice), {incoming, 1}, object(b, slice)});
    }
    forward(lane, b, s.wave.view());
    intensities_.scale(lane, b.part, b.frame, waves(b), s.wave.view());
    return p;
  }

  // s.moved <- changes of the wave behind the last slice along moves of the window over all of them
  void move_through_slices(Lane& lane, Scratch& s, const Batch& b, const kernels::ProbeMode& p) {
    const BatchView<Complex> y = s.moved[0].view();
    const BatchView<Complex> x = s.moved[1].view();
    const Extent n = waves(b);
    lane.map(n, kernels::MoveThroughSlice<true>{y, x, p, object(b, 0), n.ny, n.nx});
    for (int slice = 1; slice < slices_.count(); ++slice) {
      to_next_slice(lane, b, y, slice - 1);
      to_next_slice(lane, b, x, slice - 1);
      lane.map(n, kernels::MoveThroughSlice<false>{
                      y, x, {behind(s, slice - 1), 1}, object(b, slice), n.ny, n.nx});
    }
  }

  // Adjoint, from the residual behind the last slice in s.wave to that behind the first. Sums of
  // all slices but this are added to on the way, and their weights. seen(lane, scratch, batch,
  // slice) sees the residual behind each slice, the last one first.
  template <class F>
  void back_through_slices(Lane& lane, Scratch& s, const Batch& b,
                           PartialSums<Backend>& object_sums, const F& seen) {
    const BatchView<Complex> chi = s.wave.view();
    for (int slice = slices_.count() - 1; slice > 0; --slice) {
      const BatchView<Complex> incoming = behind(s, slice - 1);
      seen(lane, s, b, slice);
      lane.run(frames(b),
               scatter(b, wave_modes(), object_sums.sum(b.part, slice),
                       kernels::SliceTerm{chi, incoming, state_.object_modes()}),
               scatter(b, wave_modes(), object_sums.weight(b.part, slice),
                       kernels::SliceWeight{incoming}),
               map(kernels::BackThroughSlice{chi, object(b, slice)}));
      slices_.template propagate<false>(lane, b.frame, b.part, waves(b), chi, slice - 1);
    }
    seen(lane, s, b, 0);
  }
  // From there, chi: object sum += sum conj(P) chi
  void add_object(Lane& lane, Scratch& s, const Batch& b, const kernels::ProbeMode& p,
                  CanvasView<Complex> sum) {
    lane.run(frames(b), scatter(b, wave_modes(), sum, kernels::ObjectTerm{s.wave.view(), p}));
  }
  // the same, and probe sum += sum conj(O) chi; for fractional positions the spectrum of it
  void add_both(Lane& lane, Scratch& s, const Batch& b, const kernels::ProbeMode& p,
                CanvasView<Complex> sum, CanvasView<Complex> probe_sum) {
    const kernels::ObjectWindow o = object(b, 0);
    if (problem_.fractional()) {
      add_object(lane, s, b, p, sum);
      add_unshifted(lane, s, b, o, probe_sum);
      return;
    }
    using Overlap = typename Lane::template ScatterOverlap<kernels::OverlapTerms>;
    lane.run(frames(b), Overlap{state_.probe_modes(),
                                state_.object_modes(),
                                sum,
                                probe_sum,
                                {s.wave.view(), p, o},
                                b.frame,
                                problem_.corner(b.part)});
  }

  // s.term <- spectrum of sum_k conj(O_k) chi, of the probe where the frame has it
  void probe_term(Lane& lane, Scratch& s, const Batch& b, const kernels::ObjectWindow& o) {
    const BatchView<Complex> term = s.term.view();
    lane.map(probes(b), kernels::FrameProbeTerm<false>{term, s.wave.view(), o, 0});
    for (int k = 1; k < state_.object_modes(); ++k)
      lane.map(probes(b), kernels::FrameProbeTerm<true>{term, s.wave.view(), o, k});
    lane.fft2(probes(b), term, Direction::forward);
  }

  // Weights. The object's is the probe's intensity, which for whole positions is the same in all
  // frames and added once per pass, row by row of the canvas; else it follows each frame.
  void add_object_weight(Lane& lane, const Batch& b, const kernels::ProbeMode& p,
                         CanvasView<Real> weight) {
    if (problem_.fractional())
      lane.run(frames(b), scatter(b, state_.probe_modes(), weight, kernels::ProbeWeight{p.probe}));
  }
  void add_object_weights(Lane& lane, const Batch& all, CanvasView<Real> weight) {
    if (!problem_.fractional() && all.count > 0)
      lane.run_canvas_rows(
          frames(all),
          scatter(all, 1, weight, kernels::ProbeIntensity{state_.intensity(all.part)}));
  }
  // probe weight += sum |O|^2
  void add_probe_weights(Lane& lane, const Batch& all, CanvasView<Real> weight) {
    lane.run_rows(frames(all),
                  sum_frames(state_.object_modes(), weight, kernels::ObjectWeight{object(all, 0)}));
  }

  // Operations of a lane, with the batch filled in.
  template <class T, class Body>
  auto scatter(const Batch& b, int modes, CanvasView<T> canvas, const Body& body) {
    return typename Lane::template ScatterAdd<T, Body>{modes, canvas, body, b.frame,
                                                       problem_.corner(b.part)};
  }
  template <class T, class Body>
  auto sum_frames(int modes, CanvasView<T> canvas, const Body& body) {
    return typename Lane::template ScatterAdd<T, Body>{modes, canvas, body};
  }
  template <class Body>
  auto sum_modes(const Body& body, Scratch& s) {
    return typename Lane::template SumModes<Body>{wave_modes(), body, s.totals.data()};
  }
  template <class Body>
  auto map(const Body& body) {
    return typename Lane::template Map<Body>{wave_modes(), body};
  }

 private:
  // Where the wave behind a slice is made: where it meets the next one, or where it leaves the
  // last.
  BatchView<Complex> behind(Scratch& s, int slice) {
    return slice + 1 < slices_.count() ? s.incoming[std::size_t(slice)].view() : s.wave.view();
  }

  // A sum over modes whose light is spread before it finishes.
  template <class Sum>
  void sum_spread(Lane& lane, Scratch& s, const Batch& b, const Sum& sum) {
    using Body = decltype(sum.body);
    using Keep = kernels::KeepSums<Body>;
    using Finish = kernels::WithSums<Body>;
    const Extent images{b.count, Body::kSums, problem_.scan().ny, problem_.scan().nx};
    const BatchView<Real> light = s.light.view();
    lane.run(frames(b),
             typename Lane::template SumModes<Keep>{sum.modes, {sum.body, light}, nullptr});
    spread_.spread(lane, b.part, images, light, s.spread.view());
    lane.run(frames(b), typename Lane::template SumModes<Finish>{1, {sum.body, light}, sum.totals});
  }

  Scratch make_scratch(Memory& memory, bool whole_frames, const EngineOptions& options) {
    const int ny = problem_.scan().ny;
    const int nx = problem_.scan().nx;
    memory.account("work");
    Scratch s;
    s.wave = Images<Complex>(memory, {batch_, wave_modes(), ny, nx});
    for (int slice = 1; slice < slices_.count(); ++slice)
      s.incoming.emplace_back(memory, s.wave.extent());
    for (int axis = 0; axis < 2 && slices_.count() > 1 && problem_.scan().moves(); ++axis)
      s.moved.emplace_back(memory, s.wave.extent());
    if (problem_.fractional()) {
      s.probe = Images<Complex>(memory, {batch_, state_.probe_modes(), ny, nx});
      s.term = Images<Complex>(memory, {batch_, state_.probe_modes(), ny, nx});
    }
    s.counts = Images<Real>(memory, whole_frames ? Extent{batch_, 1, ny, nx} : Extent{1, 1, 1, nx});
    if (!spread_.sharp()) {
      s.light = Images<Real>(memory, {batch_, options.spread_images(), ny, nx});
      s.spread = Images<Real>(memory, s.light.extent());
    }
    if (options.background_refinement) s.curvature = Images<Real>(memory, {batch_, 1, ny, nx});
    s.keep = Buffer<Real>(memory, std::size_t(batch_));
    s.inside = Buffer<double>(memory, std::size_t(batch_));
    s.totals = Buffer<double>(memory, 5 * std::size_t(batch_));
    return s;
  }

  template <bool Forward>
  void near_field(Lane& lane, const Batch& b, BatchView<Complex> wave) {
    if (problem_.fractional()) {
      lane.map(waves(b), kernels::PropagateFraction<Forward>{wave, problem_.kernel(b.part),
                                                             problem_.phase(b.part, b.frame)});
    } else {
      lane.map(waves(b), kernels::Propagate<Forward>{wave, problem_.kernel(b.part)});
    }
    lane.fft2(waves(b), wave, Direction::backward);
  }

  void add_unshifted(Lane& lane, Scratch& s, const Batch& b, const kernels::ObjectWindow& o,
                     CanvasView<Complex> sum) {
    probe_term(lane, s, b, o);
    lane.run(frames(b), sum_frames(state_.probe_modes(), sum,
                                   kernels::UnshiftedSpectrum{s.term.view(),
                                                              problem_.phase(b.part, b.frame)}));
  }

  Problem<Backend>& problem_;
  State<Backend>& state_;
  Slices<Backend> slices_;
  Intensities<Backend> intensities_;
  PointSpread<Backend> spread_;
  int batch_;
  Real scale_;
  std::vector<Scratch> scratch_;
};

}  // namespace exitwave
