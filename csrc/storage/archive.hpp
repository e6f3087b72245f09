#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "core/buffer.hpp"
#include "core/complex.hpp"

namespace exitwave {

enum class ElementType { byte, int64, float32, float64, complex64 };

// Where the state of an engine goes to, or comes back from. An engine names each number and array
// that it holds once, for both directions. Arrays pass in pieces of some megabytes.
class Archive {
 public:
  // Elements [first, first + count) of the `total` that have this name: taken from `data` when the
  // state is saved, put there when it is restored.
  struct Piece {
    const std::string& name;
    ElementType type;
    std::size_t total;
    std::size_t first;
    std::size_t count;
    void* data;
  };
  using Transfer = std::function<void(const Piece&)>;

  static constexpr std::size_t kPieceBytes = std::size_t(8) << 20;

  Archive(bool saving, Transfer transfer) : saving_(saving), transfer_(std::move(transfer)) {}

  bool saving() const { return saving_; }

  void number(const std::string& name, double& value) {
    transfer_({name, ElementType::float64, 1, 0, 1, &value});
  }
  template <std::integral T>
  void number(const std::string& name, T& value) {
    auto wide = std::int64_t(value);
    transfer_({name, ElementType::int64, 1, 0, 1, &wide});
    value = T(wide);
  }

  template <class T>
  void buffer(const std::string& name, Buffer<T>& buffer) {
    pieces<T>(
        name, buffer.size(), kPieceBytes / sizeof(T),
        [&](std::size_t first, std::size_t count, T* data) { buffer.download(data, first, count); },
        [&](std::size_t first, std::size_t count, const T* data) {
          buffer.upload(data, first, count);
        });
  }

  // An array that get(first, count, target) and put(first, count, source) reach, at most `step`
  // elements at a time.
  template <class T, class Get, class Put>
  void pieces(const std::string& name, std::size_t total, std::size_t step, Get&& get, Put&& put) {
    std::vector<T> piece(std::min(step, total));
    for (std::size_t first = 0; first < total; first += step) {
      const std::size_t count = std::min(step, total - first);
      if (saving_) get(first, count, piece.data());
      transfer_({name, type_of<T>(), total, first, count, piece.data()});
      if (!saving_) put(first, count, std::as_const(piece).data());
    }
  }

 private:
  template <class T>
  static constexpr ElementType type_of() {
    if constexpr (std::is_same_v<T, Complex>)
      return ElementType::complex64;
    else if constexpr (std::is_same_v<T, float>)
      return ElementType::float32;
    else if constexpr (std::is_same_v<T, double>)
      return ElementType::float64;
    else {
      static_assert(std::is_same_v<T, unsigned char>);
      return ElementType::byte;
    }
  }

  bool saving_;
  Transfer transfer_;
};

}  // namespace exitwave
