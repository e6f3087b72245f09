#pragma once

#include <vector>

#include "core/buffer.hpp"
#include "core/images.hpp"
#include "core/scan.hpp"
#include "engines/layout.hpp"
#include "kernels/detector.hpp"
#include "kernels/propagate.hpp"
#include "kernels/sensor.hpp"

namespace exitwave {

// A scan as the lanes see it, without its frames: corners, phases, mask and propagator in the
// memory of each part that is held here.
template <class Backend>
class Problem {
 public:
  using Lane = typename Backend::Lane;

  Problem(Backend& backend, const Scan& scan)
      : backend_(backend),
        scan_(scan),
        layout_(scan),
        fractional_(scan.fractional()),
        corner_(scan.corner),
        fraction_(scan.fraction),
        slot_(scan.corner.size()) {
    for (int part = 0; part < int(scan.parts.size()); ++part) {
      const std::vector<int>& frames = scan.parts[std::size_t(part)];
      if (part == 0 || !backend.shared()) copies_.emplace_back();
      parts_.emplace_back();
      if (backend.holds(part)) {
        Memory& memory = backend.memory(part);
        memory.account("positions and mask");
        if (part == 0 || !backend.shared()) copies_.back() = make_copy(memory);
        parts_.back() = make_part(memory, frames, scan.fraction);
      }
      for (std::size_t i = 0; i < frames.size(); ++i)
        slot_[std::size_t(frames[i])] = {part, int(i)};
    }
  }

  // Where a frame of the scan went: its part, and its number there.
  struct Slot {
    int part;
    int number;
  };

  const Scan& scan() const { return scan_; }
  const Layout& layout() const { return layout_; }
  bool fractional() const { return fractional_; }
  int parts() const { return int(parts_.size()); }
  int frames_of(int part) const { return int(scan_.parts[std::size_t(part)].size()); }
  Slot slot(int frame) const { return slot_[std::size_t(frame)]; }
  // Where a frame of the scan is now.
  Corner corner_of(int frame) const { return corner_[std::size_t(frame)]; }
  const std::vector<Corner>& corners_now() const { return corner_; }
  const std::vector<Real>& fractions_now() const { return fraction_; }
  // Moves frames, within the margin of the scan.
  void set_positions(const std::vector<Corner>& corner, const std::vector<Real>& fraction) {
    corner_ = corner;
    fraction_ = fraction;
    for (std::size_t part = 0; part < parts_.size(); ++part) {
      if (parts_[part].corner.size() == 0) continue;  // another process's
      const std::vector<int>& frames = scan_.parts[part];
      parts_[part].corner.upload(corners(frames).data());
      parts_[part].phase_y.upload(phases(frames, fraction, 0, scan_.ny).data());
      parts_[part].phase_x.upload(phases(frames, fraction, 1, scan_.nx).data());
    }
  }
  // Another propagator, (ny, nx), zero frequency first.
  void set_kernel(const Complex* kernel) {
    for (std::size_t copy = 0; copy < copies_.size(); ++copy)
      if (backend_.holds(int(copy)))
        put_kernel(backend_.memory(int(copy)), copies_[copy].kernel, kernel);
  }
  Rect window() const { return {0, 0, scan_.ny, scan_.nx}; }
  // The part of the object that this process holds, as the host's arrays have it.
  Rect held() const {
    if (scan_.ranks.communicator == nullptr) return {0, 0, scan_.object_ny, scan_.object_nx};
    return layout_.around(scan_.first_part(), scan_.end_part());
  }

  const Corner* corner(int part) const { return parts_[std::size_t(part)].corner.data(); }
  BatchView<const Complex> kernel(int part) { return copies_[copy_of(part)].kernel.repeated(); }
  kernels::FractionPhase phase(int part, const int* frame) const {
    const Part& p = parts_[std::size_t(part)];
    return {p.phase_y.data(), p.phase_x.data(), frame, scan_.ny, scan_.nx};
  }

  // Calls f with a lane's operation that widens the counts of a batch, zero frequency moved to the
  // first pixel in far field.
  template <class F>
  void with_load(int part, const Counts& stored, const int* counts_at, BatchView<Real> measured,
                 F&& f) const {
    const int dy = scan_.near_field ? 0 : scan_.ny / 2;
    const int dx = scan_.near_field ? 0 : scan_.nx / 2;
    with_counts(stored, [&](const auto* data) {
      using Count = std::remove_cv_t<std::remove_pointer_t<decltype(data)>>;
      const BatchView<const Count> counts{data, std::ptrdiff_t(scan_.ny) * scan_.nx, 0, scan_.nx};
      const BatchView<const unsigned char> valid{copies_[copy_of(part)].valid.data(), 0, 0,
                                                 scan_.nx};
      using Load = typename Lane::template MapRolled<kernels::Widen<Count>>;
      f(Load{scan_.ny, dy, dx, {measured, counts, valid, counts_at}});
    });
  }

  // Incoherent counts in each frame, first pixel as the waves have it; a part's copy of them.
  Images<Real>& background(int part) { return copies_[copy_of(part)].background; }

  // f(sensor): what the detector does beside counting the waves' photons.
  template <class F>
  void with_sensor(int part, const F& f) {
    if (scan_.plain())
      f(kernels::PlainSensor{});
    else
      f(kernels::Sensor{copies_[copy_of(part)].background.repeated(), scan_.saturation});
  }

 private:
  // What is the same for all parts, once in each memory.
  struct Copy {
    Buffer<unsigned char> valid;
    Images<Complex> kernel;
    Images<Real> background;
  };
  struct Part {
    Buffer<Corner> corner;
    Buffer<Complex> phase_y;  // (frames, ny)
    Buffer<Complex> phase_x;  // (frames, nx)
  };

  std::size_t copy_of(int part) const { return copies_.size() == 1 ? 0 : std::size_t(part); }

  Copy make_copy(Memory& memory) const {
    return {Buffer<unsigned char>(memory, scan_.valid),
            scan_.near_field ? scaled_kernel(memory) : Images<Complex>(),
            scan_.plain() ? Images<Real>() : make_background(memory)};
  }

  Images<Real> make_background(Memory& memory) const {
    Images<Real> images(memory, {1, 1, scan_.ny, scan_.nx});
    if (!scan_.background.empty())
      memory.copy_from_host(images.view().data, scan_.background.data(),
                            scan_.background.size() * sizeof(Real));
    return images;
  }

  Part make_part(Memory& memory, const std::vector<int>& frames,
                 const std::vector<Real>& fraction) const {
    Part part;
    part.corner = Buffer<Corner>(memory, corners(frames));
    if (fractional_) {
      part.phase_y = Buffer<Complex>(memory, phases(frames, fraction, 0, scan_.ny));
      part.phase_x = Buffer<Complex>(memory, phases(frames, fraction, 1, scan_.nx));
    }
    return part;
  }

  std::vector<Corner> corners(const std::vector<int>& frames) const {
    std::vector<Corner> all;
    all.reserve(frames.size());
    for (const int frame : frames) all.push_back(corner_[std::size_t(frame)]);
    return all;
  }

  // One ramp per frame.
  static std::vector<Complex> phases(const std::vector<int>& frames,
                                     const std::vector<Real>& fraction, int axis, int n) {
    std::vector<Complex> all;
    all.reserve(frames.size() * std::size_t(n));
    for (const int frame : frames) {
      const Real move = fraction[2 * std::size_t(frame) + std::size_t(axis)];
      const std::vector<Complex> ramp = kernels::phase_ramp(n, move);
      all.insert(all.end(), ramp.begin(), ramp.end());
    }
    return all;
  }

  Images<Complex> scaled_kernel(Memory& memory) const {
    Images<Complex> images(memory, {1, 1, scan_.ny, scan_.nx});
    put_kernel(memory, images, scan_.kernel.data());
    return images;
  }
  // The factor undoes the unscaled pair of transforms around the kernel.
  void put_kernel(Memory& memory, Images<Complex>& images, const Complex* kernel) const {
    std::vector<Complex> scaled(kernel, kernel + std::size_t(scan_.ny) * std::size_t(scan_.nx));
    const Real scale = 1 / (Real(scan_.ny) * Real(scan_.nx));
    for (Complex& value : scaled) value = scale * value;
    memory.copy_from_host(images.view().data, scaled.data(), scaled.size() * sizeof(Complex));
  }

  Backend& backend_;
  const Scan& scan_;
  Layout layout_;
  bool fractional_;
  std::vector<Corner> corner_;  // present ones
  std::vector<Real> fraction_;  // the same
  std::vector<Slot> slot_;
  std::vector<Copy> copies_;
  std::vector<Part> parts_;
};

}  // namespace exitwave
