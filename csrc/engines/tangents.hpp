#pragma once

#include <vector>

#include "core/images.hpp"
#include "engines/engine.hpp"
#include "engines/model.hpp"
#include "kernels/tangents.hpp"

namespace exitwave {

// What frames say about what they have in common: a look at all of them along one tangent. Holds
// its waves, one set for each lane.
template <class Backend>
class Tangents {
 public:
  using Lane = typename Backend::Lane;

  // Without room where nothing of this is refined.
  Tangents(Backend& backend, Problem<Backend>& problem, const Model<Backend>& model, bool wanted)
      : problem_(problem) {
    const Scan& scan = problem.scan();
    for (int lane = 0; lane < backend.lanes() && wanted; ++lane) {
      Memory& memory = backend.lane_memory(lane);
      memory.account("work");
      tangent_.emplace_back(memory, Extent{model.batch(), model.wave_modes(), scan.ny, scan.nx});
    }
  }

  // s.totals <- AmplitudeAlong of the batch, whose object is `object`
  void find(Lane& lane, int lane_number, Model<Backend>& model, Scratch& s, const Batch& b,
            CanvasView<const Complex> object, Unknown unknown, const kernels::Along& along) {
    const BatchView<Complex> tangent = tangent_[std::size_t(lane_number)].view();
    const kernels::ProbeMode p = model.model(lane, s, b);
    const kernels::ObjectWindow o = model.object(object, b);
    lane.clear(tangent.data,
               std::size_t(b.count) * std::size_t(tangent.frame_stride) * sizeof(Complex));
    Extent inner = model.waves(b);
    inner.ny -= 2;
    inner.nx -= 2;
    if (unknown == Unknown::distance)
      lane.map(inner, kernels::DistanceTangent{tangent, p, o, along});
    else if (unknown == Unknown::defocus)
      lane.map(inner, kernels::DefocusTangent{tangent, p, o, along});
    else
      lane.map(inner, kernels::MapTangent{tangent, p, o, along, inner.ny + 2, inner.nx + 2});
    model.forward(lane, b, tangent);
    model.intensities().scale(lane, b.part, b.frame, model.waves(b), tangent);
    problem_.with_sensor(b.part, [&]<class Sensor>(const Sensor& sensor) {
      const kernels::AmplitudeAlong<Sensor> amplitudes{s.measured(), s.wave.view(), tangent,
                                                       model.scale(), sensor};
      model.detect(lane, s, b, model.sum_modes(amplitudes, s));
    });
  }

 private:
  Problem<Backend>& problem_;
  std::vector<Images<Complex>> tangent_;
};

}  // namespace exitwave
