#include "engines/engine.hpp"

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <complex>
#include <cstdint>
#include <limits>
#include <variant>

#include "bindings/bindings.hpp"
#include "bindings/device_array.hpp"
#include "bindings/scan.hpp"
#include "cpu/engine.hpp"
#include "cuda/arrays.hpp"
#include "cuda/engine.hpp"

namespace exitwave {

namespace py = pybind11;
using namespace pybind11::literals;

namespace {

using ComplexArray = Array<std::complex<Real>>;
using Release = py::call_guard<py::gil_scoped_release>;

// Start values, a NumPy or a DeviceArray.
const Complex* field_data(const char* name, const py::object& given, int modes, int ny, int nx) {
  const auto checked = [&](const auto& array) {
    if (array.ndim() != 3 || array.shape(0) != modes || array.shape(1) != ny ||
        array.shape(2) != nx)
      wrong_shape(name, "(" + std::to_string(modes) + ", " + std::to_string(ny) + ", " +
                            std::to_string(nx) + ")");
    return static_cast<const Complex*>(static_cast<const void*>(array.data()));
  };
  if (py::isinstance<DeviceArray>(given)) {
    const auto& array = given.cast<const DeviceArray&>();
    if (!array.dtype().equal(py::dtype::of<std::complex<Real>>()))
      throw py::type_error(std::string(name) + ": expected complex64");
    return checked(array);
  }
  // Of any other type, a copy would be made in silence.
  if (!py::isinstance<ComplexArray>(given))
    throw py::type_error(std::string(name) + ": expected complex64, contiguous");
  return checked(given.cast<ComplexArray>());
}

using Settings = std::variant<CpuSettings, CudaSettings>;

// An engine, and the scan that it looks at.
class BoundEngine {
 public:
  BoundEngine(const py::object& scan, const EngineOptions& options, const py::object& object,
              const py::object& probe, const Settings& settings)
      : scan_object_(scan), options_(options) {
    const Scan& s = scan.cast<const BoundScan&>().scan;
    object_ny_ = scan.cast<const BoundScan&>().held.ny();
    object_nx_ = scan.cast<const BoundScan&>().held.nx();
    ny_ = s.ny;
    nx_ = s.nx;
    const std::size_t gaps = std::size_t(options.slices) - 1;
    if (options.slice_kernels.size() != gaps * std::size_t(ny_) * std::size_t(nx_))
      wrong_shape("kernels", "(slices - 1, ny, nx)");
    if (!options.slice_shifts.empty() &&
        options.slice_shifts.size() != gaps * std::size_t(s.frames) * 2)
      wrong_shape("shifts", "(slices - 1, frames, 2)");
    if (options.background_refinement && s.background.empty())
      throw InvalidArgument("background: the scan has none to refine; give zeros");
    const Complex* o =
        field_data("object", object, options.object_images(), object_ny_, object_nx_);
    const Complex* p = field_data("probe", probe, options.probe_modes, ny_, nx_);
    start_object_ = object;
    const auto* cpu = std::get_if<CpuSettings>(&settings);
    if (cpu != nullptr &&
        (py::isinstance<DeviceArray>(object) || py::isinstance<DeviceArray>(probe)))
      throw InvalidArgument("object, probe: on a GPU, but the engine is not");
    const py::gil_scoped_release release;
    if (cpu != nullptr)
      engine_ = make_cpu_engine(*cpu, s, options, o, p);
    else
      engine_ = make_cuda_engine(std::get<CudaSettings>(settings), s, options, o, p);
  }

  Engine& engine() { return *engine_; }

  // Pixels outside all tiles are no part's; they keep the start value.
  ComplexArray object() const {
    const bool on_gpu = py::isinstance<DeviceArray>(start_object_);
    ComplexArray result =
        on_gpu ? start_object_.cast<const DeviceArray&>().on_host() : ComplexArray(object_shape());
    if (!on_gpu) {
      const auto start = start_object_.cast<ComplexArray>();
      std::copy_n(start.data(), start.size(), result.mutable_data());
    }
    engine_->get_object(reinterpret_cast<Complex*>(result.mutable_data()));
    return result;
  }
  ComplexArray probe() const {
    ComplexArray result(probe_shape());
    engine_->get_probe(reinterpret_cast<Complex*>(result.mutable_data()));
    return result;
  }
  DeviceArray object_on(int device) const {
    DeviceArray result(device, py::dtype::of<std::complex<Real>>(), object_shape());
    const void* start = py::isinstance<DeviceArray>(start_object_)
                            ? start_object_.cast<const DeviceArray&>().data()
                            : start_object_.cast<ComplexArray>().data();
    copy_cuda_array(device, result.data(), start, result.bytes());
    engine_->get_object(static_cast<Complex*>(result.data()));
    return result;
  }
  DeviceArray probe_on(int device) const {
    DeviceArray result(device, py::dtype::of<std::complex<Real>>(), probe_shape());
    engine_->get_probe(static_cast<Complex*>(result.data()));
    return result;
  }
  py::array_t<double> position_sums() {
    py::array_t<double> sums({scan().frames, 5});
    std::fill_n(sums.mutable_data(), sums.size(), 0.0);
    engine_->get_position_sums(sums.mutable_data());
    return sums;
  }
  py::array_t<double> deviations_at(const Array<int>& corner, const Array<Real>& fraction) {
    py::array_t<double> deviations(scan().frames);
    std::fill_n(deviations.mutable_data(), deviations.size(), 0.0);
    const auto [corners, fractions] = places(corner, fraction);
    const py::gil_scoped_release release;
    engine_->get_deviations_at(corners, fractions, deviations.mutable_data());
    return deviations;
  }
  py::array_t<double> intensity_factors() const {
    py::array_t<double> factors(scan().frames);
    std::fill_n(factors.mutable_data(), factors.size(), 0.0);
    engine_->get_intensity_factors(factors.mutable_data());
    return factors;
  }
  void set_intensity_factors(const Array<double>& factors) {
    if (factors.size() != scan().frames) wrong_shape("factors", "(frames)");
    engine_->set_intensity_factors(factors.data());
  }
  py::tuple eigen_probes() const {
    ComplexArray eigen({options_.eigen_probes, options_.probe_modes, ny_, nx_});
    ComplexArray weights({scan().frames, options_.eigen_probes});
    std::fill_n(weights.mutable_data(), weights.size(), std::complex<Real>(0));
    engine_->get_eigen_probes(reinterpret_cast<Complex*>(eigen.mutable_data()),
                              reinterpret_cast<Complex*>(weights.mutable_data()));
    return py::make_tuple(eigen, weights);
  }
  void set_eigen_probes(const ComplexArray& eigen, const ComplexArray& weights) {
    if (eigen.size() != py::ssize_t(options_.eigen_probes) * options_.probe_modes * ny_ * nx_)
      wrong_shape("eigen", "(eigen_probes, probe modes, ny, nx)");
    if (weights.size() != py::ssize_t(scan().frames) * options_.eigen_probes)
      wrong_shape("weights", "(frames, eigen_probes)");
    engine_->set_eigen_probes(reinterpret_cast<const Complex*>(eigen.data()),
                              reinterpret_cast<const Complex*>(weights.data()));
  }
  py::array_t<Real> background() const {
    py::array_t<Real> counts({ny_, nx_});
    engine_->get_background(counts.mutable_data());
    return counts;
  }
  void set_fields(const ComplexArray& object, const ComplexArray& probe) {
    const Complex* o =
        field_data("object", object, options_.object_images(), object_ny_, object_nx_);
    const Complex* p = field_data("probe", probe, options_.probe_modes, ny_, nx_);
    const py::gil_scoped_release release;
    engine_->set_fields(o, p);
  }
  void set_kernel(const ComplexArray& kernel) {
    if (!scan().near_field || kernel.size() != py::ssize_t(ny_) * nx_)
      wrong_shape("kernel", "(ny, nx), in the near field");
    engine_->set_kernel(reinterpret_cast<const Complex*>(kernel.data()));
  }
  void set_slice_kernels(const ComplexArray& kernels) {
    engine_->set_slice_kernels(of_gaps("kernels", kernels));
  }
  NormalEquation look_between_slices(const ComplexArray& factors) {
    if (!options_.refines_gaps) throw InvalidArgument("refines_gaps: not set in the options");
    const Complex* values = of_gaps("factors", factors);
    const py::gil_scoped_release release;
    return engine_->look_between_slices(values);
  }
  py::tuple gradients() const {
    ComplexArray object({options_.object_images(), object_ny_, object_nx_});
    ComplexArray probe({options_.probe_modes, ny_, nx_});
    std::fill_n(object.mutable_data(), object.size(), std::complex<Real>(0));
    engine_->get_gradients(reinterpret_cast<Complex*>(object.mutable_data()),
                           reinterpret_cast<Complex*>(probe.mutable_data()));
    return py::make_tuple(object, probe);
  }
  py::array_t<double> position_slopes() const {
    py::array_t<double> slopes({scan().frames, 2});
    std::fill_n(slopes.mutable_data(), slopes.size(), 0.0);
    engine_->get_position_slopes(slopes.mutable_data());
    return slopes;
  }
  void set_positions(const Array<int>& corner, const Array<Real>& fraction) {
    const auto [corners, fractions] = places(corner, fraction);
    const py::gil_scoped_release release;
    engine_->set_positions(corners, fractions);
  }
  static py::object view(const py::object& self, bool of_object) {
    auto& bound = self.cast<BoundEngine&>();
    const Placed<Complex> at = bound.in_place(of_object);
    if (at.data == nullptr || at.device != kOnHost)
      return of_object ? bound.object() : bound.probe();
    return ComplexArray(of_object ? bound.object_shape() : bound.probe_shape(),
                        reinterpret_cast<std::complex<Real>*>(at.data), self);
  }
  // The array itself where all lanes work on one GPU, else a copy on this one.
  static DeviceArray view_on(const py::object& self, bool of_object, int device) {
    auto& bound = self.cast<BoundEngine&>();
    const Placed<Complex> at = bound.in_place(of_object);
    if (at.data == nullptr || at.device != device)
      return of_object ? bound.object_on(device) : bound.probe_on(device);
    return {self, at.data, py::dtype::of<std::complex<Real>>(),
            of_object ? bound.object_shape() : bound.probe_shape()};
  }

 private:
  const Scan& scan() const { return scan_object_.cast<const BoundScan&>().scan; }
  DeviceArray::Shape object_shape() const {
    return {options_.object_images(), object_ny_, object_nx_};
  }
  DeviceArray::Shape probe_shape() const { return {options_.probe_modes, ny_, nx_}; }
  Placed<Complex> in_place(bool of_object) {
    return of_object ? engine_->object_in_place() : engine_->probe_in_place();
  }

  const Complex* of_gaps(const char* name, const ComplexArray& images) const {
    if (options_.slices == 1 ||
        images.size() != (options_.slices - py::ssize_t(1)) * py::ssize_t(ny_) * nx_)
      wrong_shape(name, "(slices - 1, ny, nx), of an object with slices");
    return reinterpret_cast<const Complex*>(images.data());
  }

  // Where frames are to be, checked.
  std::pair<std::vector<Corner>, std::vector<Real>> places(const Array<int>& corner,
                                                           const Array<Real>& fraction) const {
    if (!scan().moves()) throw InvalidArgument("margin: frames of this scan stay where they are");
    std::vector<Corner> corners = corners_of("corner", corner, scan().frames);
    check_corners(scan(), corners);
    if (fraction.size() != corner.size()) wrong_shape("fraction", "(frames, 2)");
    return {std::move(corners), {fraction.data(), fraction.data() + fraction.size()}};
  }

  py::object scan_object_;
  EngineOptions options_;
  py::object start_object_;
  int object_ny_;
  int object_nx_;
  int ny_;
  int nx_;
  std::unique_ptr<Engine> engine_;
};

py::dtype dtype_of(ElementType type) {
  switch (type) {
    case ElementType::byte:
      return py::dtype::of<std::uint8_t>();
    case ElementType::int64:
      return py::dtype::of<std::int64_t>();
    case ElementType::float32:
      return py::dtype::of<float>();
    case ElementType::float64:
      return py::dtype::of<double>();
    case ElementType::complex64:
      return py::dtype::of<std::complex<float>>();
  }
  throw InvalidArgument("state: unknown type");
}

// Gives each piece of the state to transfer(name, total, first, piece), which reads the piece when
// the state is saved and fills it when it is restored.
void pass_state(Engine& engine, bool saving, const py::function& transfer) {
  Archive archive(saving, [&](const Archive::Piece& piece) {
    // With a base, the array is a view.
    const py::array view(dtype_of(piece.type), std::vector<py::ssize_t>{py::ssize_t(piece.count)},
                         piece.data, py::none());
    transfer(piece.name, piece.total, piece.first, view);
  });
  engine.state(archive);
}

}  // namespace

void bind_engine(py::module_& m) {
  py::class_<BoundEngine>(m, "Engine")
      .def(py::init<const py::object&, const EngineOptions&, const py::object&, const py::object&,
                    const Settings&>(),
           "scan"_a, "options"_a, "object"_a, "probe"_a, "settings"_a,
           "Start values are NumPy arrays or, on GPUs, DeviceArrays.")
      .def(
          "iterate",
          [](BoundEngine& e, const std::vector<std::vector<int>>& groups, bool update_probe) {
            return e.engine().iterate(groups, update_probe);
          },
          "groups"_a, "update_probe"_a, Release(), "One iteration; frames of each group.")
      .def(
          "set_schedule",
          [](BoundEngine& e, double object, double probe) {
            e.engine().set_schedule(object, probe);
          },
          "object"_a, "probe"_a, "Factors on the steps of the next iterations.")
      .def(
          "set_constraints",
          [](BoundEngine& e, bool due, bool refine_kappa) {
            e.engine().set_constraints(due, refine_kappa);
          },
          "due"_a, "refine_kappa"_a,
          "Whether the next iterations end with constraints, and refine the ratio of one material.")
      .def(
          "finish", [](BoundEngine& e) { e.engine().finish(); }, Release())
      .def(
          "deviation", [](BoundEngine& e) { return e.engine().deviation(); }, Release(),
          "Sum of squared amplitude deviations of the present model.")
      .def(
          "model_power", [](BoundEngine& e) { return e.engine().model_power(); }, Release(),
          "Counts of the present model at valid pixels.")
      .def(
          "move_probe", [](BoundEngine& e, int dy, int dx) { e.engine().move_probe(dy, dx); },
          "dy"_a, "dx"_a, Release(), "Move probe and object by whole pixels.")
      .def(
          "watch_positions", [](BoundEngine& e, bool on) { e.engine().watch_positions(on); },
          "on"_a, "Whether the next iterations take position_sums.")
      .def_property_readonly("position_sums", &BoundEngine::position_sums,
                             "a_yy, a_yx, a_xx, b_y, b_x of each frame, (N, 5) float64.")
      .def("deviations_at", &BoundEngine::deviations_at, "corner"_a.noconvert(),
           "fraction"_a.noconvert(),
           "(frames,) squared amplitude deviations if each frame were there; 0 where another "
           "process holds the frame.")
      .def(
          "refine_intensities", [](BoundEngine& e, bool on) { e.engine().refine_intensities(on); },
          "on"_a, "Whether the next iterations refine the intensity of each frame.")
      .def_property_readonly("intensity_factors", &BoundEngine::intensity_factors,
                             "Factor on the waves of each frame, (N,); 0 for frames of others.")
      .def("set_intensity_factors", &BoundEngine::set_intensity_factors, "factors"_a.noconvert())
      .def(
          "relax_probe", [](BoundEngine& e, bool on) { e.engine().relax_probe(on); }, "on"_a,
          "Whether the next iterations update eigen-probes and weights with the probe.")
      .def_property_readonly("eigen_probes", &BoundEngine::eigen_probes,
                             "Eigen-probes (K, M, Y, X) and weights (N, K), 0 where other processes"
                             " hold the frame.")
      .def("set_eigen_probes", &BoundEngine::set_eigen_probes, "eigen"_a.noconvert(),
           "weights"_a.noconvert())
      .def(
          "refine_background", [](BoundEngine& e, bool on) { e.engine().refine_background(on); },
          "on"_a, "Whether the next iterations refine the background of all frames.")
      .def_property_readonly("background", &BoundEngine::background,
                             "Counts (Y, X) in each frame, first pixel as the waves have it.")
      .def("set_kernel", &BoundEngine::set_kernel, "kernel"_a.noconvert())
      .def(
          "look_along",
          [](BoundEngine& e, Unknown unknown, Real yy, Real yx, Real xy, Real xx) {
            return e.engine().look_along(unknown, {yy, yx, xy, xx});
          },
          Release(), "Normal equation of something that all frames have in common.")
      .def("set_slice_kernels", &BoundEngine::set_slice_kernels, "kernels"_a.noconvert())
      .def("look_between_slices", &BoundEngine::look_between_slices, "factors"_a.noconvert(),
           "The same of the gaps between slices, (slices - 1, Y, X) factors on spectra.")
      .def("set_fields", &BoundEngine::set_fields, "object"_a.noconvert(), "probe"_a.noconvert())
      .def_property_readonly("gradients", &BoundEngine::gradients,
                             "Of the engine 'losses': of the loss with respect to the conjugates.")
      .def_property_readonly("position_slopes", &BoundEngine::position_slopes,
                             "Of the engine 'losses': of the loss along positions, (N, 2).")
      .def("set_positions", &BoundEngine::set_positions, "corner"_a.noconvert(),
           "fraction"_a.noconvert(), "Move frames, within the margin of the scan.")
      .def(
          "save",
          [](BoundEngine& e, const py::function& write) { pass_state(e.engine(), true, write); },
          "write"_a,
          "All that an engine holds between iterations: write(name, total, first, piece).")
      .def(
          "restore",
          [](BoundEngine& e, const py::function& read) { pass_state(e.engine(), false, read); },
          "read"_a, "The way back: read(name, total, first, piece) fills the piece.")
      .def_property_readonly("object", &BoundEngine::object, "Copy, (K S, A, B) complex64.")
      .def_property_readonly("probe", &BoundEngine::probe, "Copy, (M, Y, X) complex64.")
      .def_property_readonly(
          "object_view", [](const py::object& self) { return BoundEngine::view(self, true); },
          "The array itself where the host can see it, else a copy.")
      .def_property_readonly("probe_view",
                             [](const py::object& self) { return BoundEngine::view(self, false); })
      .def("object_on", &BoundEngine::object_on, "device"_a, "Copy, a DeviceArray on this GPU.")
      .def("probe_on", &BoundEngine::probe_on, "device"_a)
      .def(
          "object_view_on",
          [](const py::object& self, int device) {
            return BoundEngine::view_on(self, true, device);
          },
          "device"_a, "The array itself where it is on this GPU in one piece, else a copy there.")
      .def(
          "probe_view_on",
          [](const py::object& self, int device) {
            return BoundEngine::view_on(self, false, device);
          },
          "device"_a)
      .def_property_readonly(
          "memory", [](BoundEngine& e) { return e.engine().memory(); },
          "MemoryUse of each device, then of the host where that is another.");
}

}  // namespace exitwave
