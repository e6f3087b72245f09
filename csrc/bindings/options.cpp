#include <pybind11/complex.h>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <complex>

#include "bindings/bindings.hpp"
#include "cpu/settings.hpp"
#include "cuda/settings.hpp"
#include "engines/engine.hpp"

namespace exitwave {

namespace py = pybind11;
using namespace pybind11::literals;

namespace {

using Kernels = py::array_t<std::complex<Real>, py::array::c_style>;
using Reals = py::array_t<Real, py::array::c_style>;

// Between slices: transfer functions (slices - 1, Y, X), zero frequency first, and the pixels that
// the beams of frames move, (slices - 1, N, 2) or of size 0.
void set_slices(EngineOptions& options, const Kernels& kernels, const Reals& shifts) {
  options.slices = int(kernels.shape(0)) + 1;
  const auto* values = reinterpret_cast<const Complex*>(kernels.data());
  options.slice_kernels.assign(values, values + kernels.size());
  options.slice_shifts.assign(shifts.data(), shifts.data() + shifts.size());
}

// Images (Y, X) of odd lengths.
std::vector<SmallImage> small_images(const std::vector<Reals>& given) {
  std::vector<SmallImage> images;
  for (const Reals& image : given) {
    if (image.ndim() != 2 || image.shape(0) % 2 == 0 || image.shape(1) % 2 == 0)
      throw InvalidArgument("passes: expected images (Y, X) of odd lengths");
    images.push_back(
        {int(image.shape(0)), int(image.shape(1)), {image.data(), image.data() + image.size()}});
  }
  return images;
}

}  // namespace

void bind_options(py::module_& m) {
  py::enum_<Noise>(m, "Noise")
      .value("poisson", Noise::poisson)
      .value("amplitude", Noise::amplitude)
      .value("gaussian", Noise::gaussian)
      .value("anscombe", Noise::anscombe);
  py::enum_<OptimiserKind>(m, "Optimiser")
      .value("adam", OptimiserKind::adam)
      .value("momentum", OptimiserKind::momentum)
      .value("sgd", OptimiserKind::sgd);
  py::enum_<Unknown>(m, "Unknown")
      .value("distance", Unknown::distance)
      .value("defocus", Unknown::defocus)
      .value("map", Unknown::map)
      .value("gaps", Unknown::gaps);
  py::enum_<Positivity>(m, "Positivity")
      .value("none", Positivity::none)
      .value("real", Positivity::real)
      .value("phase", Positivity::phase)
      .value("negative_phase", Positivity::negative_phase);
  py::enum_<WaveTier>(m, "WaveTier")
      .value("device", WaveTier::device)
      .value("host", WaveTier::host)
      .value("file", WaveTier::file);
  py::class_<StoragePlan>(m, "StoragePlan")
      .def(py::init<>())
      .def_readwrite("block_frames", &StoragePlan::block_frames)
      .def_readwrite("stream_counts", &StoragePlan::stream_counts)
      .def_readwrite("waves", &StoragePlan::waves)
      .def_readwrite("half", &StoragePlan::half)
      .def_readwrite("half_scale", &StoragePlan::half_scale)
      .def_readwrite("scratch_folder", &StoragePlan::scratch_folder);
  py::class_<EngineOptions>(m, "EngineOptions")
      .def(py::init<>())
      .def_readwrite("name", &EngineOptions::name)
      .def_readwrite("probe_modes", &EngineOptions::probe_modes)
      .def_readwrite("object_modes", &EngineOptions::object_modes)
      .def_readwrite("eigen_probes", &EngineOptions::eigen_probes)
      .def_readonly("slices", &EngineOptions::slices)
      .def("set_slices", &set_slices, "kernels"_a.noconvert(), "shifts"_a.noconvert(),
           "Slices of the object and what lies between them.")
      .def(
          "set_point_spread",
          [](EngineOptions& options, const std::vector<Reals>& passes) {
            options.point_spread = small_images(passes);
          },
          "passes"_a, "What the detector makes of a point of light, one pass after the other.")
      .def(
          "set_background_smoothing",
          [](EngineOptions& options, const std::vector<Reals>& passes) {
            options.background_smoothing = small_images(passes);
          },
          "passes"_a, "Of the steps of a refined background, one pass after the other.")
      .def_readwrite("background_refinement", &EngineOptions::background_refinement)
      .def_property_readonly("object_images", &EngineOptions::object_images)
      .def_readwrite("object_inertia", &EngineOptions::object_inertia)
      .def_readwrite("probe_inertia", &EngineOptions::probe_inertia)
      .def_readwrite("object_step", &EngineOptions::object_step)
      .def_readwrite("probe_step", &EngineOptions::probe_step)
      .def_readwrite("object_alpha", &EngineOptions::object_alpha)
      .def_readwrite("probe_alpha", &EngineOptions::probe_alpha)
      .def_readwrite("beta", &EngineOptions::beta)
      .def_readwrite("power_bound", &EngineOptions::power_bound)
      .def_readwrite("momentum", &EngineOptions::momentum)
      .def_readwrite("momentum_period", &EngineOptions::momentum_period)
      .def_readwrite("group_size", &EngineOptions::group_size)
      .def_readwrite("intensity_refinement", &EngineOptions::intensity_refinement)
      .def_readwrite("noise", &EngineOptions::noise)
      .def_readwrite("history", &EngineOptions::history)
      .def_readwrite("object_optimiser", &EngineOptions::object_optimiser)
      .def_readwrite("probe_optimiser", &EngineOptions::probe_optimiser)
      .def_readwrite("step_memory", &EngineOptions::step_memory)
      .def_readwrite("square_memory", &EngineOptions::square_memory)
      .def_readwrite("needs_tangents", &EngineOptions::needs_tangents)
      .def_readwrite("refines_gaps", &EngineOptions::refines_gaps)
      .def_readwrite("smoothness", &EngineOptions::smoothness)
      .def_readwrite("slice_smoothness", &EngineOptions::slice_smoothness)
      .def_readwrite("object_tv", &EngineOptions::object_tv)
      .def_readwrite("object_l1", &EngineOptions::object_l1)
      .def_readwrite("object_reweighted_l1", &EngineOptions::object_reweighted_l1)
      .def_readwrite("object_l2", &EngineOptions::object_l2)
      .def_readwrite("prior_of_phase", &EngineOptions::prior_of_phase)
      .def_readwrite("positivity", &EngineOptions::positivity)
      .def_readwrite("flat_amplitude", &EngineOptions::flat_amplitude)
      .def_readwrite("one_material", &EngineOptions::one_material)
      .def_readwrite("kappa", &EngineOptions::kappa)
      .def_readwrite("kappa_region", &EngineOptions::kappa_region)
      .def_readwrite("object_blur", &EngineOptions::object_blur)
      .def_readwrite("probe_smoothness", &EngineOptions::probe_smoothness)
      .def_readwrite("object_flat", &EngineOptions::object_flat)
      .def_readwrite("hold_power", &EngineOptions::hold_power)
      .def_readwrite("clip", &EngineOptions::clip)
      .def_readwrite("clip_low", &EngineOptions::clip_low)
      .def_readwrite("clip_high", &EngineOptions::clip_high)
      .def_readwrite("resumed", &EngineOptions::resumed)
      .def_readwrite("storage", &EngineOptions::storage)
      .def_readwrite("probe_support", &EngineOptions::probe_support)
      .def_readwrite("probe_fourier_support", &EngineOptions::probe_fourier_support);
  py::class_<CpuSettings>(m, "CpuSettings")
      .def(py::init<>())
      .def_readwrite("threads", &CpuSettings::threads)
      .def_readwrite("batch", &CpuSettings::batch)
      .def_readwrite("emulated", &CpuSettings::emulated)
      .def_readwrite("memory_limit", &CpuSettings::memory_limit)
      .def_readwrite("host_limit", &CpuSettings::host_limit)
      .def_readwrite("planning", &CpuSettings::planning)
      .def_readwrite("gpu_lanes", &CpuSettings::gpu_lanes)
      .def_readwrite("wave_bytes", &CpuSettings::wave_bytes);
  py::class_<CudaSettings>(m, "CudaSettings")
      .def(py::init<>())
      .def_readwrite("devices", &CudaSettings::devices)
      .def_readwrite("streams", &CudaSettings::streams)
      .def_readwrite("batch", &CudaSettings::batch)
      .def_readwrite("deterministic", &CudaSettings::deterministic)
      .def_readwrite("wave_bytes", &CudaSettings::wave_bytes)
      .def_readwrite("memory_limit", &CudaSettings::memory_limit)
      .def_readwrite("host_limit", &CudaSettings::host_limit)
      .def_readwrite("planning", &CudaSettings::planning);
  py::class_<MemoryUse>(m, "MemoryUse")
      .def_readonly("name", &MemoryUse::name)
      .def_readonly("peak", &MemoryUse::peak)
      .def_readonly("uses", &MemoryUse::uses);
  py::class_<NormalEquation>(m, "NormalEquation")
      .def_readonly("curvature", &NormalEquation::curvature)
      .def_readonly("slope", &NormalEquation::slope);
  py::class_<IterationReport>(m, "IterationReport")
      .def_readonly("deviation", &IterationReport::deviation)
      .def_readonly("loss", &IterationReport::loss)
      .def_readonly("frames_in_bound", &IterationReport::frames_in_bound)
      .def_readonly("cut_power", &IterationReport::cut_power)
      .def_readonly("kappa", &IterationReport::kappa);
}

}  // namespace exitwave
