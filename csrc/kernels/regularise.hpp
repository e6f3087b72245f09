#pragma once

#include "core/complex.hpp"
#include "core/sums.hpp"
#include "core/view.hpp"
#include "kernels/scalar.hpp"

namespace exitwave::kernels {

// Quadratic smoothness S(O): sum over neighbours, both of them reached by some frame, of
// |O(r) - O(r + e)|^2. Tiles reach one pixel further than their frames, so that an owned pixel has
// its neighbours beside it; at the edge of the whole object a pixel is its own neighbour.
struct Neighbours {
  CanvasView<const Complex> field;
  CanvasView<const Real> reached;  // (1, ...), 1 or 0
  int ny;                          // of the whole object
  int nx;

  // field(y, x) - field(neighbour), 0 unless both are reached
  EXITWAVE_HD Complex difference(int mode, int y, int x, int dy, int dx) const {
    const int v = y + dy < 0 || y + dy >= ny ? y : y + dy;
    const int u = x + dx < 0 || x + dx >= nx ? x : x + dx;
    const Real both = reached(0, y, x) * reached(0, v, u);
    return both * (field(mode, y, x) - field(mode, v, u));
  }
};

// sum <- sum - weight dS/d conj(O)
struct SmoothnessGradient {
  CanvasView<Complex> sum;
  Neighbours object;
  SumTimes weight;

  EXITWAVE_HD void prepare() { weight.prepare(); }
  EXITWAVE_HD void operator()(int mode, int y, int x) const {
    const Complex up = object.difference(mode, y, x, -1, 0);
    const Complex down = object.difference(mode, y, x, 1, 0);
    const Complex left = object.difference(mode, y, x, 0, -1);
    const Complex right = object.difference(mode, y, x, 0, 1);
    sum(mode, y, x) += -weight.value * ((up + down) + (left + right));
  }
};

// sum <- change of the object by one step of diffusion; many steps are a Gaussian of the squared
// width 2 share steps, which stops at pixels that no frame reaches.
struct BlurChange {
  CanvasView<Complex> sum;
  Neighbours object;
  Real share;  // of each difference, below 1/4

  EXITWAVE_HD void operator()(int mode, int y, int x) const {
    const Complex up = object.difference(mode, y, x, -1, 0);
    const Complex down = object.difference(mode, y, x, 1, 0);
    const Complex left = object.difference(mode, y, x, 0, -1);
    const Complex right = object.difference(mode, y, x, 0, 1);
    sum(mode, y, x) = -share * ((up + down) + (left + right));
  }
};

// Totals of S(O + t dO) = S0 + t S1 + t^2 S2.
struct SmoothnessAlong {
  static constexpr int kTotals = 3;

  Neighbours object;
  Neighbours direction;

  EXITWAVE_HD Sums<3> operator()(int mode, int y, int x) const {
    const Complex o_down = object.difference(mode, y, x, 1, 0);
    const Complex o_right = object.difference(mode, y, x, 0, 1);
    const Complex d_down = direction.difference(mode, y, x, 1, 0);
    const Complex d_right = direction.difference(mode, y, x, 0, 1);
    return {{norm(o_down) + norm(o_right), 2 * (dot(o_down, d_down) + dot(o_right, d_right)),
             norm(d_down) + norm(d_right)}};
  }
};

}  // namespace exitwave::kernels
