#pragma once

#include <cmath>

#include "core/complex.hpp"
#include "core/sums.hpp"
#include "core/view.hpp"
#include "kernels/scalar.hpp"

namespace exitwave::kernels {

// A weight below this is none: without inertia its quotient would be rounding, or infinite.
inline constexpr Real kNoWeight = Real(1e-30);

// sum / (own weight + floor), 0 where that is 0 / 0: the step that each engine takes,
// with own = 1 - alpha and floor = (alpha + inertia) max(weight).
struct Quotient {
  CanvasView<const Complex> sum;  // (modes, ...)
  CanvasView<const Real> weight;  // (1, ...)
  Real own;
  LargestTimes floor;

  EXITWAVE_HD void prepare() { floor.prepare(); }
  EXITWAVE_HD Complex operator()(int mode, int y, int x) const {
    const Real w = weight(0, y, x);
    const Real denominator = own * w + floor.value;
    const Real inverse = denominator > kNoWeight ? 1 / denominator : Real(0);
    return inverse * sum(mode, y, x);
  }
};

// field <- field + step sum / (own weight + floor)
struct QuotientStep {
  CanvasView<Complex> field;  // (modes, ...), changed
  Quotient quotient;
  Real step;

  EXITWAVE_HD void prepare() { quotient.prepare(); }
  EXITWAVE_HD void operator()(int mode, int y, int x) const {
    field(mode, y, x) += step * quotient(mode, y, x);
  }
};

// One mode of the object's step, which also leaves its sum at zero for the next pass; the last mode
// does so with the weight.
template <bool Last>
struct ObjectStep {
  CanvasView<Complex> object;
  CanvasView<Complex> sum;
  CanvasView<Real> weight;
  Real own;
  LargestTimes floor;
  Real step;
  int mode;

  EXITWAVE_HD void prepare() { floor.prepare(); }
  EXITWAVE_HD void operator()(int, int y, int x) const {
    const Complex change = step * Quotient{sum, weight, own, floor}(mode, y, x);
    store(object(mode, y, x), load(object(mode, y, x)) + change);
    store(sum(mode, y, x), Complex{0, 0});
    if constexpr (Last) weight(0, y, x) = 0;
  }
};

// The same full step, with what the correction of the probe's sum needs of it, per pixel, summed
// over object modes:  O <- O + dO,  overlap = sum_k conj(O_k) dO_k,  overlap weight = sum_k |O_k|^2
// + damping |dO_k|^2. A large change makes the first-order correction untrustworthy; damping then
// keeps the step small.
template <bool First, bool Last>
struct RecordedStep {
  CanvasView<Complex> object;
  CanvasView<Complex> sum;
  CanvasView<Real> weight;
  LargestTimes floor;
  CanvasView<Complex> overlap;      // (1, ...), written or added to
  CanvasView<Real> overlap_weight;  // (1, ...), written or added to
  Real damping;
  int mode;

  EXITWAVE_HD void prepare() { floor.prepare(); }
  EXITWAVE_HD void operator()(int, int y, int x) const {
    const Complex change = Quotient{sum, weight, 1, floor}(mode, y, x);
    const Complex next = load(object(mode, y, x)) + change;
    const Complex term = conj(next) * change;
    const Real w = norm(next) + damping * norm(change);
    store(object(mode, y, x), next);
    store(overlap(0, y, x), First ? term : load(overlap(0, y, x)) + term);
    overlap_weight(0, y, x) = First ? w : overlap_weight(0, y, x) + w;
    store(sum(mode, y, x), Complex{0, 0});
    if constexpr (Last) weight(0, y, x) = 0;
  }
};

// field_m <- field_m + (sum_m - correction field_m) / (own weight + floor), where `correction` is
// the mode of the sum after the field's own.
struct CorrectedStep {
  CanvasView<Complex> field;
  Quotient quotient;
  int correction;

  EXITWAVE_HD void prepare() { quotient.prepare(); }
  EXITWAVE_HD void operator()(int mode, int y, int x) const {
    const Complex old = load(field(mode, y, x));
    store(field(mode, y, x), old + (quotient(mode, y, x) - quotient(correction, y, x) * old));
  }
};

// Amplitude kept within [low, high], phase kept.
struct ClipAmplitude {
  CanvasView<Complex> field;  // changed
  Real low;
  Real high;

  EXITWAVE_HD void operator()(int mode, int y, int x) const {
    using std::sqrt;
    const Complex value = load(field(mode, y, x));
    const Real amplitude = sqrt(norm(value));
    const Real target = amplitude < low ? low : (amplitude > high ? high : amplitude);
    const Complex scaled = (target / (amplitude > 0 ? amplitude : Real(1))) * value;
    field(mode, y, x) = amplitude > 0 ? scaled : Complex{target, 0};
  }
};

// field <- factor field
template <class Factor>
struct Scale {
  CanvasView<Complex> field;
  Factor factor;

  EXITWAVE_HD void prepare() { factor.prepare(); }
  EXITWAVE_HD void operator()(int mode, int y, int x) const {
    field(mode, y, x) = factor.value * field(mode, y, x);
  }
};

// field <- field + factor direction
template <class Factor>
struct AddScaled {
  CanvasView<Complex> field;
  CanvasView<const Complex> direction;
  Factor factor;

  EXITWAVE_HD void prepare() { factor.prepare(); }
  EXITWAVE_HD void operator()(int mode, int y, int x) const {
    field(mode, y, x) += factor.value * direction(mode, y, x);
  }
};

// Momentum of mPIE (Maiden, Johnson & Li, Optica 4, 736 (2017), eqs. 19-20), with `past` the object
// of the last momentum step:  velocity <- friction velocity + (object - past);
// object <- object + friction velocity;  past <- object
struct Momentum {
  CanvasView<Complex> object;
  CanvasView<Complex> velocity;
  CanvasView<Complex> past;
  Real friction;

  EXITWAVE_HD void operator()(int mode, int y, int x) const {
    const Complex v = friction * velocity(mode, y, x) + (object(mode, y, x) - past(mode, y, x));
    const Complex next = object(mode, y, x) + friction * v;
    store(velocity(mode, y, x), v);
    store(object(mode, y, x), next);
    store(past(mode, y, x), next);
  }
};

template <class T>
struct Clear {
  CanvasView<T> field;

  EXITWAVE_HD void operator()(int mode, int y, int x) const { field(mode, y, x) = T{}; }
};

// to <- to + from,  from <- 0
template <class T>
struct Take {
  CanvasView<T> to;
  CanvasView<T> from;

  EXITWAVE_HD void operator()(int mode, int y, int x) const {
    const T taken = load(from(mode, y, x));
    to(mode, y, x) += taken;
    from(mode, y, x) = T{};
  }
};

// to <- -from,  from <- 0
struct TakeNegative {
  CanvasView<Complex> to;
  CanvasView<Complex> from;

  EXITWAVE_HD void operator()(int mode, int y, int x) const {
    const Complex taken = load(from(mode, y, x));
    store(to(mode, y, x), Real(-1) * taken);
    store(from(mode, y, x), Complex{0, 0});
  }
};

template <class T>
struct Copy {
  CanvasView<T> target;
  CanvasView<const T> source;

  EXITWAVE_HD void operator()(int mode, int y, int x) const {
    target(mode, y, x) = source(mode, y, x);
  }
};

// field <- factor field, with one real factor for each pixel of an image, the same for all modes
struct Multiply {
  CanvasView<Complex> field;
  CanvasView<const Real> factor;  // (1, ...)

  EXITWAVE_HD void operator()(int mode, int y, int x) const {
    field(mode, y, x) = factor(0, y, x) * field(mode, y, x);
  }
};

// Total: power of a field.
struct Power {
  static constexpr int kTotals = 1;
  CanvasView<const Complex> field;

  EXITWAVE_HD Sums<1> operator()(int mode, int y, int x) const {
    return {{norm(field(mode, y, x))}};
  }
};

}  // namespace exitwave::kernels
