#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <string>

#include "bindings/bindings.hpp"
#include "cpu/fft.hpp"
#include "cpu/fft_floor.hpp"
#include "cuda/engine.hpp"

namespace exitwave {

namespace py = pybind11;
using namespace pybind11::literals;

namespace {

std::string compiler() {
#if defined(__clang__)
  return std::string("clang ") + __clang_version__;
#elif defined(__GNUC__)
  return std::string("gcc ") + __VERSION__;
#else
  return "unknown";
#endif
}

py::dict build_info() {
  return py::dict("compiler"_a = compiler(), "simd"_a = EXITWAVE_SIMD_LEVEL,
                  "fft_version"_a = fft_library_version(), "own_fft"_a = FastFft::pays(),
                  "cuda"_a = why_no_cuda());
}

}  // namespace

void bind_build(py::module_& m) {
  m.def("build_info", &build_info, "Compiler, SIMD level, FFT library, and why no GPU is used.");
  m.def("load_fft_library", &load_fft_library, "library_path"_a, "wisdom_path"_a, "always"_a,
        "Bind the FFTW3 single-precision interface of a shared library; `always` for all sizes.");
  m.def("time_transforms", &time_transforms, "ny"_a, "nx"_a, "images"_a, "threads"_a,
        py::call_guard<py::gil_scoped_release>(),
        "Seconds for so many pairs of transforms, each thread on one image in its cache.");
}

}  // namespace exitwave
