#pragma once

#include <cstddef>
#include <numeric>
#include <utility>
#include <vector>

#include "core/region.hpp"
#include "engines/partial_sums.hpp"
#include "engines/problem.hpp"
#include "storage/blocks.hpp"

namespace exitwave {

// Frames that the next pass takes, as numbers in their parts. Those whose sums go to other
// memories, of ranks or devices, come first, so that these travel while the others are worked on.
template <class Backend>
class Pass {
 public:
  // `sums`: of the object.
  Pass(const Backend& backend, const Problem<Backend>& problem, const PartialSums<Backend>& sums) {
    for (int part = 0; part < problem.parts(); ++part) {
      std::vector<int> all(std::size_t(problem.frames_of(part)));
      std::iota(all.begin(), all.end(), 0);
      all_.push_back(std::move(all));
      const bool alone = backend.shared() || !backend.holds(part);
      leaves_.push_back(alone ? std::vector<bool>() : find_leaving(problem, sums, part));
    }
    leaving_.resize(all_.size());
    take_all();
  }

  void take_all() { take(all_); }
  void take(std::vector<std::vector<int>> numbers) {
    frames_ = std::move(numbers);
    for (std::size_t part = 0; part < frames_.size(); ++part) {
      const std::vector<bool>& leaves = leaves_[part];
      if (leaves.empty()) continue;
      std::vector<int> ordered;
      ordered.reserve(frames_[part].size());
      for (const bool leaving : {true, false}) {
        for (const int number : frames_[part])
          if (leaves[std::size_t(number)] == leaving) ordered.push_back(number);
        if (leaving) leaving_[part] = int(ordered.size());
      }
      frames_[part] = std::move(ordered);
    }
  }

  // Of each part, in their order.
  const std::vector<std::vector<int>>& frames() const { return frames_; }
  const std::vector<int>& frames(int part) const { return frames_[std::size_t(part)]; }
  FrameRange whole(int part) const { return {0, int(frames(part).size())}; }
  // Those whose sums leave, none where parts share memory, and the others.
  FrameRange first(int part) const { return {0, leaving_[std::size_t(part)]}; }
  FrameRange rest(int part) const { return {leaving_[std::size_t(part)], whole(part).end}; }

 private:
  // Which frames of a part reach pixels whose sums go elsewhere, wherever they may move.
  static std::vector<bool> find_leaving(const Problem<Backend>& problem,
                                        const PartialSums<Backend>& sums, int part) {
    const Scan& scan = problem.scan();
    const Region away = sums.sent_away(part);
    std::vector<bool> leaves;
    for (const int frame : scan.parts[std::size_t(part)]) {
      const Corner c = scan.reach(frame);
      const Rect window{c.y, c.x, c.y + scan.ny + 2 * scan.margin, c.x + scan.nx + 2 * scan.margin};
      leaves.push_back(!away.intersected(window).empty());
    }
    return leaves;
  }

  std::vector<std::vector<int>> all_;
  std::vector<std::vector<bool>> leaves_;  // by part and number; empty: none does
  std::vector<std::vector<int>> frames_;
  std::vector<int> leaving_;  // how many of a part's frames do
};

}  // namespace exitwave
