#include <pybind11/pybind11.h>

#include <string>

#include "bindings/bindings.hpp"
#include "core/error.hpp"
#include "missing_extension.hpp"

namespace py = pybind11;

PYBIND11_MODULE(_core, m) {
  m.doc() = "Compiled core of exitwave; private, use the functions of the package.";
  if (const char* missing = exitwave::missing_extension())
    throw py::import_error(std::string("exitwave was compiled for processors with ") + missing +
                           ", which this one does not have; install it again on this machine, or "
                           "with -C cmake.define.EXITWAVE_SIMD=x86-64-v2");

  const py::module_ errors = py::module_::import("exitwave.errors");
  py::register_exception_translator([](std::exception_ptr pending) {
    const auto raise = [](const char* name, const std::exception& e) {
      const py::object type = py::module_::import("exitwave.errors").attr(name);
      PyErr_SetString(type.ptr(), e.what());
    };
    try {
      std::rethrow_exception(pending);
    } catch (const exitwave::InvalidArgument& e) {
      raise("InvalidArgument", e);
    } catch (const exitwave::DeviceError& e) {
      raise("DeviceError", e);
    } catch (const exitwave::OutOfMemory& e) {
      raise("OutOfMemory", e);
    }
  });

  exitwave::bind_build(m);
  exitwave::bind_options(m);
  exitwave::bind_device_array(m);
  exitwave::bind_scan(m);
  exitwave::bind_engine(m);
}
