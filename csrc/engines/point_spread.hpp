#pragma once

#include <algorithm>
#include <vector>

#include "core/buffer.hpp"
#include "core/stencil.hpp"
#include "engines/engine.hpp"
#include "engines/problem.hpp"
#include "kernels/spread.hpp"

namespace exitwave {

// The detector counts light also in pixels around the one that it falls on:
//
//   I(r) = sum_k w(k) I0(r - k),   and back   f0(r) = sum_k w(k) f(r + k)
//
// so that a slope dL/dI of the counts is one of the light. Light that is counted beyond the edge is
// lost, and what falls there is not known: nothing comes from it. Passes follow each other, such as
// those of a Gaussian along columns and along rows.
template <class Backend>
class PointSpread {
 public:
  using Lane = typename Backend::Lane;

  PointSpread(Backend& backend, const Problem<Backend>& problem,
              const std::vector<SmallImage>& passes)
      : given_(passes) {
    if (sharp()) return;
    const Scan& scan = problem.scan();
    if (!scan.near_field) first_ = {scan.ny / 2, scan.nx / 2};
    for (int part = 0; part < (backend.shared() ? 1 : problem.parts()); ++part) {
      weights_.emplace_back();
      if (!backend.holds(part)) continue;
      Memory& memory = backend.memory(part);
      memory.account("positions and mask");
      for (const std::vector<Real>& weights : all_weights())
        weights_.back().emplace_back(memory, weights);
    }
  }

  // Whether light is counted where it falls.
  bool sharp() const { return given_.empty(); }

  // images <- what is counted of light; `work`: as many images
  void spread(Lane& lane, int part, Extent n, BatchView<Real> images, BatchView<Real> work) {
    for (int pass = 0; pass < passes(); ++pass) correlate(lane, part, n, images, work, pass, 0);
    end(lane, n, images, work);
  }
  // images <- the adjoint of it
  void gather(Lane& lane, int part, Extent n, BatchView<Real> images, BatchView<Real> work) {
    for (int pass = passes(); pass > 0;) correlate(lane, part, n, images, work, --pass, 1);
    end(lane, n, images, work);
  }

 private:
  int passes() const { return int(given_.size()); }

  // Of each pass: as they spread, from the last to the first, and as they are.
  std::vector<std::vector<Real>> all_weights() const {
    std::vector<std::vector<Real>> all;
    for (const SmallImage& pass : given_) {
      all.emplace_back(pass.values.rbegin(), pass.values.rend());
      all.push_back(pass.values);
    }
    return all;
  }

  // Images and work change places with each pass.
  void correlate(Lane& lane, int part, Extent n, BatchView<Real>& images, BatchView<Real>& work,
                 int pass, int back) {
    const auto& weights = weights_[weights_.size() == 1 ? 0 : std::size_t(part)];
    const SmallImage& size = given_[std::size_t(pass)];
    lane.correlate(
        n, work, images,
        {weights[2 * std::size_t(pass) + std::size_t(back)].data(), size.ny, size.nx, first_});
    std::swap(images, work);
  }
  // After an odd number of passes what was found is in the work's place.
  void end(Lane& lane, Extent n, BatchView<Real> images, BatchView<Real> work) {
    if (passes() % 2 == 1) lane.map(n, kernels::CopyImages{work, images});
  }

  std::vector<SmallImage> given_;
  Corner first_{0, 0};
  std::vector<std::vector<Buffer<Real>>> weights_;  // of each copy and pass, two
};

}  // namespace exitwave
