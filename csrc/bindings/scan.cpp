#include "bindings/scan.hpp"

#include <pybind11/stl.h>

#include <complex>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <utility>

#include "bindings/bindings.hpp"
#include "bindings/device_array.hpp"
#include "core/communicator.hpp"
#include "engines/layout.hpp"

namespace exitwave {

namespace py = pybind11;
using namespace pybind11::literals;

[[noreturn]] void wrong_shape(const char* argument, const std::string& expected) {
  throw InvalidArgument(std::string(argument) + ": expected shape " + expected);
}

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
namespace {

Counts counts_of(const py::array& data) {
  if (data.ndim() != 3 || !(data.flags() & py::array::c_style))
    wrong_shape("data", "(frames, ny, nx), contiguous");
  return {data.data(), count_type_of(data.dtype())};
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

// Sets counts and shape of the frames; returns how many frames there are.
int take_counts(Scan& s, const py::object& data) {
  const auto shaped = [&](const auto& array) {
    s.ny = int(array.shape(1));
    s.nx = int(array.shape(2));
    return int(array.shape(0));
  };
  if (py::isinstance<DeviceArray>(data)) {
    const auto& array = data.cast<const DeviceArray&>();
    s.counts = array.counts();
    return shaped(array);
  }
  if (!py::isinstance<FrameSource>(data)) {
    const auto array = data.cast<py::array>();
    s.counts = counts_of(array);
    return shaped(array);
  }
  const auto& source = data.cast<const FrameSource&>();
  s.counts = counts_of(source.empty);
  shaped(source.empty);
  // For a plan any address will do.
  if (!source.lent) s.counts.data = nullptr;
  s.read_counts = reader_of(source);
  return source.frames;
}
// y0, x0, y1, x1
py::tuple box(const Rect& r) { return py::make_tuple(r.y0, r.x0, r.y1, r.x1); }

std::unique_ptr<BoundScan> make_scan(
    const py::object& data, const Array<bool>& mask, const Array<int>& corner,
    const Array<Real>& fraction, std::pair<int, int> object_shape,
    const std::optional<Array<std::complex<Real>>>& kernel, std::vector<std::vector<int>> parts,
    const py::object& communicator, int rank, std::vector<int> first_part, std::vector<int> place,
    const std::optional<Array<int>>& home, int margin, const std::optional<Array<Real>>& background,
    Real saturation) {
  auto bound = std::make_unique<BoundScan>();
  Scan& s = bound->scan;
  const int counted = take_counts(s, data);
  s.frames = int(corner.size() / 2);
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

}  // namespace

void bind_scan(py::module_& m) {
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
           "Counts (N, Y, X), DeviceArray or FrameSource, positions and parts of a scan; borrows "
           "the counts. "
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
}

}  // namespace exitwave
