#pragma once

#include <utility>
#include <vector>

#include "core/region.hpp"
#include "engines/problem.hpp"

namespace exitwave {

// Frames of one update.
struct Group {
  std::vector<std::vector<int>> numbers;  // in their parts
  Region touched;                         // pixels of the object that they reach
};

// Hands the frames of a group to their parts.
template <class Backend>
Group split_group(const Problem<Backend>& problem, const std::vector<int>& frames) {
  std::vector<std::vector<int>> numbers(std::size_t(problem.parts()));
  std::vector<Corner> corners;
  for (const int frame : frames) {
    const auto slot = problem.slot(frame);
    numbers[std::size_t(slot.part)].push_back(slot.number);
    corners.push_back(problem.corner_of(frame));
  }
  return {std::move(numbers),
          Region::windows(std::move(corners), problem.scan().ny, problem.scan().nx)};
}

}  // namespace exitwave
