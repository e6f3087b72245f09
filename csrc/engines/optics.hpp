#pragma once

#include <vector>

#include "core/images.hpp"
#include "engines/model.hpp"
#include "kernels/optics.hpp"

namespace exitwave {

// Waves of the look at a length along the beam, one set for each lane.
template <class Backend>
class OpticsScratch {
 public:
  using Lane = typename Backend::Lane;

  // Without room where no length is refined.
  OpticsScratch(Backend& backend, const Model<Backend>& model, const Scan& scan, bool wanted) {
    for (int lane = 0; lane < backend.lanes() && wanted; ++lane) {
      Memory& memory = backend.lane_memory(lane);
      memory.account("work");
      tangent_.emplace_back(memory, Extent{model.batch(), model.wave_modes(), scan.ny, scan.nx});
    }
  }

  // s.totals <- AmplitudeAlong of the batch, whose object is `object`
  template <class Tangent>
  void find(Lane& lane, int lane_number, Model<Backend>& model, Scratch& s, const Batch& b,
            CanvasView<const Complex> object, Real along_y, Real along_x) {
    Images<Complex>& images = tangent_[std::size_t(lane_number)];
    const BatchView<Complex> tangent = images.view();
    const kernels::ProbeMode p = model.model(lane, s, b);
    Extent inner = model.waves(b);
    lane.clear(tangent.data,
               std::size_t(b.count) * std::size_t(tangent.frame_stride) * sizeof(Complex));
    inner.ny -= 2;
    inner.nx -= 2;
    lane.map(inner, Tangent{tangent, p, model.object(object, b), along_y, along_x});
    model.forward(lane, b, tangent);
    const kernels::AmplitudeAlong along{s.measured(), s.wave.view(), tangent, model.scale()};
    model.detect(lane, s, b, model.sum_modes(along, s));
  }

 private:
  std::vector<Images<Complex>> tangent_;
};

}  // namespace exitwave
