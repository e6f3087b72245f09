#pragma once

#include <cstddef>
#include <type_traits>

#include "core/complex.hpp"
#include "core/macros.hpp"
#include "core/shape.hpp"

namespace exitwave {

template <class T>
using Element = std::conditional_t<std::is_const_v<T>, std::remove_const_t<T>, T&>;

template <class T>
EXITWAVE_HD Element<T> element(T* at) {
  if constexpr (std::is_const_v<T>) {
    return load(*at);
  } else {
    return *at;
  }
}

// Images of a batch, (frames, modes, ny, nx). A stride of zero repeats an image: one probe for all
// frames of a batch has frame_stride 0. Does not own.
template <class T>
struct BatchView {
  T* data = nullptr;
  std::ptrdiff_t frame_stride = 0;
  std::ptrdiff_t mode_stride = 0;
  std::ptrdiff_t row_stride = 0;

  EXITWAVE_HD T* at(Pixel p) const {
    return data + (p.frame * frame_stride + p.mode * mode_stride + p.y * row_stride + p.x);
  }
  // A reference, or the value where T is const.
  EXITWAVE_HD Element<T> operator()(Pixel p) const { return element<T>(at(p)); }
  // The same memory seen from pixel (y, x) on.
  EXITWAVE_HD BatchView from(int y, int x) const {
    return {data + y * row_stride + x, frame_stride, mode_stride, row_stride};
  }
  template <class U>
    requires(std::is_same_v<U, const T> && !std::is_const_v<T>)
  EXITWAVE_HD operator BatchView<U>() const {
    return {data, frame_stride, mode_stride, row_stride};
  }
};

// A tile of an object-sized array, (modes, ny, nx), addressed in pixels of the whole object: the
// element at `data` is pixel (y0, x0). Does not own.
template <class T>
struct CanvasView {
  T* data = nullptr;
  std::ptrdiff_t mode_stride = 0;
  std::ptrdiff_t row_stride = 0;
  int y0 = 0;
  int x0 = 0;

  EXITWAVE_HD T* at(int mode, int y, int x) const {
    return data + (mode * mode_stride + (y - y0) * row_stride + (x - x0));
  }
  EXITWAVE_HD Element<T> operator()(int mode, int y, int x) const {
    return element<T>(at(mode, y, x));
  }
  // Every `step`-th image, from image `first` on.
  EXITWAVE_HD CanvasView every(int step, int first) const {
    return {data + first * mode_stride, step * mode_stride, row_stride, y0, x0};
  }
  template <class U>
    requires(std::is_same_v<U, const T> && !std::is_const_v<T>)
  EXITWAVE_HD operator CanvasView<U>() const {
    return {data, mode_stride, row_stride, y0, x0};
  }
};

}  // namespace exitwave
