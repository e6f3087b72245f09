#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "bindings/bindings.hpp"
#include "cpu/settings.hpp"
#include "cuda/settings.hpp"
#include "engines/engine.hpp"

namespace exitwave {

namespace py = pybind11;

void bind_options(py::module_& m) {
  py::enum_<Noise>(m, "Noise")
      .value("poisson", Noise::poisson)
      .value("amplitude", Noise::amplitude)
      .value("gaussian", Noise::gaussian)
      .value("anscombe", Noise::anscombe);
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
      .def_readwrite("noise", &EngineOptions::noise)
      .def_readwrite("smoothness", &EngineOptions::smoothness)
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
      .def_readwrite("planning", &CpuSettings::planning);
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
  py::class_<IterationReport>(m, "IterationReport")
      .def_readonly("deviation", &IterationReport::deviation)
      .def_readonly("frames_in_bound", &IterationReport::frames_in_bound)
      .def_readonly("cut_power", &IterationReport::cut_power);
}

}  // namespace exitwave
