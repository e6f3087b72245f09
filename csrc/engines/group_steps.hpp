#pragma once

#include <algorithm>
#include <vector>

#include "core/buffer.hpp"
#include "core/communicator.hpp"
#include "core/shape.hpp"
#include "kernels/least_squares.hpp"
#include "kernels/scalar.hpp"

namespace exitwave {

// Two numbers of each frame of a group, which all parts need: frames in the order of the parts, in
// the memory of every part; and their means without the tenth of the values at either end. Only
// where parts are spread over ranks the host passes them on.
template <class Backend>
class GroupSteps {
 public:
  using Lane = typename Backend::Lane;
  static constexpr int kNumbers = kernels::TrimmedShare::kNumbers;

  // Groups have at most so many frames.
  GroupSteps(Backend& backend, int parts, int most_frames)
      : ranks_(backend.ranks()), first_(std::size_t(parts) + 1, 0) {
    for (int part = 0; part < (backend.shared() ? 1 : parts); ++part) {
      copies_.emplace_back();
      if (!backend.holds(part)) continue;
      Memory& memory = backend.memory(part);
      memory.account("directions");
      copies_.back() = {Buffer<double>(memory, std::size_t(most_frames) * kNumbers),
                        Buffer<double>(memory, std::size_t(most_frames) * kNumbers),
                        Buffer<double>(memory, kNumbers)};
    }
  }

  // Frames of the present group in each part.
  void set_group(const std::vector<std::vector<int>>& numbers) {
    for (std::size_t part = 0; part < numbers.size(); ++part)
      first_[part + 1] = first_[part] + int(numbers[part].size());
  }

  // Where a part has the numbers of its frames.
  double* own(int part) { return copy(part).values.data() + first(part) * kNumbers; }

  // Puts a part's numbers into the memories of the others that are held here.
  void share(Lane& lane, int part) {
    for (std::size_t other = 0; other < copies_.size(); ++other)
      if (int(other) != part && copies_[other].values.size() != 0 && copies_.size() > 1)
        lane.copy(copies_[other].values.data() + first(part) * kNumbers, own(part),
                  std::size_t(first(part + 1) - first(part)) * kNumbers * sizeof(double));
  }
  // Puts the numbers of all ranks into all memories, once they are shared among the parts of each.
  void exchange() {
    if (ranks_.communicator == nullptr) return;
    std::vector<double> values(std::size_t(first_.back()) * kNumbers);
    for (Copy& c : copies_) {
      if (c.values.size() == 0) continue;
      c.values.download(values.data(), 0, values.size());
      break;
    }
    std::vector<int> counts;
    for (std::size_t rank = 0; rank + 1 < ranks_.first_part.size(); ++rank)
      counts.push_back((first(ranks_.first_part[rank + 1]) - first(ranks_.first_part[rank])) *
                       kNumbers);
    ranks_.communicator->gather(values, counts);
    for (Copy& c : copies_)
      if (c.values.size() != 0) c.values.upload(values.data(), 0, values.size());
  }

  // Of a part that has a memory of its own.
  void find_means(Lane& lane, int part) {
    Copy& c = copy(part);
    const int frames = first_.back();
    lane.map({frames, 1, 1, kNumbers},
             kernels::TrimmedShare{c.shares.data(), c.values.data(), frames, frames / kTrimmed});
    lane.clear(c.means.data(), kNumbers * sizeof(double));
    lane.add_totals(frames, kNumbers, c.shares.data(), c.means.data());
  }
  kernels::SumTimes mean(int part, int which, double factor) {
    return {kernels::Across{copy(part).means.data() + which, 1, 1}, factor};
  }

 private:
  static constexpr int kTrimmed = 10;  // one in so many at either end

  struct Copy {
    Buffer<double> values;
    Buffer<double> shares;
    Buffer<double> means;
  };

  int first(int part) const { return first_[std::size_t(part)]; }
  Copy& copy(int part) { return copies_[copies_.size() == 1 ? 0 : std::size_t(part)]; }

  Ranks ranks_;
  std::vector<int> first_;  // frame of the group of each part, and after them their number
  std::vector<Copy> copies_;
};

}  // namespace exitwave
