#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "core/buffer.hpp"
#include "core/complex.hpp"
#include "core/place.hpp"
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
      memories_.push_back(&memory);
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

  // The whole array, and where it is, if lanes work on one that the host or users of its GPU see;
  // else null.
  Placed<T> in_place() {
    if (!shared_ || !memories_[0]->reaches(memories_[0]->device())) return {};
    memories_[0]->finish();
    return {buffers_[0].data(), memories_[0]->device()};
  }

  // From and to one array of the whole, the host's or on a GPU. Where tiles overlap they agree.
  void upload(const T* source) {
    for_each_piece([&](Memory& memory, T* here, const Rows& rows, std::size_t in_whole) {
      memory.copy_rows_in(here, source + in_whole, rows);
    });
  }
  // Pixels outside all tiles keep what `target` holds.
  void download(T* target) {
    for_each_piece([&](Memory& memory, T* here, Rows rows, std::size_t in_whole) {
      std::swap(rows.target_pitch, rows.source_pitch);
      memory.copy_rows_out(target + in_whole, here, rows);
    });
  }

  void state(Archive& archive, const std::string& name) {
    for (std::size_t i = 0; i < buffers_.size(); ++i)
      archive.buffer(name + "/" + std::to_string(i), buffers_[i]);
  }

 private:
  // f(memory, data, rows, offset): rows that are here at `data`, and begin at the offset in an
  // array of the whole; as if the whole were the source.
  template <class F>
  void for_each_piece(F&& f) {
    if (shared_)
      return f(*memories_[0], buffers_[0].data(), Rows::one(buffers_[0].bytes()), std::size_t(0));
    std::size_t held = 0;
    for (std::size_t part = 0; part < tiles_.size(); ++part) {
      if (buffers_[part].size() == 0) continue;
      Memory& memory = *memories_[held++];
      const Rect& tile = tiles_[part];
      const Rows rows{sizeof(T) * std::size_t(tile.nx()), std::size_t(tile.ny()),
                      sizeof(T) * std::size_t(tile.nx()), sizeof(T) * std::size_t(whole_.nx())};
      for (int mode = 0; mode < modes_; ++mode)
        f(memory, buffers_[part].data() + std::size_t(mode) * tile.pixels(), rows,
          std::size_t(mode) * whole_.pixels() +
              std::size_t(tile.y0 - whole_.y0) * std::size_t(whole_.nx()) +
              std::size_t(tile.x0 - whole_.x0));
    }
  }

  Rect whole_;
  std::vector<Rect> tiles_;
  int modes_ = 0;
  bool shared_ = true;
  std::vector<Buffer<T>> buffers_;
  std::vector<Memory*> memories_;  // of those that are held here
};

}  // namespace exitwave
