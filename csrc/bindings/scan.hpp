#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <string>
#include <vector>

#include "core/scan.hpp"

namespace exitwave {

// noconvert() at the arguments refuses any other type, so that nothing is copied in silence.
template <class T>
using Array = pybind11::array_t<T, pybind11::array::c_style>;

[[noreturn]] void wrong_shape(const char* argument, const std::string& expected);

// A scan, what it borrows, and the part of the object that its ranks' parts here reach.
struct BoundScan {
  Scan scan;
  pybind11::object data;
  pybind11::object communicator;
  Rect held;
  std::vector<Rect> tiles;  // of the parts here
};

std::vector<Corner> corners_of(const char* name, const Array<int>& corner, int frames);

// Windows lie in the object, and, where positions move, no farther from home than the margin.
void check_corners(const Scan& s, const std::vector<Corner>& corners);

}  // namespace exitwave
