#pragma once

#include <vector>

#include "core/buffer.hpp"
#include "core/complex.hpp"
#include "core/region.hpp"
#include "core/view.hpp"
#include "kernels/update.hpp"

namespace exitwave {

// Sums over frames that every part takes alone, over its tile, and that are then made whole:
//
//   send      each part packs what it has for pixels that another part owns
//   collect   each owner adds what was sent, in the order of the parts
//   give_back, take_back   where parts do not share memory, the owner's totals return to all
//
// Only sums are exchanged, never half-updated fields, so any number of parts gives the result of
// one, up to the order of additions. The calls are made for all parts, one kind after the other.
template <class Backend>
class PartialSums {
 public:
  using Lane = typename Backend::Lane;

  PartialSums(Backend& backend, const std::vector<Rect>& tiles, const std::vector<Region>& owned,
              int modes)
      : modes_(modes), shared_(backend.shared()), owned_(owned) {
    for (std::size_t part = 0; part < tiles.size(); ++part) {
      tiles_.push_back(tiles[part]);
      sums_.emplace_back(backend.memory(), tiles[part].pixels() * std::size_t(modes));
      weights_.emplace_back(backend.memory(), tiles[part].pixels());
      updated_.push_back(shared_ ? owned[part] : all_reached(tiles[part]));
    }
    make_messages(backend);
    active_ = updated_;
  }

  CanvasView<Complex> sum(int part) { return view(sums_, part); }
  CanvasView<Real> weight(int part) { return view(weights_, part); }
  // Pixels whose sums are whole after the exchange, and that the part updates.
  const Region& updated(int part) const { return updated_[std::size_t(part)]; }
  // The same, restricted to what the present group reaches.
  const Region& active(int part) const { return active_[std::size_t(part)]; }
  // Pixels that count towards a total over the object, each in one part only.
  const Region& owned(int part) const { return owned_[std::size_t(part)]; }

  // Restricts the exchange to `touched` pixels (null: all) and sends.
  void send(Lane& lane, int part, const Region* touched) {
    if (touched != nullptr) active_[std::size_t(part)] = updated(part).intersected(*touched);
    for (Message& m : messages_) {
      if (m.sender != part) continue;
      m.active = touched == nullptr ? m.region : m.region.intersected(*touched);
      pack(lane, m, part);
      if (shared_) clear(lane, m.active, part);
    }
  }

  void collect(Lane& lane, int part) {
    for (Message& m : messages_) {
      if (m.owner != part) continue;
      lane.unpack_add(m.active, modes_, m.sum.data(), sum(part));
      lane.unpack_add(m.active, 1, m.weight.data(), weight(part));
    }
  }

  void give_back(Lane& lane, int part) {
    for (Message& m : messages_)
      if (m.owner == part) pack(lane, m, part);
  }

  void take_back(Lane& lane, int part) {
    for (Message& m : messages_) {
      if (m.sender != part) continue;
      lane.unpack(m.active, modes_, static_cast<const Complex*>(m.sum.data()), sum(part));
      lane.unpack(m.active, 1, static_cast<const Real*>(m.weight.data()), weight(part));
    }
  }

  // Back to zero where the part updates.
  void clear(Lane& lane, int part) { clear(lane, active(part), part); }

 private:
  // From `sender` to `owner`: pixels of the sender's tile that the owner owns.
  struct Message {
    int owner;
    int sender;
    Region region;
    Region active;
    Buffer<Complex> sum;
    Buffer<Real> weight;
  };

  template <class T>
  CanvasView<T> view(std::vector<Buffer<T>>& buffers, int part) {
    const Rect& r = tiles_[std::size_t(part)];
    return {buffers[std::size_t(part)].data(), std::ptrdiff_t(r.pixels()), r.nx(), r.y0, r.x0};
  }

  Region all_reached(const Rect& tile) const {
    std::vector<Span> spans;
    for (const Region& region : owned_) {
      const Region inside = region.intersected(tile);
      spans.insert(spans.end(), inside.spans().begin(), inside.spans().end());
    }
    return Region::from_spans(std::move(spans));
  }

  void make_messages(Backend& backend) {
    for (int owner = 0; owner < int(tiles_.size()); ++owner)
      for (int sender = 0; sender < int(tiles_.size()); ++sender) {
        if (owner == sender) continue;
        Region region = owned(owner).intersected(tiles_[std::size_t(sender)]);
        if (region.empty()) continue;
        const std::size_t pixels = region.pixels();
        messages_.push_back({owner, sender, region, region,
                             Buffer<Complex>(backend.memory(), pixels * std::size_t(modes_)),
                             Buffer<Real>(backend.memory(), pixels)});
      }
  }

  void pack(Lane& lane, Message& m, int part) {
    lane.pack(m.active, modes_, CanvasView<const Complex>(sum(part)), m.sum.data());
    lane.pack(m.active, 1, CanvasView<const Real>(weight(part)), m.weight.data());
  }

  void clear(Lane& lane, const Region& region, int part) {
    lane.map(region, modes_, kernels::Clear<Complex>{sum(part)});
    lane.map(region, 1, kernels::Clear<Real>{weight(part)});
  }

  int modes_;
  bool shared_;
  std::vector<Rect> tiles_;
  std::vector<Region> owned_;
  std::vector<Region> updated_;
  std::vector<Region> active_;
  std::vector<Buffer<Complex>> sums_;
  std::vector<Buffer<Real>> weights_;
  std::vector<Message> messages_;
};

}  // namespace exitwave
