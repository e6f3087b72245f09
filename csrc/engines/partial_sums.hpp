#pragma once

#include <utility>
#include <vector>

#include "core/buffer.hpp"
#include "core/complex.hpp"
#include "core/region.hpp"
#include "core/view.hpp"
#include "engines/parcels.hpp"
#include "kernels/update.hpp"

namespace exitwave {

// Sums over frames that every part takes alone, over its tile, and that are then made whole:
//
//   send      each part packs what it has for pixels that another part owns
//   collect   each owner adds what was sent, in the order of the parts
//   give_back, take_back   the owner's totals return to all
//
// Where parts share memory nothing is packed: owners take what others have, and need not return it.
//
// Only sums are exchanged, never half-updated fields, so any number of parts gives the result of
// one, up to the order of additions. The calls are made for all parts, one kind after the other.
// In between, post and arrive take what goes to parts of other ranks there: host calls, for all
// parts at once.
template <class Backend>
class PartialSums {
 public:
  using Lane = typename Backend::Lane;

  // `weights`: images of these; modes of the sum take turns with them.
  PartialSums(Backend& backend, const std::vector<Rect>& tiles, const std::vector<Region>& owned,
              int modes, int weights = 1)
      : modes_(modes),
        weight_modes_(weights),
        shared_(backend.shared()),
        ranks_(backend.ranks()),
        tiles_(tiles),
        owned_(owned),
        updated_(tiles.size()) {
    for (int part = 0; part < int(tiles.size()); ++part) {
      sums_.emplace_back();
      weights_.emplace_back();
      if (!backend.holds(part)) continue;
      const Rect& tile = tiles[std::size_t(part)];
      Memory& memory = backend.memory(part);
      memory.account("sums");
      sums_.back() = Buffer<Complex>(memory, tile.pixels() * std::size_t(modes));
      weights_.back() = Buffer<Real>(memory, tile.pixels() * std::size_t(weights));
      updated_[std::size_t(part)] = shared_ ? owned[std::size_t(part)] : all_reached(tile);
    }
    make_messages(backend);
    active_ = updated_;
    active_owned_ = owned_;
  }

  CanvasView<Complex> sum(int part) { return view(sums_, part); }
  CanvasView<Real> weight(int part) { return view(weights_, part); }
  // Those with the same weight, and this.
  CanvasView<Complex> sum(int part, int of) { return sum(part).every(weight_modes_, of); }
  CanvasView<Real> weight(int part, int of) { return weight(part).every(weight_modes_, of); }
  // Pixels whose sums are whole after the exchange, and that the part updates.
  const Region& updated(int part) const { return updated_[std::size_t(part)]; }
  // The same, restricted to what the present group reaches.
  const Region& active(int part) const { return active_[std::size_t(part)]; }
  // Pixels that count towards a total over the object, each in one part only.
  const Region& owned(int part) const { return owned_[std::size_t(part)]; }
  // The same, restricted to what the present group reaches.
  const Region& active_owned(int part) const { return active_owned_[std::size_t(part)]; }

  // Restricts the exchange to `touched` pixels (null: all) and sends what the part has.
  void send(Lane& lane, int part, const Region* touched) {
    restrict(part, touched);
    for_each_sent(part, [&](Message& m) {
      pack(lane, m, part, m.at_sender);
      if (m.other_rank < 0) lane.copy(m.at_owner.data(), m.at_sender.data(), bytes(m.active));
    });
  }
  // The same in steps, so that what goes to other memories, of ranks or of devices, travels while
  // the lanes work on: it is packed in one call of for_each_part, and passed on in the next.
  void pack_away(Lane& lane, int part) {
    for_each_sent(part, [&](Message& m) {
      if (m.leaves) pack(lane, m, part, m.at_sender);
    });
  }
  void pass_away(Lane& lane, int part) {
    for_each_sent(part, [&](Message& m) {
      if (m.leaves && m.other_rank < 0)
        lane.send(m.at_owner.data(), m.at_sender.data(), bytes(m.active));
    });
  }
  void send_here(Lane& lane, int part) {
    for_each_sent(part, [&](Message& m) {
      if (m.leaves) return;
      pack(lane, m, part, m.at_sender);
      lane.copy(m.at_owner.data(), m.at_sender.data(), bytes(m.active));
    });
  }
  // What a part works on in a group, and the messages that it looks at: its own, and those that it
  // gets from other ranks. `touched`: pixels (null: all).
  void restrict(int part, const Region* touched) {
    active_[std::size_t(part)] =
        touched == nullptr ? updated(part) : updated(part).intersected(*touched);
    active_owned_[std::size_t(part)] =
        shared_ ? active(part)
                : (touched == nullptr ? owned(part) : owned(part).intersected(*touched));
    for (Message& m : messages_)
      if (m.sender == part || (m.owner == part && !m.sender_is_here))
        m.active = touched == nullptr ? m.region : m.region.intersected(*touched);
  }
  // The next exchange is of all pixels.
  void choose_all() {
    for (Message& m : messages_) m.active = m.region;
  }
  // Pixels whose sums go to other memories.
  Region sent_away(int part) const {
    std::vector<Span> spans;
    for (const Message& m : messages_)
      if (m.sender == part && m.leaves)
        spans.insert(spans.end(), m.region.spans().begin(), m.region.spans().end());
    return Region::from_spans(std::move(spans));
  }

  void collect(Lane& lane, int part) {
    for (const Message& m : messages_) {
      if (m.owner != part) continue;
      if (shared_) {
        take(lane, m);
        continue;
      }
      lane.unpack_add(m.active, modes_, packed_sum(m.at_owner), sum(part));
      lane.unpack_add(m.active, weight_modes_, packed_weight(m, m.at_owner), weight(part));
    }
  }

  void give_back(Lane& lane, int part) {
    for (Message& m : messages_) {
      if (m.owner != part) continue;
      pack(lane, m, part, m.at_owner);
      if (m.other_rank < 0) lane.copy(m.at_sender.data(), m.at_owner.data(), bytes(m.active));
    }
  }

  void take_back(Lane& lane, int part) {
    for (const Message& m : messages_) {
      if (m.sender != part) continue;
      lane.unpack(m.active, modes_, packed_sum(m.at_sender), sum(part));
      lane.unpack(m.active, weight_modes_, packed_weight(m, m.at_sender), weight(part));
    }
  }

  // Between send and collect (`to_owners`), and between give_back and take_back. The communicator
  // finishes what was posted before it has arrived. What was posted already stays so.
  void post(bool to_owners) {
    if (posted_) return;
    posted_ = true;
    std::vector<Communicator::Message> posted;
    for (Message& m : messages_) {
      if (m.other_rank < 0 || m.active.empty()) continue;
      const bool sent = m.sender_is_here == to_owners;
      posted.push_back(sent ? here(m).sent(m.other_rank, bytes(m.active))
                            : here(m).received(m.other_rank, bytes(m.active)));
    }
    if (!posted.empty()) ranks_.communicator->start(posted);
  }
  void arrive(bool to_owners) {
    posted_ = false;
    for (Message& m : messages_)
      if (m.other_rank >= 0 && m.sender_is_here != to_owners) here(m).unstage(bytes(m.active));
  }

  // Back to zero where the part updates.
  void clear(Lane& lane, int part) { clear(lane, active(part), part); }

 private:
  // From `sender` to `owner`: pixels of the sender's tile that the owner owns; sums, then weights.
  struct Message {
    int owner;
    int sender;
    int other_rank;  // of the part that is not here; -1: both are
    bool leaves;     // the memory that the sender's sums are in
    bool sender_is_here;
    Region region;
    Region active;
    Parcel at_sender;
    Parcel at_owner;
  };

  // Messages of a part; none where parts share memory.
  template <class F>
  void for_each_sent(int part, F&& f) {
    for (Message& m : messages_)
      if (m.sender == part && !shared_) f(m);
  }

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
        if (owner == sender || (!backend.holds(owner) && !backend.holds(sender))) continue;
        Region region = owned(owner).intersected(tiles_[std::size_t(sender)]);
        if (region.empty()) continue;
        const bool local = backend.holds(owner) && backend.holds(sender);
        const auto room = [&](int part) {
          if (shared_ || !backend.holds(part)) return Parcel();
          Memory& memory = backend.memory(part);
          memory.account("halo");
          return local ? Parcel(memory, bytes(region))
                       : Parcel(*ranks_.communicator, memory, backend.host_memory(), bytes(region));
        };
        const bool sends = backend.holds(sender);
        const int other_rank = local ? -1 : ranks_.rank_of(sends ? owner : sender);
        const bool leaves = !local || &backend.memory(owner) != &backend.memory(sender);
        messages_.push_back(
            {owner, sender, other_rank, leaves, sends, region, region, room(sender), room(owner)});
      }
  }

  std::size_t bytes(const Region& region) const {
    return region.pixels() *
           (std::size_t(modes_) * sizeof(Complex) + std::size_t(weight_modes_) * sizeof(Real));
  }
  std::size_t weights_at(const Message& m) const {
    return m.active.pixels() * std::size_t(modes_) * sizeof(Complex);
  }
  static const Complex* packed_sum(const Parcel& parcel) {
    return reinterpret_cast<const Complex*>(parcel.data());
  }
  const Real* packed_weight(const Message& m, const Parcel& parcel) const {
    return reinterpret_cast<const Real*>(parcel.data() + weights_at(m));
  }
  static Parcel& here(Message& m) { return m.sender_is_here ? m.at_sender : m.at_owner; }

  void pack(Lane& lane, const Message& m, int part, Parcel& parcel) {
    lane.pack(m.active, modes_, CanvasView<const Complex>(sum(part)),
              reinterpret_cast<Complex*>(parcel.data()));
    lane.pack(m.active, weight_modes_, CanvasView<const Real>(weight(part)),
              reinterpret_cast<Real*>(parcel.data() + weights_at(m)));
  }

  // What the sender has, from its tile to the owner's.
  void take(Lane& lane, const Message& m) {
    lane.map(m.active, modes_, kernels::Take<Complex>{sum(m.owner), sum(m.sender)});
    lane.map(m.active, weight_modes_, kernels::Take<Real>{weight(m.owner), weight(m.sender)});
  }

  void clear(Lane& lane, const Region& region, int part) {
    lane.map(region, modes_, kernels::Clear<Complex>{sum(part)});
    lane.map(region, weight_modes_, kernels::Clear<Real>{weight(part)});
  }

  int modes_;
  int weight_modes_;
  bool shared_;
  bool posted_ = false;
  Ranks ranks_;
  std::vector<Rect> tiles_;
  std::vector<Region> owned_;
  std::vector<Region> updated_;
  std::vector<Region> active_;
  std::vector<Region> active_owned_;
  std::vector<Buffer<Complex>> sums_;
  std::vector<Buffer<Real>> weights_;
  std::vector<Message> messages_;
};

}  // namespace exitwave
