#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "core/buffer.hpp"
#include "core/direction.hpp"
#include "core/images.hpp"
#include "core/region.hpp"
#include "engines/field.hpp"
#include "engines/moving.hpp"
#include "engines/problem.hpp"
#include "kernels/probe_relaxation.hpp"
#include "kernels/update.hpp"

namespace exitwave {

// By what the probe of each frame differs from the probe: eigen-probes that all frames share, once
// wherever there is a probe, and the weights that frames have of them. Without room where all
// frames have the same probe.
template <class Backend>
class EigenProbes {
 public:
  using Lane = typename Backend::Lane;

  // `modes`: of the probe, and so of each eigen-probe.
  EigenProbes(Backend& backend, const Problem<Backend>& problem, int count, int modes)
      : problem_(problem), count_(count), modes_(modes), window_(problem.window()) {
    if (!on()) return;
    const std::vector<Rect> windows(std::size_t(problem.parts()), problem.window());
    images_ =
        Field<Backend, Complex>(backend, "eigen-probes", problem.window(), windows, count * modes);
    for (int part = 0; part < problem.parts(); ++part) {
      const bool copies = part == 0 || !backend.shared();
      if (copies) spectra_.emplace_back();
      rows_.emplace_back(Rect{0, 0, 1, problem.frames_of(part)});
      weights_.emplace_back();
      overlaps_.emplace_back();
      if (!backend.holds(part)) continue;
      Memory& memory = backend.memory(part);
      memory.account("eigen-probes");
      if (copies && problem.fractional()) spectra_.back() = Images<Complex>(memory, all_images());
      const std::size_t numbers = std::size_t(count) * std::size_t(problem.frames_of(part));
      weights_.back() = Buffer<Complex>(memory, numbers);
      overlaps_.back() = Buffer<Complex>(memory, numbers);
    }
  }

  bool on() const { return count_ > 0; }
  int count() const { return count_; }
  int modes() const { return modes_; }
  int images() const { return count_ * modes_; }
  Extent all_images() const { return {1, images(), problem_.scan().ny, problem_.scan().nx}; }

  CanvasView<Complex> view(int part) { return images_.view(part); }
  CanvasView<Complex> view(int part, int k) { return of(view(part), k); }
  // The images of one eigen-probe, of all that such a field has.
  CanvasView<Complex> of(CanvasView<Complex> all, int k) const { return all.every(1, k * modes_); }

  // One row of numbers for each eigen-probe, (count, part's frames): the weights, and in the same
  // way <E_k, T_n> of the last pass.
  CanvasView<Complex> weights(int part) { return rows(weights_, part); }
  CanvasView<Complex> overlaps(int part) { return rows(overlaps_, part); }
  const Region& row(int part) const { return rows_[std::size_t(part)]; }
  kernels::FrameNumbers numbers(CanvasView<const Complex> rows, int k, const int* frame) const {
    return {rows.at(k, 0, 0), frame};
  }

  // An eigen-probe as frames are made of it: its spectrum where positions are fractional.
  BatchView<const Complex> seen(int part, int k) {
    return seen(view(part), problem_.fractional() ? &spectrum(part) : nullptr, k);
  }
  BatchView<const Complex> seen(CanvasView<Complex> field, Images<Complex>* spectra, int k) const {
    if (spectra == nullptr) {
      const CanvasView<Complex> e = of(field, k);
      return {e.data, 0, e.mode_stride, e.row_stride};
    }
    const BatchView<Complex> all = spectra->repeated();
    return {all.data + k * modes_ * all.mode_stride, 0, all.mode_stride, all.row_stride};
  }

  // probe <- mean + sum_k w_nk E_k of a batch, all as spectra where positions are fractional.
  void compose(Lane& lane, int part, const int* frame, Extent n, BatchView<Complex> probe,
               BatchView<const Complex> mean) {
    for (int k = 0; k < count_; ++k)
      lane.map(n, kernels::AddEigenProbe{probe, k == 0 ? mean : BatchView<const Complex>(probe),
                                         seen(part, k), numbers(weights(part), k, frame)});
  }

  // What follows from such a field, in a part that holds one: its spectra.
  void refresh(Lane& lane, int part) {
    if (on() && problem_.fractional()) transform(lane, view(part), spectrum(part));
  }
  void transform(Lane& lane, CanvasView<const Complex> field, Images<Complex>& spectra) const {
    const BatchView<Complex> v = spectra.view();
    lane.map(
        window_, images(),
        kernels::Copy<Complex>{CanvasView<Complex>{v.data, v.mode_stride, v.row_stride}, field});
    lane.fft2(all_images(), v, Direction::forward);
  }

  // Eigen-probes (count, modes, ny, nx) and weights (frames of the scan, count), those of frames
  // that this process holds; waits for the lanes.
  void read(Complex* eigen, Complex* weights) {
    images_.download(eigen);
    for_each_weight([&](std::vector<Complex>& here, std::size_t at, std::size_t in_scan) {
      weights[in_scan] = here[at];
    });
  }
  void write(const Complex* eigen, const Complex* weights) {
    images_.upload(eigen);
    for_each_weight([&](std::vector<Complex>& here, std::size_t at, std::size_t in_scan) {
      here[at] = weights[in_scan];
    });
  }
  void move(Backend& backend, int dy, int dx) {
    if (on()) Moving(backend, images_, images(), true).move(dy, dx);
  }
  void state(Archive& archive) {
    images_.state(archive, "eigen_probes");
    for (std::size_t part = 0; part < weights_.size(); ++part)
      archive.buffer("probe_weights/" + std::to_string(part), weights_[part]);
  }

 private:
  CanvasView<Complex> rows(std::vector<Buffer<Complex>>& buffers, int part) {
    const int frames = problem_.frames_of(part);
    return {buffers[std::size_t(part)].data(), frames, frames};
  }
  Images<Complex>& spectrum(int part) {
    return spectra_[spectra_.size() == 1 ? 0 : std::size_t(part)];
  }

  // f(numbers of a part, place there, place in the scan's); goes to the device and back.
  template <class F>
  void for_each_weight(const F& f) {
    for (std::size_t part = 0; part < weights_.size(); ++part) {
      const std::vector<int>& frames = problem_.scan().parts[part];
      std::vector<Complex> here(weights_[part].size());
      if (here.empty()) continue;
      weights_[part].download(here.data());
      for (std::size_t k = 0; k < std::size_t(count_); ++k)
        for (std::size_t i = 0; i < frames.size(); ++i)
          f(here, k * frames.size() + i, std::size_t(frames[i]) * std::size_t(count_) + k);
      weights_[part].upload(here.data());
    }
  }

  const Problem<Backend>& problem_;
  int count_;
  int modes_;
  Region window_;
  Field<Backend, Complex> images_;
  std::vector<Images<Complex>> spectra_;  // of each copy of the probe
  std::vector<Region> rows_;              // of each part
  std::vector<Buffer<Complex>> weights_;  // the same
  std::vector<Buffer<Complex>> overlaps_;
};

}  // namespace exitwave
