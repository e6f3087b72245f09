#pragma once

#include <utility>
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
    for (int part = 0; part < int(tiles.size()); ++part) {
      const Rect& tile = tiles[std::size_t(part)];
      tiles_.push_back(tile);
      backend.memory(part).account("sums");
      sums_.emplace_back(backend.memory(part), tile.pixels() * std::size_t(modes));
      weights_.emplace_back(backend.memory(part), tile.pixels());
      updated_.push_back(shared_ ? owned[std::size_t(part)] : all_reached(tile));
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
      pack(lane, m, part, m.at_sender);
      if (shared_)
        clear(lane, m.active, part);
      else
        pass(lane, m, m.at_sender, m.at_owner);
    }
  }

  void collect(Lane& lane, int part) {
    for (Message& m : messages_) {
      if (m.owner != part) continue;
      Packed& packed = shared_ ? m.at_sender : m.at_owner;
      lane.unpack_add(m.active, modes_, std::as_const(packed.sum).data(), sum(part));
      lane.unpack_add(m.active, 1, std::as_const(packed.weight).data(), weight(part));
    }
  }

  void give_back(Lane& lane, int part) {
    for (Message& m : messages_) {
      if (m.owner != part) continue;
      pack(lane, m, part, m.at_owner);
      pass(lane, m, m.at_owner, m.at_sender);
    }
  }

  void take_back(Lane& lane, int part) {
    for (Message& m : messages_) {
      if (m.sender != part) continue;
      lane.unpack(m.active, modes_, std::as_const(m.at_sender.sum).data(), sum(part));
      lane.unpack(m.active, 1, std::as_const(m.at_sender.weight).data(), weight(part));
    }
  }

  // Back to zero where the part updates.
  void clear(Lane& lane, int part) { clear(lane, active(part), part); }

 private:
  struct Packed {
    Buffer<Complex> sum;
    Buffer<Real> weight;
  };
  // From `sender` to `owner`: pixels of the sender's tile that the owner owns. Where parts share
  // memory both look at the sender's.
  struct Message {
    int owner;
    int sender;
    Region region;
    Region active;
    Packed at_sender;
    Packed at_owner;
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
        const auto room = [&](int part) {
          backend.memory(part).account("halo");
          return Packed{
              Buffer<Complex>(backend.memory(part), region.pixels() * std::size_t(modes_)),
              Buffer<Real>(backend.memory(part), region.pixels())};
        };
        Packed at_owner = shared_ ? Packed{} : room(owner);
        messages_.push_back({owner, sender, region, region, room(sender), std::move(at_owner)});
      }
  }

  void pack(Lane& lane, const Message& m, int part, Packed& packed) {
    lane.pack(m.active, modes_, CanvasView<const Complex>(sum(part)), packed.sum.data());
    lane.pack(m.active, 1, CanvasView<const Real>(weight(part)), packed.weight.data());
  }
  void pass(Lane& lane, const Message& m, const Packed& from, Packed& to) {
    const std::size_t pixels = m.active.pixels();
    lane.copy(to.sum.data(), from.sum.data(), pixels * std::size_t(modes_) * sizeof(Complex));
    lane.copy(to.weight.data(), from.weight.data(), pixels * sizeof(Real));
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
