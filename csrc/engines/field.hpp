#pragma once

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "core/buffer.hpp"
#include "core/complex.hpp"
#include "core/shape.hpp"
#include "core/view.hpp"
#include "storage/archive.hpp"

namespace exitwave {

// An array over the pixels of several parts: once for all where parts share memory, else one copy
// of the part's tile for each part that is held here.
template <class Backend, class T>
class Field {
 public:
  Field() = default;
  // `whole`: what host arrays hold, all tiles that are held here at least. `use`: what its memory
  // is accounted for.
  Field(Backend& backend, const char* use, const Rect& whole, const std::vector<Rect>& tiles,
        int modes)
      : whole_(whole), tiles_(tiles), modes_(modes), shared_(backend.shared()) {
    for (int part = 0; part < (shared_ ? 1 : int(tiles.size())); ++part) {
      buffers_.emplace_back();
      if (!backend.holds(part)) continue;
      Memory& memory = backend.memory(part);
      memory.account(use);
      const Rect& rect = shared_ ? whole : tiles[std::size_t(part)];
      buffers_.back() = Buffer<T>(memory, rect.pixels() * std::size_t(modes));
      in_place_ = shared_ && memory.shared_with_host();
      planning_ = memory.planning();
    }
  }

  CanvasView<T> view(int part) {
    const Rect& r = shared_ ? whole_ : tiles_[std::size_t(part)];
    T* data = buffers_[shared_ ? 0 : std::size_t(part)].data();
    return {data, std::ptrdiff_t(r.pixels()), r.nx(), r.y0, r.x0};
  }
  CanvasView<const T> view(int part) const { return const_cast<Field*>(this)->view(part); }

  // Where the arrays lie that are stored, one for all parts or one for each; those of parts that
  // are held elsewhere included.
  std::vector<Rect> stored() const { return shared_ ? std::vector<Rect>{whole_} : tiles_; }
  bool holds(int stored) const { return buffers_[std::size_t(stored)].size() != 0; }
  // One of these, (modes, rows, columns).
  std::vector<T> get(int stored) const {
    std::vector<T> values(buffers_[std::size_t(stored)].size());
    buffers_[std::size_t(stored)].download(values.data());
    return values;
  }
  void set(int stored, const std::vector<T>& values) {
    buffers_[std::size_t(stored)].upload(values.data());
  }

  // The whole array where the host sees it, else null.
  T* in_place() { return in_place_ ? buffers_[0].data() : nullptr; }

  // From and to one host array of the whole. Where tiles overlap they agree.
  void upload(const T* source) {
    if (shared_) return buffers_[0].upload(source);
    for (std::size_t part = 0; part < tiles_.size() && !planning_; ++part) {
      if (buffers_[part].size() == 0) continue;
      std::vector<T> tile(buffers_[part].size());
      for_each_row(tiles_[part], [&](std::size_t in_tile, std::size_t in_whole, std::size_t bytes) {
        std::memcpy(tile.data() + in_tile, source + in_whole, bytes);
      });
      buffers_[part].upload(tile.data());
    }
  }
  // Pixels outside all tiles keep what `target` holds.
  void download(T* target) const {
    if (shared_) return buffers_[0].download(target);
    for (std::size_t part = 0; part < tiles_.size(); ++part) {
      if (buffers_[part].size() == 0) continue;
      std::vector<T> tile(buffers_[part].size());
      buffers_[part].download(tile.data());
      for_each_row(tiles_[part], [&](std::size_t in_tile, std::size_t in_whole, std::size_t bytes) {
        std::memcpy(target + in_whole, tile.data() + in_tile, bytes);
      });
    }
  }

  void state(Archive& archive, const std::string& name) {
    for (std::size_t i = 0; i < buffers_.size(); ++i)
      archive.buffer(name + "/" + std::to_string(i), buffers_[i]);
  }

 private:
  template <class F>
  void for_each_row(const Rect& tile, F&& f) const {
    for (int mode = 0; mode < modes_; ++mode)
      for (int y = tile.y0; y < tile.y1; ++y) {
        const std::size_t in_tile =
            std::size_t(mode) * tile.pixels() + std::size_t(y - tile.y0) * std::size_t(tile.nx());
        const std::size_t in_whole = std::size_t(mode) * whole_.pixels() +
                                     std::size_t(y - whole_.y0) * std::size_t(whole_.nx()) +
                                     std::size_t(tile.x0 - whole_.x0);
        f(in_tile, in_whole, sizeof(T) * std::size_t(tile.nx()));
      }
  }

  Rect whole_;
  std::vector<Rect> tiles_;
  int modes_ = 0;
  bool shared_ = true;
  bool in_place_ = false;
  bool planning_ = false;
  std::vector<Buffer<T>> buffers_;
};

}  // namespace exitwave
