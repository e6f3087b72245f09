#pragma once

#include <string>
#include <vector>

#include "core/region.hpp"
#include "engines/field.hpp"
#include "kernels/update.hpp"
#include "storage/archive.hpp"

namespace exitwave {

// Carries a field on along the way of its last steps, see kernels::Momentum.
template <class Backend>
class Momentum {
 public:
  using Lane = typename Backend::Lane;

  Momentum() = default;
  Momentum(Backend& backend, const Rect& whole, const std::vector<Rect>& tiles, int modes)
      : modes_(modes),
        velocity_(backend, "momentum", whole, tiles, modes),
        past_(backend, "momentum", whole, tiles, modes) {}

  // The field as it is before its first step.
  void begin(const Complex* source) { past_.upload(source); }

  void step(Lane& lane, const Region& region, int part, CanvasView<Complex> field, double kept) {
    lane.map(region, modes_,
             kernels::Momentum{field, velocity_.view(part), past_.view(part), Real(kept)});
  }
  // The steps so far are no way to go on along.
  void rest(Lane& lane, const Region& region, int part, CanvasView<const Complex> field) {
    lane.map(region, modes_, kernels::Clear<Complex>{velocity_.view(part)});
    lane.map(region, modes_, kernels::Copy<Complex>{past_.view(part), field});
  }

  void state(Archive& archive, const std::string& of) {
    velocity_.state(archive, of + "velocity");
    past_.state(archive, of + "past");
  }

 private:
  int modes_ = 0;
  Field<Backend, Complex> velocity_;
  Field<Backend, Complex> past_;
};

}  // namespace exitwave
