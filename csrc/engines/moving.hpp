#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "core/communicator.hpp"
#include "core/complex.hpp"
#include "core/region.hpp"
#include "engines/field.hpp"

namespace exitwave {

// Moves a field by whole pixels, through the host: field(r) <- field(r - d). Pixels that nothing
// moves to keep their value.
template <class Backend>
class Moving {
 public:
  // `copies`: what is stored are copies of the same, so that each moves alone. Else they are tiles,
  // and a pixel comes from the first that covers it.
  Moving(Backend& backend, Field<Backend, Complex>& field, int modes, bool copies)
      : ranks_(backend.ranks()), field_(field), modes_(modes), tiles_(field.stored()) {
    for (int to = 0; to < int(tiles_.size()); ++to)
      for (int from = copies ? to : 0; from < (copies ? to + 1 : int(tiles_.size())); ++from)
        if (field.holds(to) || field.holds(from)) pieces_.push_back({to, from, {}, {}});
    if (copies) return;
    for (const Rect& tile : tiles_) {
      Region first(tile);
      for (const Rect& earlier : tiles_) {
        if (&earlier == &tile) break;
        first = first.without(earlier);
      }
      sources_.push_back(std::move(first));
    }
  }

  void move(int dy, int dx) {
    for (Piece& piece : pieces_) {
      const Region source = sources_.empty() ? Region(tile(piece.from)) : source_of(piece);
      piece.target = source.shifted(dy, dx).intersected(tile(piece.to));
      piece.values.resize(piece.target.pixels() * std::size_t(modes_));
    }
    for (int from = 0; from < int(tiles_.size()); ++from)
      if (field_.holds(from)) take(from, dy, dx);
    exchange();
    for (int to = 0; to < int(tiles_.size()); ++to)
      if (field_.holds(to)) put(to);
  }

 private:
  // Pixels of the tile `to` that move there from the tile `from`, packed mode by mode.
  struct Piece {
    int to;
    int from;
    Region target;
    std::vector<Complex> values;
  };

  const Rect& tile(int i) const { return tiles_[std::size_t(i)]; }
  const Region& source_of(const Piece& piece) const { return sources_[std::size_t(piece.from)]; }

  void take(int from, int dy, int dx) {
    const std::vector<Complex> old = field_.get(from);
    for (Piece& piece : pieces_)
      if (piece.from == from)
        for_each_span(piece, tile(from), -dy, -dx, [&](std::size_t at, Complex* values, int n) {
          std::copy_n(old.data() + at, n, values);
        });
  }

  void exchange() {
    if (ranks_.communicator == nullptr) return;
    std::vector<Communicator::Message> messages;
    for (Piece& piece : pieces_) {
      const bool sent = field_.holds(piece.from);
      if (piece.values.empty() || (sent && field_.holds(piece.to))) continue;
      messages.push_back({ranks_.rank_of(sent ? piece.to : piece.from), piece.values.data(),
                          piece.values.size() * sizeof(Complex), sent});
    }
    ranks_.communicator->start(messages);
    ranks_.communicator->finish();
  }

  void put(int to) {
    std::vector<Complex> moved = field_.get(to);
    for (Piece& piece : pieces_)
      if (piece.to == to)
        for_each_span(piece, tile(to), 0, 0, [&](std::size_t at, const Complex* values, int n) {
          std::copy_n(values, n, moved.data() + at);
        });
    field_.set(to, moved);
  }

  // f(place in a tile, packed values, pixels) over the target, moved by (dy, dx)
  template <class F>
  void for_each_span(Piece& piece, const Rect& tile, int dy, int dx, F&& f) const {
    const std::size_t pixels = piece.target.pixels();
    for (int mode = 0; mode < modes_; ++mode)
      for (const Span& s : piece.target.spans()) {
        const std::size_t row = std::size_t(s.y + dy - tile.y0);
        const std::size_t at = std::size_t(mode) * tile.pixels() + row * std::size_t(tile.nx()) +
                               std::size_t(s.x0 + dx - tile.x0);
        f(at, piece.values.data() + std::size_t(mode) * pixels + s.offset, s.x1 - s.x0);
      }
  }

  Ranks ranks_;
  Field<Backend, Complex>& field_;
  int modes_;
  std::vector<Rect> tiles_;
  std::vector<Region> sources_;  // of each tile the pixels that no earlier one covers
  std::vector<Piece> pieces_;
};

}  // namespace exitwave
