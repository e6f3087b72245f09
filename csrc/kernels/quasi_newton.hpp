#pragma once

#include <cmath>

#include "core/complex.hpp"
#include "core/sums.hpp"
#include "core/view.hpp"
#include "kernels/scalar.hpp"
#include "kernels/update.hpp"

namespace exitwave::kernels {

// Limited-memory quasi-Newton directions (L-BFGS: Nocedal, Math. Comput. 35, 773 (1980)). A pair is
// what an iteration has moved a field by, s, and how the gradient turned with it, y.

// s <- -field, which is where the pair begins
struct BeginPair {
  CanvasView<Complex> move;
  CanvasView<const Complex> field;

  EXITWAVE_HD void operator()(int mode, int y, int x) const {
    move(mode, y, x) = Real(-1) * field(mode, y, x);
  }
};

// s <- s + field,  y <- old - gradient  (of negative gradients)
struct EndPair {
  CanvasView<Complex> move;
  CanvasView<Complex> turn;
  CanvasView<const Complex> field;
  CanvasView<const Complex> old;
  CanvasView<const Complex> gradient;

  EXITWAVE_HD void operator()(int mode, int y, int x) const {
    move(mode, y, x) += field(mode, y, x);
    turn(mode, y, x) = old(mode, y, x) - gradient(mode, y, x);
  }
};

// Totals: <s, gradient>, and <s, y> with y of another pair.
struct AlongMove {
  static constexpr int kTotals = 2;
  CanvasView<const Complex> move;
  CanvasView<const Complex> gradient;
  CanvasView<const Complex> turn;

  EXITWAVE_HD Sums<2> operator()(int mode, int y, int x) const {
    const Complex s = move(mode, y, x);
    return {{dot(s, gradient(mode, y, x)), dot(s, turn(mode, y, x))}};
  }
};

// Totals of a pair: <y, y / weight> and <s, weight s>.
struct PairSizes {
  static constexpr int kTotals = 2;
  CanvasView<const Complex> move;
  Quotient turn;  // y / weight

  EXITWAVE_HD void prepare() { turn.prepare(); }
  EXITWAVE_HD Sums<2> operator()(int mode, int y, int x) const {
    const Real w = turn.own * turn.weight(0, y, x) + turn.floor.value;
    return {{dot(turn.sum(mode, y, x), turn(mode, y, x)), w * norm(move(mode, y, x))}};
  }
};

// Total: <left, right>
struct Product {
  static constexpr int kTotals = 1;
  CanvasView<const Complex> left;
  CanvasView<const Complex> right;

  EXITWAVE_HD Sums<1> operator()(int mode, int y, int x) const {
    return {{dot(left(mode, y, x), right(mode, y, x))}};
  }
};

// What one memory keeps of up to `places` pairs, which lie in a ring.
struct PairNumbers {
  double* data;
  int places;
  int pairs;   // so many are filled
  int newest;  // where the newest is

  // Products of each with each, four numbers of each, and the scale.
  EXITWAVE_HD static int count(int places) { return places * places + 4 * places + 1; }

  EXITWAVE_HD int place(int age) const { return (newest - age + places) % places; }
  // <s of the older, y of the newer>, or of one pair
  EXITWAVE_HD double& product(int newer, int older) const { return data[newer * places + older]; }
  // <y, y / weight> and <s, weight s> when the pair was new
  EXITWAVE_HD double& turned(int at) const { return of_each(0, at); }
  EXITWAVE_HD double& moved(int at) const { return of_each(1, at); }
  // How much of y leaves the gradient, and of s comes to the direction.
  EXITWAVE_HD double& of_turn(int at) const { return of_each(2, at); }
  EXITWAVE_HD double& of_move(int at) const { return of_each(3, at); }
  // Of the direction that is found between the loops.
  EXITWAVE_HD double& scale() const { return of_each(4, 0); }

  // Pairs along which the loss bends upwards. From the others, and from those where next to none of
  // the turn is along the move, nothing can be said of a minimum.
  EXITWAVE_HD bool counts(int at) const {
    using std::sqrt;
    return product(at, at) > kLeastCosine * sqrt(turned(at) * moved(at));
  }
  static constexpr double kLeastCosine = 0.05;

 private:
  EXITWAVE_HD double& of_each(int which, int at) const {
    return data[places * (places + which) + at];
  }
};

// First loop of the recursion, from the newest pair to the oldest, on numbers alone:
//   of_turn_i = <s_i, q> / <s_i, y_i>,   q = gradient - sum of newer of_turn_j y_j
struct FirstLoop {
  PairNumbers numbers;
  Across along;  // 2 for each place: <s, gradient>, <s, newest y>
  Across sizes;  // of the newest: PairSizes

  EXITWAVE_HD void operator()(Pixel) const {
    const PairNumbers& n = numbers;
    n.scale() = 1;
    if (n.pairs > 0) n.turned(n.newest) = sizes.sum(0);
    if (n.pairs > 0) n.moved(n.newest) = sizes.sum(1);
    for (int age = 0; age < n.pairs; ++age)
      n.product(n.newest, n.place(age)) = along.sum(2 * n.place(age) + 1);
    for (int age = n.pairs - 1; age >= 0; --age)
      if (n.counts(n.place(age)))
        n.scale() = n.product(n.place(age), n.place(age)) / n.turned(n.place(age));
    for (int age = 0; age < n.pairs; ++age) {
      const int at = n.place(age);
      double left = along.sum(2 * at);
      for (int newer = 0; newer < age; ++newer)
        left -= n.of_turn(n.place(newer)) * n.product(n.place(newer), at);
      n.of_turn(at) = n.counts(at) ? left / n.product(at, at) : 0;
    }
  }
};

// Second loop, back to the newest, r being the scaled direction between the loops:
//   of_move_i = of_turn_i - <y_i, r + sum of older of_move_j s_j> / <s_i, y_i>
struct SecondLoop {
  PairNumbers numbers;
  Across against;  // <y, r> for each place

  EXITWAVE_HD void operator()(Pixel) const {
    const PairNumbers& n = numbers;
    for (int age = n.pairs - 1; age >= 0; --age) {
      const int at = n.place(age);
      double turned = against.sum(at);
      for (int older = age + 1; older < n.pairs; ++older)
        turned += n.of_move(n.place(older)) * n.product(at, n.place(older));
      n.of_move(at) = n.counts(at) ? n.of_turn(at) - turned / n.product(at, at) : 0;
    }
  }
};

}  // namespace exitwave::kernels
