#pragma once

#include <algorithm>
#include <vector>

#include "core/buffer.hpp"
#include "core/direction.hpp"
#include "core/images.hpp"
#include "engines/engine.hpp"
#include "engines/problem.hpp"
#include "kernels/propagate.hpp"

namespace exitwave {

// Free space between the slices of an object: a transfer function for each gap in the memory of
// each part and, where frames differ in the tilt of their beam, ramps that move their waves. Where
// gaps are refined, what a change of them does to the spectra behind them as well.
template <class Backend>
class Slices {
 public:
  using Lane = typename Backend::Lane;

  Slices(Backend& backend, const Problem<Backend>& problem, const EngineOptions& options)
      : backend_(backend), problem_(problem), count_(options.slices) {
    if (count_ == 1) return;
    find_ramps(options);
    for (int part = 0; part < problem.parts(); ++part) {
      const bool copies = part == 0 || !backend.shared();
      if (copies) kernels_.emplace_back();
      if (copies) changes_.emplace_back();
      ramps_.emplace_back();
      if (!backend.holds(part)) continue;
      Memory& memory = backend.memory(part);
      memory.account("slices");
      const Extent gaps{1, count_ - 1, problem.scan().ny, problem.scan().nx};
      if (copies) kernels_.back() = Images<Complex>(memory, gaps);
      if (copies && options.refines_gaps) changes_.back() = Images<Complex>(memory, gaps);
      if (moved_gaps_.empty()) continue;
      ramps_.back() = {ramps(memory, options, part, 0), ramps(memory, options, part, 1)};
    }
    set_kernels(options.slice_kernels.data());
  }

  int count() const { return count_; }

  // Other transfer functions, (slices - 1, ny, nx), zero frequency first.
  void set_kernels(const Complex* kernels) { put(kernels_, kernels); }
  // What a small change of the gaps does: factors on spectra, as the kernels.
  void set_changes(const Complex* factors) { put(changes_, factors); }

  // Waves of a batch from slice `gap` to the next, in place; or the adjoint.
  template <bool Forward>
  void propagate(Lane& lane, const int* frame, int part, Extent waves, BatchView<Complex> wave,
                 int gap) {
    lane.fft2(waves, wave, Direction::forward);
    if (moved_gaps_.empty())
      lane.map(waves, kernels::Propagate<Forward>{wave, kernel(part, gap)});
    else
      lane.map(waves, kernels::PropagateFraction<Forward>{wave, kernel(part, gap),
                                                          back_by_tilt(part, frame, gap)});
    lane.fft2(waves, wave, Direction::backward);
  }

  // Waves behind a gap to what the change makes of them, in place.
  void change(Lane& lane, int part, Extent waves, BatchView<Complex> wave, int gap) {
    lane.fft2(waves, wave, Direction::forward);
    lane.map(waves, kernels::Propagate<true>{wave, image(changes_, part, gap)});
    lane.fft2(waves, wave, Direction::backward);
  }

 private:
  using Copies = std::vector<Images<Complex>>;  // one for each memory

  struct Ramps {
    Buffer<Complex> along_y;  // (moved gaps, part's frames, ny)
    Buffer<Complex> along_x;  // (moved gaps, part's frames, nx)
  };

  // Gaps of the same length share their ramps.
  void find_ramps(const EngineOptions& options) {
    const std::size_t size = 2 * std::size_t(problem_.scan().frames);
    for (int gap = 0; gap + 1 < count_ && !options.slice_shifts.empty(); ++gap) {
      const auto at = [&](int g) {
        return options.slice_shifts.begin() + std::ptrdiff_t(std::size_t(g) * size);
      };
      const auto same = [&](int g) { return std::equal(at(g), at(g + 1), at(gap)); };
      const auto found = std::find_if(moved_gaps_.begin(), moved_gaps_.end(), same);
      ramp_of_.push_back(int(found - moved_gaps_.begin()));
      if (found == moved_gaps_.end()) moved_gaps_.push_back(gap);
    }
  }

  BatchView<const Complex> kernel(int part, int gap) { return image(kernels_, part, gap); }
  static BatchView<const Complex> image(Copies& copies, int part, int gap) {
    BatchView<Complex> k = copies[copies.size() == 1 ? 0 : std::size_t(part)].repeated();
    return {k.data + gap * k.mode_stride, 0, 0, k.row_stride};
  }

  // PropagateFraction moves a wave back; ramps are those of the opposite move.
  kernels::FractionPhase back_by_tilt(int part, const int* frame, int gap) const {
    const Ramps& r = ramps_[std::size_t(part)];
    const std::ptrdiff_t first =
        std::ptrdiff_t(ramp_of_[std::size_t(gap)]) * problem_.frames_of(part);
    const Scan& scan = problem_.scan();
    return {r.along_y.data() + first * scan.ny, r.along_x.data() + first * scan.nx, frame, scan.ny,
            scan.nx};
  }

  // The factor undoes the unscaled pair of transforms around a kernel.
  void put(Copies& copies, const Complex* values) {
    const int ny = problem_.scan().ny;
    const int nx = problem_.scan().nx;
    const std::size_t pixels = std::size_t(ny) * std::size_t(nx);
    std::vector<Complex> scaled(values, values + std::size_t(count_ - 1) * pixels);
    for (Complex& value : scaled) value = 1 / (Real(ny) * Real(nx)) * value;
    for (std::size_t copy = 0; copy < copies.size(); ++copy)
      for (int gap = 0; gap + 1 < count_ && backend_.holds(int(copy)); ++gap)
        backend_.memory(int(copy)).copy_from_host(copies[copy].view().at({0, gap, 0, 0}),
                                                  scaled.data() + std::size_t(gap) * pixels,
                                                  pixels * sizeof(Complex));
  }

  Buffer<Complex> ramps(Memory& memory, const EngineOptions& options, int part, int axis) const {
    const std::size_t frames = std::size_t(problem_.scan().frames);
    const int n = axis == 0 ? problem_.scan().ny : problem_.scan().nx;
    std::vector<Complex> all;
    for (const int gap : moved_gaps_)
      for (const int frame : problem_.scan().parts[std::size_t(part)]) {
        const std::size_t row = std::size_t(gap) * frames + std::size_t(frame);
        const Real move = options.slice_shifts[2 * row + std::size_t(axis)];
        const std::vector<Complex> ramp = kernels::phase_ramp(n, -move);
        all.insert(all.end(), ramp.begin(), ramp.end());
      }
    return Buffer<Complex>(memory, all);
  }

  Backend& backend_;
  const Problem<Backend>& problem_;
  int count_;
  std::vector<int> moved_gaps_;  // those with ramps, one of each length
  std::vector<int> ramp_of_;     // of each gap, among these
  Copies kernels_;
  Copies changes_;
  std::vector<Ramps> ramps_;
};

}  // namespace exitwave
