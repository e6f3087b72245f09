#pragma once

#include <cmath>
#include <cstddef>

#include "core/complex.hpp"
#include "core/sums.hpp"
#include "core/view.hpp"
#include "kernels/exit_wave.hpp"
#include "kernels/sensor.hpp"

namespace exitwave::kernels {

// How exit waves change with what all frames have in common. Differences are central and inside
// the window, so pixels are counted from (1, 1) and the outermost ones stay as they are. Lengths
// along the beam are in the paraxial approximation, where free space does
// d/dz w = i / (2 k) laplace w. In a thick object the wave that meets a slice stands for the probe,
// and each slice adds to what comes from those before it.

// Factors on changes of rows (y) and columns (x); lengths use the diagonal, for i's factor over the
// squared pixel.
struct Along {
  Real yy;
  Real yx;
  Real xy;
  Real xx;
};

// Propagation distance, with object and probe brought along to where they were: what is left of
// laplace(P O) is i / k grad P . grad O. (What free object and probe take up themselves is not
// counted, so that a step in the distance need not wait for them.)
struct DistanceTangent {
  BatchView<Complex> tangent;  // (frames, modes, ny, nx), added to
  ProbeMode probe;
  ObjectWindow object;
  Along along;

  EXITWAVE_HD void operator()(Pixel inner) const {
    const Pixel p{inner.frame, inner.mode, inner.y + 1, inner.x + 1};
    const Complex* a = probe.at(p);
    const Complex* o = object.at(p);
    const std::ptrdiff_t a_row = probe.probe.row_stride;
    const std::ptrdiff_t o_row = object.object.row_stride;
    const Complex y = (load(a[a_row]) - load(a[-a_row])) * (load(o[o_row]) - load(o[-o_row]));
    const Complex x = (load(a[1]) - load(a[-1])) * (load(o[1]) - load(o[-1]));
    const Complex sum = along.yy * y + along.xx * x;
    store(tangent(p), load(tangent(p)) + Complex{-sum.im, sum.re});
  }
};

// Defocus of the probe: i / (2 k) laplace P O.
struct DefocusTangent {
  BatchView<Complex> tangent;  // (frames, modes, ny, nx), added to
  ProbeMode probe;
  ObjectWindow object;
  Along along;

  EXITWAVE_HD void operator()(Pixel inner) const {
    const Pixel p{inner.frame, inner.mode, inner.y + 1, inner.x + 1};
    const Complex* a = probe.at(p);
    const std::ptrdiff_t row = probe.probe.row_stride;
    const Complex twice = Real(2) * load(*a);
    const Complex y = load(a[row]) + load(a[-row]) - twice;
    const Complex x = load(a[1]) + load(a[-1]) - twice;
    const Complex sum = (along.yy * y + along.xx * x) * object(p);
    store(tangent(p), load(tangent(p)) + Complex{-sum.im, sum.re});
  }
};

// Map of the scan: positions r_j go to (1 + e) r_j, e = [yy yx; xy xx], with the object brought
// along to where its frames are. What is left is the object inside the window, seen from the
// window's middle: -P (e r) . grad O.
struct MapTangent {
  BatchView<Complex> tangent;  // (frames, modes, ny, nx), added to
  ProbeMode probe;
  ObjectWindow object;
  Along along;
  int ny;
  int nx;

  EXITWAVE_HD void operator()(Pixel inner) const {
    const Pixel p{inner.frame, inner.mode, inner.y + 1, inner.x + 1};
    const Complex* o = object.at(p);
    const std::ptrdiff_t row = object.object.row_stride;
    const Real y = Real(p.y) - Real(0.5) * Real(ny - 1);
    const Real x = Real(p.x) - Real(0.5) * Real(nx - 1);
    const Complex along_y = (along.yy * y + along.yx * x) * (load(o[row]) - load(o[-row]));
    const Complex along_x = (along.xy * y + along.xx * x) * (load(o[1]) - load(o[-1]));
    store(tangent(p), load(tangent(p)) - Real(0.5) * (probe(p) * (along_y + along_x)));
  }
};

// What comes from the slices before goes through this one: dpsi <- O dpsi.
struct TangentThroughSlice {
  BatchView<Complex> tangent;  // (frames, modes, ny, nx), changed
  ObjectWindow object;

  EXITWAVE_HD void operator()(Pixel p) const { store(tangent(p), object(p) * load(tangent(p))); }
};

// The same where the way to the slice has changed as well: dpsi <- O (dpsi + dphi).
struct ChangedTangentThroughSlice {
  BatchView<Complex> tangent;       // (frames, modes, ny, nx), changed
  BatchView<const Complex> change;  // of the wave that meets the slice
  ObjectWindow object;

  EXITWAVE_HD void operator()(Pixel p) const {
    store(tangent(p), object(p) * (load(tangent(p)) + load(change(p))));
  }
};

// Gauss-Newton on amplitudes A = sqrt I along a tangent of the waves, over valid pixels:
// totals sum A'^2 and sum A' (sqrt n - A), whose quotient is the step.
template <class Sensor>
struct AmplitudeAlong {
  static constexpr int kSums = 2;
  static constexpr int kRoots = 0;
  static constexpr int kTotals = 2;

  BatchView<const Real> measured;    // (frames, 1, ny, nx): counts
  BatchView<const Complex> model;    // (frames, modes, ny, nx)
  BatchView<const Complex> tangent;  // its change with the number sought
  Real scale;                        // |model|^2 to counts
  Sensor sensor;

  EXITWAVE_HD Sums<2> term(Pixel p) const {
    const Complex wave = model(p);
    return {{norm(wave), dot(wave, tangent(p))}};
  }
  EXITWAVE_HD Sums<2> finish(Pixel p, Sums<2> sum, Sums<0>) const {
    using std::sqrt;
    const Real counts = measured(p);
    const Real known = counts < 0 ? Real(0) : counts;
    const Real intensity = sensor.measured(p, scale * sum.v[0]);
    const Real amplitude = sqrt(intensity);
    const Real change = scale * sum.v[1] / (amplitude > Real(1e-10) ? amplitude : Real(1));
    const Real heard = counts < 0 || sensor.silent(counts, intensity) ? Real(0) : change;
    return {{heard * heard, heard * (sqrt(known) - amplitude)}};
  }
};

}  // namespace exitwave::kernels
