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
                  "cuda"_a = why_no_cuda(), "cuda_runtime"_a = cuda_runtime_name(),
                  "cufft_path"_a = EXITWAVE_CUFFT_LIBRARY,
                  "cufft_version"_a = cufft_library_version());
}

}  // namespace

void bind_build(py::module_& m) {
  m.def("build_info", &build_info,
        "Compiler, SIMD level, FFT libraries, what CUDA devices are, and why none is used.");
  m.def("load_fft_library", &load_fft_library, "library_path"_a, "wisdom_path"_a, "always"_a,
        "Bind the FFTW3 single-precision interface of a shared library; `always` for all sizes.");
  m.def(
      "plan_transforms", [](int ny, int nx) { fft_plan(ny, nx); }, "ny"_a, "nx"_a,
      py::call_guard<py::gil_scoped_release>(), "Make, and keep, the plan for images of a size.");
  py::class_<CudaDevice>(m, "CudaDevice")
      .def_readonly("name", &CudaDevice::name)
      .def_readonly("bytes", &CudaDevice::bytes)
      .def_readonly("cache_bytes", &CudaDevice::cache_bytes);
  m.def("cuda_devices", &cuda_devices, py::call_guard<py::gil_scoped_release>(),
        "CUDA devices, by their numbers.");
  m.def("cuda_free_bytes", &cuda_free_bytes, "device"_a, py::call_guard<py::gil_scoped_release>(),
        "Free memory of a CUDA device.");
  m.def("load_cufft_library", &load_cufft_library, "library_path"_a,
        "Bind cuFFT from a shared library.");
  m.def("time_transforms", &time_transforms, "ny"_a, "nx"_a, "images"_a, "threads"_a,
        py::call_guard<py::gil_scoped_release>(),
        "Seconds for so many pairs of transforms, each thread on one image in its cache.");
}

}  // namespace exitwave
