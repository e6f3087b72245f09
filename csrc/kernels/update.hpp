#pragma once

#include <cmath>

#include "core/complex.hpp"
#include "core/sums.hpp"
#include "core/view.hpp"

namespace exitwave::kernels {

// sum / (own weight + floor), 0 where no frame has any weight: the step that each engine takes,
// with own = 1 - alpha and floor = (alpha + inertia) max(weight).
struct Quotient {
  CanvasView<const Complex> sum;   // (modes, ...)
  CanvasView<const Real> weight;   // (1, ...)
  Real own;
  Real floor;

  EXITWAVE_HD Complex operator()(int mode, int y, int x) const {
    const Real w = weight(0, y, x);
    const Real denominator = own * w + floor;
    const Real inverse = w > 0 ? 1 / denominator : Real(0);
    return inverse * sum(mode, y, x);
  }
};

// field <- field + step sum / (own weight + floor)
struct QuotientStep {
  CanvasView<Complex> field;  // (modes, ...), changed
  Quotient quotient;
  Real step;

  EXITWAVE_HD void operator()(int mode, int y, int x) const {
    field(mode, y, x) += step * quotient(mode, y, x);
  }
};

// change <- sum / (own weight + floor);  field <- field + change
struct RecordedStep {
  CanvasView<Complex> field;
  CanvasView<Complex> change;  // written
  Quotient quotient;

  EXITWAVE_HD void operator()(int mode, int y, int x) const {
    const Complex value = quotient(mode, y, x);
    change(mode, y, x) = value;
    field(mode, y, x) += value;
  }
};

// field_m <- field_m + (sum_m - correction field_m) / (own weight + floor), where `correction` is
// the mode of the sum after the field's own.
struct CorrectedStep {
  CanvasView<Complex> field;
  Quotient quotient;
  int correction;

  EXITWAVE_HD void operator()(int mode, int y, int x) const {
    const Complex old = field(mode, y, x);
    field(mode, y, x) = old + (quotient(mode, y, x) - quotient(correction, y, x) * old);
  }
};

// Amplitude kept within [low, high], phase kept.
struct ClipAmplitude {
  CanvasView<Complex> field;  // changed
  Real low;
  Real high;

  EXITWAVE_HD void operator()(int mode, int y, int x) const {
    using std::sqrt;
    const Complex value = field(mode, y, x);
    const Real amplitude = sqrt(norm(value));
    const Real target = amplitude < low ? low : (amplitude > high ? high : amplitude);
    const Complex scaled = (target / (amplitude > 0 ? amplitude : Real(1))) * value;
    field(mode, y, x) = amplitude > 0 ? scaled : Complex{target, 0};
  }
};

// field <- factor field
struct Scale {
  CanvasView<Complex> field;
  Real factor;

  EXITWAVE_HD void operator()(int mode, int y, int x) const {
    field(mode, y, x) = factor * field(mode, y, x);
  }
};

// field <- field + factor direction
struct AddScaled {
  CanvasView<Complex> field;
  CanvasView<const Complex> direction;
  Real factor;

  EXITWAVE_HD void operator()(int mode, int y, int x) const {
    field(mode, y, x) += factor * direction(mode, y, x);
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
    velocity(mode, y, x) = v;
    object(mode, y, x) = next;
    past(mode, y, x) = next;
  }
};

template <class T>
struct Clear {
  CanvasView<T> field;

  EXITWAVE_HD void operator()(int mode, int y, int x) const { field(mode, y, x) = T{}; }
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
