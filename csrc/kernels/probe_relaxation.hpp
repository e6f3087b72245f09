#pragma once

#include "core/complex.hpp"
#include "core/sums.hpp"
#include "core/view.hpp"
#include "kernels/propagate.hpp"
#include "kernels/scalar.hpp"

namespace exitwave::kernels {

// The probe of a frame that changes from frame to frame: P_n = P + sum_k w_nk E_k, with
// eigen-probes E_k that all frames share (Odstrcil et al., Opt. Express 24, 8360 (2016)).

// Complex numbers of the frames, of one eigen-probe.
struct FrameNumbers {
  const Complex* values;  // (part's frames)
  const int* frame;       // batch entry -> frame of the part

  EXITWAVE_HD Complex operator()(Pixel p) const { return load(values[frame[p.frame]]); }
};

// probe <- base + w_n E
struct AddEigenProbe {
  BatchView<Complex> probe;        // (frames, probe modes, ny, nx), written
  BatchView<const Complex> base;   // (frames or 1, probe modes, ny, nx); may be the probe itself
  BatchView<const Complex> eigen;  // (1, probe modes, ny, nx)
  FrameNumbers weight;

  EXITWAVE_HD void operator()(Pixel p) const {
    probe(p) = base(p) + weight(p) * eigen({0, p.mode, p.y, p.x});
  }
};

// Spectra of the frames moved by the fraction of their positions, or back; in place.
template <bool Forward>
struct ShiftFrames {
  BatchView<Complex> spectrum;  // (frames, modes, ny, nx), changed
  FractionPhase phase;
  Real scale;

  EXITWAVE_HD void operator()(Pixel p) const {
    const Complex ramp = phase(p);
    spectrum(p) = scale * ((Forward ? ramp : conj(ramp)) * spectrum(p));
  }
};

// The negative gradient T_n along the probe of each frame is that along P, and gives those along
// E_k and w_nk:  sum_n T_n,  sum_n conj(w_nk) T_n,  <E_k, T_n>.
struct FrameTerm {
  BatchView<const Complex> term;  // T (frames, probe modes, ny, nx)

  EXITWAVE_HD Complex operator()(Pixel p) const { return term(p); }
  EXITWAVE_HD int target(int mode) const { return mode; }
};
struct EigenTerm {
  BatchView<const Complex> term;
  FrameNumbers weight;

  EXITWAVE_HD Complex operator()(Pixel p) const { return conj(weight(p)) * term(p); }
  EXITWAVE_HD int target(int mode) const { return mode; }
};
// Totals: real and imaginary part of scale <E, T_n>.
struct EigenOverlap {
  static constexpr int kSums = 2;
  static constexpr int kRoots = 0;
  static constexpr int kTotals = 2;

  BatchView<const Complex> eigen;     // (1, probe modes, ny, nx)
  BatchView<const Complex> residual;  // T
  Real scale;

  EXITWAVE_HD Sums<2> term(Pixel p) const {
    const Complex product = conj(eigen({0, p.mode, p.y, p.x})) * residual(p);
    return {{scale * product.re, scale * product.im}};
  }
  EXITWAVE_HD Sums<2> finish(Pixel, Sums<2> sum, Sums<0>) const { return sum; }
};

// Totals of the frames of a batch, to the places of their frames.
struct KeepOverlap {
  Complex* kept;         // (part's frames), written
  const double* totals;  // (frames, 2)
  const int* frame;

  EXITWAVE_HD void operator()(Pixel p) const {
    kept[frame[p.frame]] = {Real(totals[2 * p.frame]), Real(totals[2 * p.frame + 1])};
  }
};

// Totals: powers of the waves' changes of first and second order.
struct ChangePowers {
  static constexpr int kSums = 2;
  static constexpr int kRoots = 0;
  static constexpr int kTotals = 2;

  BatchView<const Complex> first;  // (frames, wave modes, ny, nx)
  BatchView<const Complex> second;

  EXITWAVE_HD Sums<2> term(Pixel p) const { return {{norm(first(p)), norm(second(p))}}; }
  EXITWAVE_HD Sums<2> finish(Pixel, Sums<2> sum, Sums<0>) const { return sum; }
};

// Total: sum of weight |field|^2.
struct PowerUnderWeight {
  static constexpr int kTotals = 1;
  CanvasView<const Complex> field;  // (modes, ...)
  CanvasView<const Real> weight;    // (1, ...)

  EXITWAVE_HD Sums<1> operator()(int mode, int y, int x) const {
    return {{norm(field(mode, y, x)) * weight(0, y, x)}};
  }
};

// 1 / (factor sum over parts + floor), 0 where that is nothing
struct InverseOfSum {
  Across across;
  double factor;
  double floor;
  Real value = 0;

  EXITWAVE_HD void prepare() {
    const double sum = factor * across.sum() + floor;
    value = sum > 0 ? Real(1 / sum) : Real(0);
  }
};

}  // namespace exitwave::kernels
