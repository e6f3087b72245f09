#pragma once

#include <pybind11/pybind11.h>

namespace exitwave {

void bind_build(pybind11::module_& m);
void bind_options(pybind11::module_& m);
void bind_device_array(pybind11::module_& m);
void bind_scan(pybind11::module_& m);
void bind_engine(pybind11::module_& m);

}  // namespace exitwave
