#include "bindings/device_array.hpp"

#include <pybind11/stl.h>

#include <algorithm>
#include <complex>
#include <cstdint>
#include <string>
#include <utility>

#include "bindings/bindings.hpp"
#include "bindings/dlpack.hpp"
#include "core/complex.hpp"
#include "cuda/arrays.hpp"
#include "storage/home.hpp"

namespace exitwave {

namespace py = pybind11;
using namespace pybind11::literals;

CountType count_type_of(const py::dtype& dtype) {
  const auto is = [&](auto zero) { return dtype.equal(py::dtype::of<decltype(zero)>()); };
  if (is(std::uint8_t{})) return CountType::uint8;
  if (is(std::uint16_t{})) return CountType::uint16;
  if (is(std::uint32_t{})) return CountType::uint32;
  if (is(float{})) return CountType::float32;
  throw InvalidArgument("data: expected uint8, uint16, uint32 or float32");
}

DeviceArray::DeviceArray(py::object owner, const void* data, py::dtype dtype, Shape shape)
    : owner_(std::move(owner)),
      data_(const_cast<void*>(data)),
      dtype_(std::move(dtype)),
      shape_(std::move(shape)),
      device_(cuda_device_of(data)) {
  if (device_ == kOnHost) throw InvalidArgument("the array is on no GPU that this process sees");
}

DeviceArray::DeviceArray(int device, py::dtype dtype, Shape shape)
    : dtype_(std::move(dtype)), shape_(std::move(shape)), device_(device) {
  memory_ = make_cuda_array(device, bytes());
  data_ = memory_.get();
}

std::size_t DeviceArray::size() const {
  std::size_t product = 1;
  for (const py::ssize_t length : shape_) product *= std::size_t(length);
  return product;
}

Counts DeviceArray::counts() const {
  if (ndim() != 3) throw InvalidArgument("data: expected shape (frames, ny, nx)");
  return {data_, count_type_of(dtype_), device_};
}

DeviceArray DeviceArray::reshaped(Shape shape) const {
  DeviceArray other(*this);
  other.shape_ = std::move(shape);
  // -1 stands for what is left.
  for (py::ssize_t& length : other.shape_)
    if (length == -1) {
      length = 1;
      length = py::ssize_t(size() / std::max<std::size_t>(1, other.size()));
    }
  if (other.size() != size()) throw InvalidArgument("shape: expected as many elements");
  return other;
}

DeviceArray DeviceArray::image(py::ssize_t number) const {
  if (ndim() < 1 || number < 0 || number >= shape_[0]) throw py::index_error("image out of range");
  DeviceArray one(*this);
  one.shape_.erase(one.shape_.begin());
  one.data_ = static_cast<unsigned char*>(data_) + std::size_t(number) * one.bytes();
  return one;
}

py::array DeviceArray::on_host() const {
  py::array host(dtype_, shape_);
  const py::gil_scoped_release release;
  copy_cuda_array(device_, host.mutable_data(), data_, bytes());
  return host;
}

py::array DeviceArray::images(const std::vector<int>& numbers) const {
  if (ndim() < 1) throw InvalidArgument("images: expected an array of them");
  for (const int number : numbers)
    if (number < 0 || number >= shape_[0]) throw py::index_error("image out of range");
  Shape shape = shape_;
  shape[0] = py::ssize_t(numbers.size());
  py::array host(dtype_, shape);
  const std::size_t image_bytes = shape_[0] == 0 ? 0 : bytes() / std::size_t(shape_[0]);
  auto* target = static_cast<unsigned char*>(host.mutable_data());
  const auto* source = static_cast<const unsigned char*>(data_);
  const py::gil_scoped_release release;
  for_each_run(numbers, [&](int first, int run) {
    copy_cuda_array(device_, target + std::size_t(first) * image_bytes,
                    source + std::size_t(numbers[std::size_t(first)]) * image_bytes,
                    std::size_t(run) * image_bytes);
  });
  return host;
}

namespace {

// Version 3; all work on the array is done.
py::dict cuda_array_interface(const DeviceArray& array) {
  return py::dict(
      "shape"_a = py::tuple(py::cast(array.shape())), "typestr"_a = array.dtype().attr("str"),
      "data"_a = py::make_tuple(reinterpret_cast<std::uintptr_t>(array.data()), array.read_only()),
      "strides"_a = py::none(), "stream"_a = py::none(), "version"_a = 3);
}

DeviceArray from_dlpack(const py::capsule& capsule) {
  return with_dlpack(
      capsule, [&](const void* data, const py::dtype& dtype, const DeviceArray::Shape& shape,
                   const py::object& owner) { return DeviceArray(owner, data, dtype, shape); });
}

py::tuple summary(const DeviceArray& array, int first, int count) {
  const Counts counts = array.counts();
  if (first < 0 || count < 0 || first + count > array.shape(0))
    throw py::index_error("frame out of range");
  const std::size_t pixels = std::size_t(array.shape(1)) * std::size_t(array.shape(2));
  CountsSummary found;
  {
    const py::gil_scoped_release release;
    found = summarise_cuda_counts(counts, first, count, pixels);
  }
  const DeviceArray::Shape shape{array.shape(1), array.shape(2)};
  return py::make_tuple(py::array_t<double>(shape, found.sum.data()),
                        py::array_t<double>(shape, found.largest.data()),
                        py::array_t<int>(shape, found.bad.data()));
}

bool is_finite(const DeviceArray& array) {
  if (!array.dtype().equal(py::dtype::of<std::complex<Real>>()))
    throw InvalidArgument("expected complex64");
  const py::gil_scoped_release release;
  return cuda_array_is_finite(array.device(), static_cast<const Complex*>(array.data()),
                              array.size());
}

}  // namespace

void bind_device_array(py::module_& m) {
  py::class_<DeviceArray>(m, "DeviceArray")
      .def(py::init([](const py::object& owner, std::uintptr_t data, const py::dtype& dtype,
                       const DeviceArray::Shape& shape) {
             return DeviceArray(owner, reinterpret_cast<const void*>(data), dtype, shape);
           }),
           "owner"_a, "data"_a, "dtype"_a, "shape"_a,
           "An array on a GPU, C order, that its owner keeps in place.")
      .def_static("from_dlpack", &from_dlpack, "capsule"_a)
      .def_property_readonly("shape",
                             [](const DeviceArray& a) { return py::tuple(py::cast(a.shape())); })
      .def_property_readonly("dtype", &DeviceArray::dtype)
      .def_property_readonly("ndim", &DeviceArray::ndim)
      .def_property_readonly("size", &DeviceArray::size)
      .def_property_readonly("nbytes", &DeviceArray::bytes)
      .def_property_readonly("device", &DeviceArray::device, "Number of the GPU.")
      .def_property_readonly("__cuda_array_interface__", &cuda_array_interface)
      .def("__len__", [](const DeviceArray& a) { return a.shape().at(0); })
      .def("__getitem__", &DeviceArray::image, "number"_a, "One along the first axis, in place.")
      .def(
          "reshape",
          [](const DeviceArray& a, const py::args& lengths) {
            const bool given_at_once = lengths.size() == 1 && py::isinstance<py::tuple>(lengths[0]);
            const py::object shape = given_at_once ? py::object(lengths[0]) : py::object(lengths);
            return a.reshaped(shape.cast<DeviceArray::Shape>());
          },
          "The same memory.")
      .def("on_host", &DeviceArray::on_host, "Copy.")
      .def("images", &DeviceArray::images, "numbers"_a, "Copy of some along the first axis.")
      .def(
          "__array__",
          [](const DeviceArray& a, const py::object& dtype, const py::object&) -> py::object {
            const py::array host = a.on_host();
            return dtype.is_none() ? py::object(host) : host.attr("astype")(dtype);
          },
          "dtype"_a = py::none(), "copy"_a = py::none())
      .def("summary", &summary, "first"_a, "count"_a,
           "Of some frames of counts, pixel by pixel: sum, largest, first frame that holds no "
           "counts, or -1.")
      .def_property_readonly("is_finite", &is_finite);
  m.def("wait_for_cuda_device", &wait_for_cuda_device, "device"_a,
        py::call_guard<py::gil_scoped_release>());
  m.def("why_not_cuda_device", &why_not_cuda_device, "device"_a,
        py::call_guard<py::gil_scoped_release>(),
        "Empty where work can be done on the GPU, else the reason why not.");
  m.def("wait_for_cuda_stream", &wait_for_cuda_stream, "device"_a, "stream"_a,
        py::call_guard<py::gil_scoped_release>());
}

}  // namespace exitwave
