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

  // s.totals <- AmplitudeAlong of the batch
  void find(Lane& lane, int lane_number, Model<Backend>& model, Scratch& s, const Batch& b,
            Unknown unknown, const kernels::Along& along) {
    const BatchView<Complex> tangent = tangent_[std::size_t(lane_number)].view();
    const kernels::ProbeMode p = model.model(lane, s, b);
    lane.clear(tangent.data,
               std::size_t(b.count) * std::size_t(tangent.frame_stride) * sizeof(Complex));
    add(lane, tangent, p, model.object(b, 0), model.waves(b), unknown, along);
    for (int slice = 1; slice < model.slices(); ++slice) {
      const BatchView<Complex> incoming = s.incoming[std::size_t(slice - 1)].view();
      const kernels::ObjectWindow o = model.object(b, slice);
      model.to_next_slice(lane, b, tangent, slice - 1);
      if (unknown == Unknown::gaps) {
        // Nobody needs the wave any more.
        model.change_before_slice(lane, b, incoming, slice);
        lane.map(model.waves(b), kernels::ChangedTangentThroughSlice{tangent, incoming, o});
        continue;
      }
      lane.map(model.waves(b), kernels::TangentThroughSlice{tangent, o});
      if (unknown != Unknown::defocus)
        add(lane, tangent, {incoming, 1}, o, model.waves(b), unknown, along);
    }
    model.forward(lane, b, tangent);
    model.intensities().scale(lane, b.part, b.frame, model.waves(b), tangent);
    problem_.with_sensor(b.part, [&]<class Sensor>(const Sensor& sensor) {
      const kernels::AmplitudeAlong<Sensor> amplitudes{s.measured(), s.wave.view(), tangent,
                                                       model.scale(), sensor};
      model.detect(lane, s, b, model.sum_modes(amplitudes, s));
    });
  }

 private:
  // What one slice adds, p being what meets it.
  static void add(Lane& lane, BatchView<Complex> tangent, const kernels::ProbeMode& p,
                  const kernels::ObjectWindow& o, Extent inner, Unknown unknown,
                  const kernels::Along& along) {
    const int ny = inner.ny;
    const int nx = inner.nx;
    inner.ny -= 2;
    inner.nx -= 2;
    switch (unknown) {
      case Unknown::distance:
        return lane.map(inner, kernels::DistanceTangent{tangent, p, o, along});
      case Unknown::defocus:
        return lane.map(inner, kernels::DefocusTangent{tangent, p, o, along});
      case Unknown::map:
        return lane.map(inner, kernels::MapTangent{tangent, p, o, along, ny, nx});
      case Unknown::gaps:
        return;
    }
  }

  Problem<Backend>& problem_;
  std::vector<Images<Complex>> tangent_;
};

}  // namespace exitwave
