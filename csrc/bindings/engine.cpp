#include "engines/engine.hpp"

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <complex>
#include <cstdint>
#include <limits>
#include <variant>

#include "bindings/bindings.hpp"
#include "core/communicator.hpp"
#include "cpu/engine.hpp"
#include "cuda/engine.hpp"
#include "engines/layout.hpp"

namespace exitwave {

namespace py = pybind11;
using namespace pybind11::literals;

namespace {

// noconvert() at the arguments refuses any other type, so that nothing is copied in silence.
template <class T>
using Array = py::array_t<T, py::array::c_style>;
using ComplexArray = Array<std::complex<Real>>;
using Release = py::call_guard<py::gil_scoped_release>;

[[noreturn]] void wrong_shape(const char* argument, const std::string& expected) {
  throw InvalidArgument(std::string(argument) + ": expected shape " + expected);
}

Counts counts_of(const py::array& data) {
  const auto is = [&](auto zero) { return py::isinstance<py::array_t<decltype(zero)>>(data); };
  if (data.ndim() != 3 || !(data.flags() & py::array::c_style))
    wrong_shape("data", "(frames, ny, nx), contiguous");
  if (is(std::uint8_t{})) return {data.data(), CountType::uint8};
  if (is(std::uint16_t{})) return {data.data(), CountType::uint16};
  if (is(std::uint32_t{})) return {data.data(), CountType::uint32};
  if (is(float{})) return {data.data(), CountType::float32};
  throw InvalidArgument("data: expected uint8, uint16, uint32 or float32");
}

// Frames that are not in memory: like `empty` (0, Y, X), which gives shape and type, and read by
// read(frames, target) into target (len(frames), Y, X). Without read there is only a plan of them,
// as if they were `lent` from memory or not.
struct FrameSource {
  int frames;
  py::array empty;
  py::object read;
  bool lent;
};

// Calls Python, from whatever thread.
ReadFrames reader_of(const FrameSource& source) {
  if (source.read.is_none()) return {};
  return [read = source.read, empty = source.empty](const std::vector<int>& frames, void* target) {
    const py::gil_scoped_acquire acquire;
    const py::array_t<int> numbers(py::ssize_t(frames.size()), frames.data());
    const std::vector<py::ssize_t> shape{py::ssize_t(frames.size()), empty.shape(1),
                                         empty.shape(2)};
    // With a base, the array is a view.
    read(numbers, py::array(empty.dtype(), shape, target, py::none()));
  };
}

// A communicator whose methods are written in Python.
class PythonCommunicator : public Communicator {
 public:
  void start(const std::vector<Message>& messages) override {
    const py::gil_scoped_acquire acquire;
    py::list list;
    for (const Message& m : messages)
      list.append(py::make_tuple(m.rank, py::memoryview::from_memory(m.data, py::ssize_t(m.bytes)),
                                 m.sent));
    method("start")(list);
  }
  void finish() override {
    const py::gil_scoped_acquire acquire;
    method("finish")();
  }
  void gather(std::vector<double>& values, const std::vector<int>& counts) override {
    const py::gil_scoped_acquire acquire;
    // With a base, the array is a view.
    method("gather")(py::array_t<double>(py::ssize_t(values.size()), values.data(), py::none()),
                     counts);
  }
  bool reaches_devices() const override {
    const py::gil_scoped_acquire acquire;
    return method("reaches_devices")().cast<bool>();
  }

 private:
  py::function method(const char* name) const { return py::get_override(this, name); }
};

// A scan, what it borrows, and the part of the object that its ranks' parts here reach.
struct BoundScan {
  Scan scan;
  py::object data;
  py::object communicator;
  Rect held;
  std::vector<Rect> tiles;  // of the parts here
};

std::vector<Corner> corners_of(const char* name, const Array<int>& corner, int frames) {
  if (corner.size() != 2 * frames) wrong_shape(name, "(frames, 2)");
  std::vector<Corner> corners;
  for (int j = 0; j < frames; ++j)
    corners.push_back({corner.data()[2 * j], corner.data()[2 * j + 1]});
  return corners;
}

// Windows lie in the object, and, where positions move, no farther from home than the margin.
void check_corners(const Scan& s, const std::vector<Corner>& corners) {
  for (int j = 0; j < s.frames; ++j) {
    const Corner c = corners[std::size_t(j)];
    if (c.y < 0 || c.x < 0 || c.y + s.ny > s.object_ny || c.x + s.nx > s.object_nx)
      throw InvalidArgument("corner: frame " + std::to_string(j) + " leaves the object");
    const Corner first = s.reach(j);
    if (s.moves() && (c.y < first.y || c.x < first.x || c.y > first.y + 2 * s.margin ||
                      c.x > first.x + 2 * s.margin))
      throw InvalidArgument("corner: frame " + std::to_string(j) + " goes beyond the margin");
  }
}
// y0, x0, y1, x1
py::tuple box(const Rect& r) { return py::make_tuple(r.y0, r.x0, r.y1, r.x1); }

std::unique_ptr<BoundScan> make_scan(
    const py::object& data, const Array<bool>& mask, const Array<int>& corner,
    const Array<Real>& fraction, std::pair<int, int> object_shape,
    const std::optional<ComplexArray>& kernel, std::vector<std::vector<int>> parts,
    const py::object& communicator, int rank, std::vector<int> first_part, std::vector<int> place,
    const std::optional<Array<int>>& home, int margin, const std::optional<Array<Real>>& background,
    Real saturation) {
  auto bound = std::make_unique<BoundScan>();
  Scan& s = bound->scan;
  const bool in_memory = !py::isinstance<FrameSource>(data);
  const py::array like = in_memory ? data.cast<py::array>() : data.cast<FrameSource>().empty;
  s.counts = counts_of(like);
  s.frames = int(corner.size() / 2);
  const int counted = in_memory ? int(like.shape(0)) : data.cast<FrameSource>().frames;
  s.ny = int(like.shape(1));
  s.nx = int(like.shape(2));
  if (!in_memory) {
    // For a plan any address will do.
    s.counts.data = data.cast<FrameSource>().lent ? like.data() : nullptr;
    s.read_counts = reader_of(data.cast<FrameSource>());
  }
  s.object_ny = object_shape.first;
  s.object_nx = object_shape.second;
  if (mask.ndim() != 2 || mask.shape(0) != s.ny || mask.shape(1) != s.nx)
    wrong_shape("mask", "(ny, nx)");
  if (background) {
    if (background->size() != s.ny * s.nx) wrong_shape("background", "(ny, nx)");
    s.background.assign(background->data(), background->data() + background->size());
  }
  s.saturation = saturation;
  s.valid.assign(mask.data(), mask.data() + mask.size());
  if (place.empty() && counted != s.frames) wrong_shape("corner", "(frames, 2)");
  if (fraction.size() != 2 * s.frames) wrong_shape("fraction", "(frames, 2)");
  s.margin = margin;
  if (margin > 0) s.home = corners_of("home", home ? *home : corner, s.frames);
  s.corner = corners_of("corner", corner, s.frames);
  check_corners(s, s.corner);
  s.fraction.assign(fraction.data(), fraction.data() + fraction.size());
  if (kernel) {
    if (kernel->size() != mask.size()) wrong_shape("kernel", "(ny, nx)");
    s.near_field = true;
    const auto* values = reinterpret_cast<const Complex*>(kernel->data());
    s.kernel.assign(values, values + kernel->size());
  }
  for (const std::vector<int>& part : parts)
    for (const int frame : part)
      if (frame < 0 || frame >= s.frames) throw InvalidArgument("parts: frame out of range");
  s.parts = std::move(parts);
  bound->data = data;
  bound->held = {0, 0, s.object_ny, s.object_nx};
  if (communicator.is_none()) return bound;
  bound->communicator = communicator;
  s.ranks = {communicator.cast<Communicator*>(), rank, std::move(first_part)};
  if (rank < 0 || rank + 1 >= int(s.ranks.first_part.size()) ||
      s.ranks.first_part.back() != int(s.parts.size()) || s.first_part() >= s.end_part())
    throw InvalidArgument("first_part: each rank needs a part");
  s.place = std::move(place);
  if (!s.place.empty() && int(s.place.size()) != s.frames) wrong_shape("place", "(frames)");
  for (const int place : s.place)
    if (place < 0 || place >= counted) throw InvalidArgument("place: out of range");
  const Layout layout(s);
  bound->held = layout.around(s.first_part(), s.end_part());
  for (int part = s.first_part(); part < s.end_part(); ++part)
    bound->tiles.push_back(layout.tile(part));
  return bound;
}

const Complex* field_data(const char* name, const ComplexArray& array, int modes, int ny, int nx) {
  if (array.ndim() != 3 || array.shape(0) != modes || array.shape(1) != ny || array.shape(2) != nx)
    wrong_shape(name, "(" + std::to_string(modes) + ", " + std::to_string(ny) + ", " +
                          std::to_string(nx) + ")");
  return reinterpret_cast<const Complex*>(array.data());
}

using Settings = std::variant<CpuSettings, CudaSettings>;

// An engine, and the scan that it looks at.
class BoundEngine {
 public:
  BoundEngine(const py::object& scan, const EngineOptions& options, const ComplexArray& object,
              const ComplexArray& probe, const Settings& settings)
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
    const Complex* o =
        field_data("object", object, options.object_images(), object_ny_, object_nx_);
    const Complex* p = field_data("probe", probe, options.probe_modes, ny_, nx_);
    start_object_ = object;
    const py::gil_scoped_release release;
    if (const auto* cpu = std::get_if<CpuSettings>(&settings))
      engine_ = make_cpu_engine(*cpu, s, options, o, p);
    else
      engine_ = make_cuda_engine(std::get<CudaSettings>(settings), s, options, o, p);
  }

  Engine& engine() { return *engine_; }

  ComplexArray object() const {
    ComplexArray result({options_.object_images(), object_ny_, object_nx_});
    // Pixels outside all tiles are no part's; they keep the start value.
    std::copy_n(start_object_.data(), start_object_.size(), result.mutable_data());
    engine_->get_object(reinterpret_cast<Complex*>(result.mutable_data()));
    return result;
  }
  ComplexArray probe() const {
    ComplexArray result({options_.probe_modes, ny_, nx_});
    engine_->get_probe(reinterpret_cast<Complex*>(result.mutable_data()));
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
  void set_fields(const ComplexArray& object, const ComplexArray& probe) {
    const Complex* o =
        field_data("object", object, options_.object_images(), object_ny_, object_nx_);
    const Complex* p = field_data("probe", probe, options_.probe_modes, ny_, nx_);
    start_object_ = object;
    const py::gil_scoped_release release;
    engine_->set_fields(o, p);
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
    Complex* data = of_object ? bound.engine_->object_in_place() : bound.engine_->probe_in_place();
    if (data == nullptr) return of_object ? bound.object() : bound.probe();
    const py::array::ShapeContainer shape =
        of_object ? py::array::ShapeContainer{bound.options_.object_images(), bound.object_ny_,
                                              bound.object_nx_}
                  : py::array::ShapeContainer{bound.options_.probe_modes, bound.ny_, bound.nx_};
    return ComplexArray(shape, reinterpret_cast<std::complex<Real>*>(data), self);
  }

 private:
  const Scan& scan() const { return scan_object_.cast<const BoundScan&>().scan; }

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
  ComplexArray start_object_;
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
  py::class_<Communicator, PythonCommunicator>(
      m, "Communicator", "Base of classes with start, finish, gather and reaches_devices.")
      .def(py::init<>());
  py::class_<FrameSource>(m, "FrameSource")
      .def(py::init<int, py::array, py::object, bool>(), "frames"_a, "empty"_a, "read"_a, "lent"_a,
           "Frames that read(numbers, target) reads; `empty` (0, Y, X) has their shape and type.");
  py::class_<BoundScan>(m, "Scan")
      .def(py::init(&make_scan), "data"_a, "mask"_a.noconvert(), "corner"_a.noconvert(),
           "fraction"_a.noconvert(), "object_shape"_a, "kernel"_a.noconvert(), "parts"_a,
           "communicator"_a = py::none(), "rank"_a = 0, "first_part"_a = std::vector<int>(),
           "place"_a = std::vector<int>(), "home"_a.noconvert() = py::none(), "margin"_a = 0,
           "background"_a.noconvert() = py::none(),
           "saturation"_a = std::numeric_limits<Real>::infinity(),
           "Counts (N, Y, X) or FrameSource, positions and parts of a scan; borrows the counts. "
           "With a "
           "communicator: parts of all ranks, counts of this one's, and the place of each frame "
           "there. Engines may move frames by at most `margin` pixels from the corners `home`.")
      .def_property_readonly(
          "tiles",
          [](const BoundScan& bound) {
            py::list tiles;
            for (const Rect& tile : bound.tiles) tiles.append(box(tile));
            return tiles;
          },
          "With a communicator: rectangles of the parts that this rank holds.");
  py::class_<BoundEngine>(m, "Engine")
      .def(py::init<const py::object&, const EngineOptions&, const ComplexArray&,
                    const ComplexArray&, const Settings&>(),
           "scan"_a, "options"_a, "object"_a.noconvert(), "probe"_a.noconvert(), "settings"_a)
      .def(
          "iterate",
          [](BoundEngine& e, const std::vector<std::vector<int>>& groups, bool update_probe) {
            return e.engine().iterate(groups, update_probe);
          },
          "groups"_a, "update_probe"_a, Release(), "One iteration; frames of each group.")
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
      .def_property_readonly(
          "memory", [](BoundEngine& e) { return e.engine().memory(); },
          "MemoryUse of each device, then of the host where that is another.");
}

}  // namespace exitwave
