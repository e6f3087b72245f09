#pragma once

#include <cstddef>

namespace exitwave {

// Shape of a batch of images; x is fastest.
struct Extent {
  int frames = 1;
  int modes = 1;
  int ny = 1;
  int nx = 1;
};

struct Pixel {
  int frame;
  int mode;
  int y;
  int x;
};

// First pixel of a frame's window in the object.
struct Corner {
  int y;
  int x;
};

// Half-open rectangle [y0, y1) x [x0, x1) of object pixels.
struct Rect {
  int y0 = 0;
  int x0 = 0;
  int y1 = 0;
  int x1 = 0;

  int ny() const { return y1 - y0; }
  int nx() const { return x1 - x0; }
  bool empty() const { return y1 <= y0 || x1 <= x0; }
  std::size_t pixels() const { return empty() ? 0 : std::size_t(ny()) * std::size_t(nx()); }
};

}  // namespace exitwave
