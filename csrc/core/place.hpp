#pragma once

namespace exitwave {

// The place of an array that is in no GPU's memory, where others have the number of their GPU.
inline constexpr int kOnHost = -1;

// An array, and the place where it is.
template <class T>
struct Placed {
  T* data = nullptr;
  int device = kOnHost;
};

}  // namespace exitwave
