#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstddef>
#include <memory>
#include <vector>

#include "core/counts.hpp"

namespace exitwave {

// The type of the core that counts of a NumPy type have. Throws InvalidArgument for others.
CountType count_type_of(const pybind11::dtype& dtype);

// An array on a GPU, C order: of somebody else, who is kept alive, or handed out by the core.
class DeviceArray {
 public:
  using Shape = std::vector<pybind11::ssize_t>;

  // Throws InvalidArgument where the address is on no GPU. Others shall not write to it.
  DeviceArray(pybind11::object owner, const void* data, pybind11::dtype dtype, Shape shape);
  // Takes memory on a GPU.
  DeviceArray(int device, pybind11::dtype dtype, Shape shape);

  const Shape& shape() const { return shape_; }
  pybind11::ssize_t shape(std::size_t axis) const { return shape_[axis]; }
  std::size_t ndim() const { return shape_.size(); }
  const pybind11::dtype& dtype() const { return dtype_; }
  std::size_t size() const;
  std::size_t bytes() const { return size() * std::size_t(dtype_.itemsize()); }
  int device() const { return device_; }
  void* data() const { return data_; }
  bool read_only() const { return memory_ == nullptr; }
  // As frames of counts. Throws InvalidArgument for other types and numbers of dimensions.
  Counts counts() const;

  // The same memory in another shape of as many elements.
  DeviceArray reshaped(Shape shape) const;
  // One along the first axis, the same memory.
  DeviceArray image(pybind11::ssize_t number) const;
  // To the host: all, or images by their numbers.
  pybind11::array on_host() const;
  pybind11::array images(const std::vector<int>& numbers) const;

 private:
  pybind11::object owner_;
  std::shared_ptr<void> memory_;
  void* data_;
  pybind11::dtype dtype_;
  Shape shape_;
  int device_;
};

}  // namespace exitwave
