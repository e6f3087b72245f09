#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstdint>
#include <string>
#include <vector>

#include "core/error.hpp"

// The part of DLPack's published binary interface that arrays on GPUs come by.
namespace exitwave {

struct DlTensor {
  void* data;
  std::int32_t device_type;
  std::int32_t device_id;
  std::int32_t ndim;
  std::uint8_t type_code;
  std::uint8_t type_bits;
  std::uint16_t type_lanes;
  const std::int64_t* shape;
  const std::int64_t* strides;  // elements; null: C order
  std::uint64_t byte_offset;
};
struct DlManagedTensor {
  DlTensor tensor;
  void* context;
  void (*deleter)(DlManagedTensor*);
};

inline bool is_c_order(const DlTensor& t) {
  std::int64_t step = 1;
  for (int axis = t.ndim - 1; axis >= 0 && t.strides != nullptr; --axis) {
    if (t.shape[axis] != 1 && t.strides[axis] != step) return false;
    step *= t.shape[axis];
  }
  return true;
}

// "<u2" and the like; '?' for types that NumPy has not.
inline std::string dl_type_string(const DlTensor& t) {
  constexpr const char* kKinds = "iuf??cb";
  const char kind = t.type_code < 7 ? kKinds[t.type_code] : '?';
  if (kind == '?' || t.type_lanes != 1 || t.type_bits % 8 != 0) return "?";
  return std::string(kind == 'b' ? "|" : "<") + kind + std::to_string(t.type_bits / 8);
}

// f(data, dtype, shape, owner) for what a capsule holds; the owner keeps it alive.
template <class F>
auto with_dlpack(const pybind11::capsule& capsule, F&& f) {
  namespace py = pybind11;
  constexpr const char* kName = "dltensor";
  if (PyCapsule_IsValid(capsule.ptr(), kName) == 0)
    throw InvalidArgument("expected a DLPack capsule that nobody has taken yet");
  auto* managed = static_cast<DlManagedTensor*>(PyCapsule_GetPointer(capsule.ptr(), kName));
  const DlTensor& t = managed->tensor;
  const std::string type = dl_type_string(t);
  if (type == "?") throw InvalidArgument("its numbers are of a type that NumPy does not have");
  if (!is_c_order(t)) throw InvalidArgument("it is not in C order");
  const std::vector<py::ssize_t> shape(t.shape, t.shape + t.ndim);
  const void* data = static_cast<const unsigned char*>(t.data) + t.byte_offset;
  const py::capsule owner(managed, [](void* pointer) {
    auto* given = static_cast<DlManagedTensor*>(pointer);
    if (given->deleter != nullptr) given->deleter(given);
  });
  // From here on the owner lets go of it.
  PyCapsule_SetName(capsule.ptr(), "used_dltensor");
  return f(data, py::dtype(type), shape, owner);
}

}  // namespace exitwave
