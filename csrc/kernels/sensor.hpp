#pragma once

#include "core/complex.hpp"
#include "core/view.hpp"

namespace exitwave::kernels {

// What a detector does beside counting the photons of the waves: how the waves' intensity and the
// counts of a pixel compare. Which of these it is, is known per launch and costs a pixel nothing.

// Counts are the waves' intensity.
struct PlainSensor {
  static constexpr bool kPlain = true;

  EXITWAVE_HD Real measured(Pixel, Real intensity) const { return intensity; }
  EXITWAVE_HD Real of_waves(Pixel, Real counts) const { return counts; }
  EXITWAVE_HD Real without_background(Pixel, Real counts) const { return counts; }
  EXITWAVE_HD bool silent(Real, Real) const { return false; }
};

// Counts have an incoherent background, the same in all frames, and end at some number.
struct Sensor {
  static constexpr bool kPlain = false;

  BatchView<const Real> background;  // (1, 1, ny, nx), counts
  Real saturation;                   // counts from here on stand for as many or more

  // What is measured of waves of this intensity.
  EXITWAVE_HD Real measured(Pixel p, Real intensity) const {
    return intensity + background({0, 0, p.y, p.x});
  }
  // What counts say of the waves.
  EXITWAVE_HD Real of_waves(Pixel p, Real counts) const {
    const Real left = without_background(p, counts);
    return left > 0 ? left : Real(0);
  }
  // The same where many pixels are summed: cut off at 0, the sum would have light that is not
  // there.
  EXITWAVE_HD Real without_background(Pixel p, Real counts) const {
    return counts - background({0, 0, p.y, p.x});
  }
  // Whether counts say nothing against what the model would measure.
  EXITWAVE_HD bool silent(Real counts, Real model) const {
    return counts >= saturation && model >= counts;
  }
};

}  // namespace exitwave::kernels
