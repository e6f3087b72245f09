#pragma once

#include <algorithm>
#include <array>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "core/buffer.hpp"
#include "core/job_queue.hpp"
#include "core/scan.hpp"
#include "storage/archive.hpp"
#include "storage/home.hpp"
#include "storage/plan.hpp"

namespace exitwave {

// What a pass does with the exit waves.
struct WaveAccess {
  bool read = false;
  bool write = false;
};

// Frames [begin, end) of a pass.
struct FrameRange {
  int begin;
  int end;
};

// Frames that a lane has at hand, with their counts and exit waves.
struct Block {
  const int* frame;  // numbers in the part
  int count;
  Counts counts;
  const int* counts_at;  // place of each frame among the counts
  unsigned char* waves;
  const int* waves_at;  // place of each frame among the waves
};

// Counts and exit waves of all parts. What is resident stays on the part's device; the rest comes
// to it in blocks, read ahead by a thread of the lane's own through three slots, and goes back.
// Blocks change neither the order of the frames nor any number, so a run in blocks has the bits of
// one without.
template <class Backend>
class Blocks {
 public:
  using Lane = typename Backend::Lane;

  // `wave_bytes`: of the exit waves of one frame, 0 where none are kept.
  Blocks(Backend& backend, const Scan& scan, const StoragePlan& plan, std::size_t wave_bytes)
      : scan_(scan),
        plan_(plan),
        counts_bytes_(bytes_of(scan.counts.type) * std::size_t(scan.ny) * std::size_t(scan.nx)),
        wave_bytes_(wave_bytes) {
    if (streams_counts()) counts_home_ = make_counts_home(&backend.host_memory());
    for (int part = 0; part < int(scan.parts.size()); ++part)
      parts_.push_back(backend.holds(part) ? make_part(backend, part) : Part{});
    if (!streams_counts() && !streams_waves()) return;
    for (int lane = 0; lane < backend.lanes(); ++lane) slots_.push_back(make_slots(backend, lane));
  }

  // f(block) over some frames of a pass, whose frames are numbers in the part; the first ones come
  // first.
  template <class F>
  void for_each(Lane& lane, int lane_number, int part, const std::vector<int>& numbers,
                FrameRange range, WaveAccess access, F&& f) {
    if (range.begin == range.end) return;
    Part& p = parts_[std::size_t(part)];
    if (range.begin == 0) upload_order(lane, p, numbers);
    if (slots_.empty()) return f(resident_block(p, range.begin, range.end - range.begin));
    Slots& slots = *slots_[std::size_t(lane_number)];
    const auto slot_of = [&](int first) -> Slot& { return slot_at(slots, first - range.begin); };
    const auto fetch_at = [&](int first) {
      const int last = std::min(first + plan_.block_frames, range.end);
      if (first < last)
        fetch(lane, p, slots, slot_of(first), access.read,
              {numbers.begin() + first, numbers.begin() + last});
    };
    fetch_at(range.begin);
    for (int first = range.begin; first < range.end; first += plan_.block_frames) {
      fetch_at(first + plan_.block_frames);
      Slot& slot = slot_of(first);
      slots.jobs.wait(slot.fetched_by);
      lane.after_copies(slot.fetched);
      const Block here =
          block(p, slots, slot, first, std::min(plan_.block_frames, range.end - first));
      f(here);
      lane.mark(slot.released);
      if (streams_waves() && access.write)
        put_back(lane, p, slots, slot,
                 {numbers.begin() + first, numbers.begin() + first + here.count});
    }
    // What went wrong with the last waves belongs to this pass.
    slots.jobs.wait(slots.last);
  }

  // Frames of the part's latest pass.
  const int* order(int part) const { return parts_[std::size_t(part)].order.data(); }

  // Exit waves, wherever they are; frames in the order of their part.
  void state(Archive& archive, Backend& backend) {
    backend.for_each_part([](Lane& lane, int, int) { lane.finish_copies(); });
    for (std::size_t part = 0; part < parts_.size(); ++part) {
      const std::string name = "exit_waves/" + std::to_string(part);
      Part& p = parts_[part];
      archive.buffer(name, p.waves);
      if (p.waves_home == nullptr) continue;
      const auto frames = [&](std::size_t first, std::size_t count) {
        std::vector<int> numbers(count / wave_bytes_);
        std::iota(numbers.begin(), numbers.end(), int(first / wave_bytes_));
        return numbers;
      };
      archive.pieces<unsigned char>(
          name, p.in_scan.size() * wave_bytes_,
          std::max<std::size_t>(1, Archive::kPieceBytes / wave_bytes_) * wave_bytes_,
          [&](std::size_t first, std::size_t count, unsigned char* target) {
            p.waves_home->read(frames(first, count), target);
          },
          [&](std::size_t first, std::size_t count, const unsigned char* source) {
            p.waves_home->write(frames(first, count), source);
          });
    }
  }

 private:
  static constexpr int kSlots = 3;
  static constexpr std::size_t kUploadBytes = std::size_t(8) << 20;

  struct Part {
    std::vector<int> in_scan;      // frame of the part -> its place among the scan's counts
    Buffer<int> order;             // frames of the pass
    Buffer<int> in_user_array;     // the same as frames of the scan, where lanes see the user's
    Buffer<unsigned char> counts;  // resident, where they do not
    Buffer<unsigned char> waves;   // resident
    std::unique_ptr<Home> waves_home;
  };
  struct Slot {
    Buffer<unsigned char> counts;
    Buffer<unsigned char> waves;
    typename Lane::Mark fetched;   // all copies to the slot are made
    typename Lane::Mark released;  // the lane has done with it
    JobQueue::Ticket fetched_by = 0;
  };
  // Of one lane. Jobs come last, so that they end before what they use.
  struct Slots {
    std::array<Slot, kSlots> slot;
    Buffer<int> counting;           // 0, 1, 2 ...
    Buffer<unsigned char> staging;  // for homes that have no address
    JobQueue::Ticket last = 0;
    JobQueue jobs;
  };

  bool streams_counts() const { return plan_.stream_counts; }
  bool streams_waves() const { return wave_bytes_ != 0 && plan_.waves != WaveTier::device; }
  bool counts_in_place(Memory& memory) const {
    return scan_.counts.data != nullptr && memory.reaches(scan_.counts.device);
  }

  Part make_part(Backend& backend, int part) {
    Memory& memory = backend.memory(part);
    Part p;
    p.in_scan = scan_.parts[std::size_t(part)];
    if (!scan_.place.empty())
      for (int& frame : p.in_scan) frame = scan_.place[std::size_t(frame)];
    const int frames = int(p.in_scan.size());
    p.order = Buffer<int>(memory, p.in_scan.size());
    memory.account("counts");
    if (!streams_counts() && counts_in_place(memory)) {
      p.in_user_array = Buffer<int>(memory, p.in_scan.size());
    } else if (!streams_counts()) {
      p.counts = Buffer<unsigned char>(memory, p.in_scan.size() * counts_bytes_);
      if (!memory.planning()) fill_counts(p, memory);
    }
    if (wave_bytes_ == 0) return p;
    memory.account("exit waves");
    backend.host_memory().account("exit waves");
    if (plan_.waves == WaveTier::device)
      p.waves = Buffer<unsigned char>(memory, p.in_scan.size() * wave_bytes_);
    else if (plan_.waves == WaveTier::host)
      p.waves_home = std::make_unique<MemoryHome>(backend.host_memory(), frames, wave_bytes_);
    else if (!memory.planning())
      p.waves_home = std::make_unique<FileHome>(plan_.scratch_folder, frames, wave_bytes_);
    return p;
  }

  // `lending`: the host's memory, where lanes come for the frames; null: they are copied once.
  std::unique_ptr<Home> make_counts_home(Memory* lending = nullptr) const {
    if (scan_.counts.data == nullptr) return std::make_unique<FunctionHome>(scan_.read_counts);
    if (lending == nullptr) return std::make_unique<BorrowedHome>(scan_.counts.data, counts_bytes_);
    const std::size_t stored =
        scan_.place.empty()
            ? std::size_t(scan_.frames)
            : std::size_t(*std::max_element(scan_.place.begin(), scan_.place.end())) + 1;
    return std::make_unique<BorrowedHome>(scan_.counts.data, counts_bytes_, stored, *lending);
  }

  // Counts of a part: from another GPU directly, else some megabytes at a time.
  void fill_counts(Part& p, Memory& memory) const {
    if (scan_.counts.device != kOnHost)
      return for_each_run(p.in_scan, [&](int first, int run) {
        const std::size_t from = std::size_t(p.in_scan[std::size_t(first)]) * counts_bytes_;
        memory.copy_rows_in(p.counts.data() + std::size_t(first) * counts_bytes_,
                            static_cast<const unsigned char*>(scan_.counts.data) + from,
                            Rows::one(std::size_t(run) * counts_bytes_));
      });
    const std::unique_ptr<Home> home = make_counts_home();
    const std::size_t step = std::max<std::size_t>(1, kUploadBytes / counts_bytes_);
    std::vector<unsigned char> some(std::min(step, p.in_scan.size()) * counts_bytes_);
    for (std::size_t first = 0; first < p.in_scan.size(); first += step) {
      const std::size_t count = std::min(step, p.in_scan.size() - first);
      const auto begin = p.in_scan.begin() + std::ptrdiff_t(first);
      home->read({begin, begin + std::ptrdiff_t(count)}, some.data());
      p.counts.upload(some.data(), first * counts_bytes_, count * counts_bytes_);
    }
  }

  std::unique_ptr<Slots> make_slots(Backend& backend, int lane) const {
    Memory& memory = backend.lane_memory(lane);
    const std::size_t frames = std::size_t(plan_.block_frames);
    auto slots = std::make_unique<Slots>();
    memory.account("blocks");
    for (Slot& slot : slots->slot) {
      if (streams_counts()) slot.counts = Buffer<unsigned char>(memory, frames * counts_bytes_);
      if (streams_waves()) slot.waves = Buffer<unsigned char>(memory, frames * wave_bytes_);
    }
    std::vector<int> counting(frames);
    std::iota(counting.begin(), counting.end(), 0);
    slots->counting = Buffer<int>(memory, counting);
    const bool staged_counts = streams_counts() && scan_.counts.data == nullptr;
    const bool staged_waves = streams_waves() && plan_.waves == WaveTier::file;
    if (!memory.shared_with_host() && (staged_counts || staged_waves)) {
      backend.host_memory().account("blocks");
      slots->staging = Buffer<unsigned char>(
          backend.host_memory(),
          frames * std::max(staged_counts ? counts_bytes_ : 0, staged_waves ? wave_bytes_ : 0));
    }
    return slots;
  }

  void upload_order(Lane& lane, Part& p, const std::vector<int>& numbers) const {
    lane.upload(p.order.data(), numbers.data(), numbers.size() * sizeof(int));
    if (p.in_user_array.size() == 0) return;
    const std::vector<int> frames = in_scan(p, numbers);
    lane.upload(p.in_user_array.data(), frames.data(), frames.size() * sizeof(int));
  }
  static std::vector<int> in_scan(const Part& p, const std::vector<int>& numbers) {
    std::vector<int> frames;
    frames.reserve(numbers.size());
    for (const int number : numbers) frames.push_back(p.in_scan[std::size_t(number)]);
    return frames;
  }

  Slot& slot_at(Slots& slots, int first) const {
    return slots.slot[std::size_t(first / plan_.block_frames % kSlots)];
  }

  Block resident_block(Part& p, int first, int count) const {
    const int* frame = p.order.data() + first;
    Block b{frame, count, scan_.counts, frame, p.waves.data(), frame};
    if (p.counts.size() != 0) b.counts.data = p.counts.data();
    if (p.in_user_array.size() != 0) b.counts_at = p.in_user_array.data() + first;
    return b;
  }
  Block block(Part& p, Slots& slots, Slot& slot, int first, int count) const {
    Block b = resident_block(p, first, count);
    if (streams_counts()) {
      b.counts.data = slot.counts.data();
      b.counts_at = slots.counting.data();
    }
    if (streams_waves()) {
      b.waves = slot.waves.data();
      b.waves_at = slots.counting.data();
    }
    return b;
  }

  // Reads a block ahead; the slot is free as soon as the lane has released it.
  void fetch(Lane& lane, Part& p, Slots& slots, Slot& slot, bool waves, std::vector<int> numbers) {
    slot.fetched_by = slots.last = slots.jobs.submit([&, waves, numbers = std::move(numbers)] {
      lane.copies_after(slot.released);
      if (streams_counts())
        load(lane, slots, *counts_home_, in_scan(p, numbers), counts_bytes_, slot.counts);
      if (waves && streams_waves())
        load(lane, slots, *p.waves_home, numbers, wave_bytes_, slot.waves);
      lane.mark_copies(slot.fetched);
    });
  }

  void put_back(Lane& lane, Part& p, Slots& slots, Slot& slot, std::vector<int> numbers) {
    slots.last = slots.jobs.submit([&, numbers = std::move(numbers)] {
      lane.copies_after(slot.released);
      save(lane, slots, *p.waves_home, numbers, slot.waves);
    });
  }

  void load(Lane& lane, Slots& slots, Home& home, const std::vector<int>& frames, std::size_t bytes,
            Buffer<unsigned char>& target) const {
    if (home.address(0) != nullptr) {
      for_each_run(frames, [&](int first, int run) {
        lane.fetch(target.data() + std::size_t(first) * bytes,
                   home.address(frames[std::size_t(first)]), std::size_t(run) * bytes);
      });
    } else if (slots.staging.size() == 0) {
      home.read(frames, target.data());
    } else {
      lane.finish_copies();  // of what the staging held
      home.read(frames, slots.staging.data());
      lane.fetch(target.data(), slots.staging.data(), frames.size() * bytes);
    }
  }

  void save(Lane& lane, Slots& slots, Home& home, const std::vector<int>& frames,
            const Buffer<unsigned char>& source) const {
    if (home.address(0) != nullptr) {
      for_each_run(frames, [&](int first, int run) {
        lane.put_back(home.address(frames[std::size_t(first)]),
                      source.data() + std::size_t(first) * wave_bytes_,
                      std::size_t(run) * wave_bytes_);
      });
    } else if (slots.staging.size() == 0) {
      home.write(frames, source.data());
    } else {
      lane.finish_copies();
      lane.put_back(slots.staging.data(), source.data(), frames.size() * wave_bytes_);
      lane.finish_copies();
      home.write(frames, slots.staging.data());
    }
  }

  const Scan& scan_;
  StoragePlan plan_;
  std::size_t counts_bytes_;
  std::size_t wave_bytes_;
  std::unique_ptr<Home> counts_home_;
  std::vector<Part> parts_;
  std::vector<std::unique_ptr<Slots>> slots_;
};

}  // namespace exitwave
