#pragma once

#include <cmath>
#include <type_traits>
#include <vector>

#include "core/direction.hpp"
#include "core/images.hpp"
#include "engines/eigen_probes.hpp"
#include "engines/engine.hpp"
#include "engines/field.hpp"
#include "engines/problem.hpp"
#include "kernels/exit_wave.hpp"
#include "kernels/overlap.hpp"
#include "kernels/propagate.hpp"
#include "kernels/update.hpp"

namespace exitwave {

// Object and probe of a reconstruction, and what follows from the probe. Where parts share memory
// there is one probe, else each part holds a copy and updates it alike.
template <class Backend>
class State {
 public:
  using Lane = typename Backend::Lane;

  State(Backend& backend, Problem<Backend>& problem, const EngineOptions& options,
        const Complex* object, const Complex* probe)
      : problem_(problem),
        probe_modes_(options.probe_modes),
        object_modes_(options.object_modes),
        slices_(options.slices),
        window_(problem.window()),
        has_supports_(!options.probe_support.empty() || !options.probe_fourier_support.empty()),
        object_(backend, "object", problem.held(), problem.layout().tiles(),
                options.object_images()),
        probe_(backend, "probe", window_.rect(), windows(), options.probe_modes),
        eigen_(backend, problem, options.eigen_probes, options.probe_modes) {
    object_.upload(object);
    probe_.upload(probe);
    const int copies = backend.shared() ? 1 : problem.parts();
    for (int part = 0; part < copies; ++part)
      copies_.push_back(backend.holds(part) ? make_copy(backend.memory(part), options) : Copy{});
  }

  int probe_modes() const { return probe_modes_; }
  int object_modes() const { return object_modes_; }
  int slices() const { return slices_; }
  // Images of the object: the slices of the first mode, of the second, ...
  int object_images() const { return object_modes_ * slices_; }
  // Parts with a probe of their own.
  int copies() const { return int(copies_.size()); }
  // f(lane, part) for each of them
  template <class F>
  void for_each_copy(Backend& backend, const F& f) {
    backend.for_each_part([&](Lane& lane, int, int part) {
      if (part < copies()) f(lane, part);
    });
  }
  // f(first, last, mode) for the object modes; first and last are compile-time constants.
  template <class F>
  void for_each_object_mode(const F& f) const {
    const int modes = object_modes_;
    if (modes == 1) return f(std::true_type{}, std::true_type{}, 0);
    f(std::true_type{}, std::false_type{}, 0);
    for (int mode = 1; mode < modes - 1; ++mode) f(std::false_type{}, std::false_type{}, mode);
    f(std::false_type{}, std::true_type{}, modes - 1);
  }
  std::vector<Rect> windows() const {
    return std::vector<Rect>(std::size_t(problem_.parts()), problem_.window());
  }
  const Region& window() const { return window_.region; }

  Field<Backend, Complex>& object() { return object_; }
  Field<Backend, Complex>& probe() { return probe_; }
  // What the probes of frames differ by.
  EigenProbes<Backend>& eigen() { return eigen_; }
  CanvasView<Complex> object(int part) { return object_.view(part); }
  // One slice of all modes.
  CanvasView<Complex> object(int part, int slice) { return object(part).every(slices_, slice); }
  CanvasView<Complex> probe(int part) { return probe_.view(part); }

  BatchView<const Complex> probe_images(int part) {
    const CanvasView<Complex> p = probe_.view(part);
    return {p.data, 0, p.mode_stride, p.row_stride};
  }
  BatchView<const Real> intensity(int part) { return copy(part).intensity.repeated(); }
  BatchView<const Complex> spectrum(int part) { return copy(part).spectrum.repeated(); }

  // Restricts a probe-like field to its supports: real space first, then Fourier space.
  void apply_supports(Lane& lane, int part, CanvasView<Complex> field) {
    Copy& c = copy(part);
    if (c.support.size() != 0)
      lane.map(window(), probe_modes_, kernels::Multiply{field, image_view(c.support)});
    if (c.fourier_support.size() == 0) return;
    const CanvasView<Complex> work = stack_view(c.work);
    const Extent n = c.work.extent();
    lane.map(window(), probe_modes_, kernels::Copy<Complex>{work, field});
    lane.fft2(n, c.work.view(), Direction::forward);
    lane.map(window(), probe_modes_, kernels::Multiply{work, image_view(c.fourier_support)});
    lane.fft2(n, c.work.view(), Direction::backward);
    lane.map(window(), probe_modes_, kernels::Copy<Complex>{field, work});
    lane.map(window(), probe_modes_, unscaled(field));
  }
  bool has_supports() const { return has_supports_; }

  // *total += power of the probe
  void add_probe_power(Lane& lane, int part, double* total) {
    lane.sum(window(), probe_modes_, kernels::Power{probe_.view(part)}, total);
  }

  // After a change of the probe, or of what frames' probes differ from it by: what follows from it,
  // its spectrum where positions are fractional, else its intensity.
  void refresh(Lane& lane, int part) {
    eigen_.refresh(lane, part);
    if (problem_.fractional())
      refresh_spectrum(lane, probe_.view(part), copy(part).spectrum);
    else
      refresh_intensity(lane, part);
  }
  void refresh_spectrum(Lane& lane, CanvasView<const Complex> field, Images<Complex>& spectrum) {
    if (!problem_.fractional()) return;
    lane.map(window(), probe_modes_, kernels::Copy<Complex>{stack_view(spectrum), field});
    lane.fft2(spectrum.extent(), spectrum.view(), Direction::forward);
  }

  // A real-space field from a sum of spectra, in place.
  void from_spectrum(Lane& lane, int part, CanvasView<Complex> field) {
    Copy& c = copy(part);
    const CanvasView<Complex> work = stack_view(c.work);
    lane.map(window(), probe_modes_, kernels::Copy<Complex>{work, field});
    lane.fft2(c.work.extent(), c.work.view(), Direction::backward);
    lane.map(window(), probe_modes_, kernels::Copy<Complex>{field, work});
    lane.map(window(), probe_modes_, unscaled(field));
  }

 private:
  struct Window {
    explicit Window(const Rect& r) : whole(r), region(r) {}
    const Rect& rect() const { return whole; }
    Rect whole;
    Region region;
  };
  struct Copy {
    Images<Complex> spectrum;  // (1, probe modes, ny, nx), for fractional positions
    Images<Real> intensity;    // (1, 1, ny, nx): sum_m |P_m|^2, for whole positions
    Images<Complex> work;      // as spectrum
    Buffer<Real> support;
    Buffer<Real> fourier_support;
  };

  // Undoes the factor of an unscaled pair of transforms.
  kernels::Scale<kernels::Given> unscaled(CanvasView<Complex> field) const {
    return {field, {1 / Real(window().pixels())}};
  }

  Copy make_copy(Memory& memory, const EngineOptions& options) {
    const Extent n{1, probe_modes_, problem_.scan().ny, problem_.scan().nx};
    memory.account("probe");
    Copy c;
    if (problem_.fractional())
      c.spectrum = Images<Complex>(memory, n);
    else
      c.intensity = Images<Real>(memory, {1, 1, n.ny, n.nx});
    if (problem_.fractional() || !options.probe_fourier_support.empty())
      c.work = Images<Complex>(memory, n);
    c.support = Buffer<Real>(memory, options.probe_support);
    c.fourier_support = Buffer<Real>(memory, options.probe_fourier_support);
    return c;
  }

  void refresh_intensity(Lane& lane, int part) {
    const BatchView<Real> intensity = copy(part).intensity.view();
    const CanvasView<Real> target{intensity.data, 0, intensity.row_stride};
    lane.map(window(), 1, kernels::Clear<Real>{target});
    using Sum = typename Lane::template ScatterAdd<Real, kernels::ProbeWeight>;
    lane.run({1, 1, problem_.scan().ny, problem_.scan().nx},
             Sum{probe_modes_, target, kernels::ProbeWeight{probe_images(part)}});
  }

  Copy& copy(int part) { return copies_[copies_.size() == 1 ? 0 : std::size_t(part)]; }
  CanvasView<const Real> image_view(const Buffer<Real>& image) const {
    return {image.data(), 0, problem_.scan().nx};
  }
  static CanvasView<Complex> stack_view(Images<Complex>& images) {
    const BatchView<Complex> v = images.view();
    return {v.data, v.mode_stride, v.row_stride};
  }

  Problem<Backend>& problem_;
  int probe_modes_;
  int object_modes_;
  int slices_;
  Window window_;
  bool has_supports_;
  Field<Backend, Complex> object_;
  Field<Backend, Complex> probe_;
  EigenProbes<Backend> eigen_;
  std::vector<Copy> copies_;
};

}  // namespace exitwave
