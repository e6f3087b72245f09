#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "core/buffer.hpp"
#include "core/communicator.hpp"
#include "kernels/scalar.hpp"
#include "storage/archive.hpp"

namespace exitwave {

// What parts find out, as places in a row of Totals.
namespace found {
enum Place {
  kDeviation,           // of the model
  kReflectedDeviation,  // of the reflected wave, right after the model's
  kInside,              // frames inside the power bound
  kLargestObject,       // weights; of further slices: see largest_object
  kLargestProbe,
  kPower,                  // of the probe
  kUncut,                  // power of an update of the probe before its supports,
  kCut,                    // and after,
  kCutOf,                  // and what the difference is a fraction of
  kProducts,               // conjugate gradient: 3 products, of this iteration and of the last
  kLoss = kProducts + 6,   // 3: expansion of the loss
  kRoughness = kLoss + 3,  // 3: expansion of the object's roughness
  kProbeAlong = kRoughness + 3,  // 3: expansion of the probe's power
  kPrior = kProbeAlong + 3,      // 2: expansion of what is known of the object
  kFlat = kPrior + 2,            // 3: sum over the object's flat region
  kIntensity = kFlat + 3,        // sum over frames of their factors
  kMaterial,                     // 2: for the ratio of one material
  kObjectPower = kMaterial + 2,
};

// Numbers after those of the slices, for L-BFGS with so many pairs.
inline int of_pairs(int history) { return history > 0 ? 3 * history + 2 : 0; }
}  // namespace found

// A few numbers that each part finds and all parts need: a row of them for each part, and the table
// of all rows in the memory of every part. The host reads them once per iteration, and where parts
// are spread over ranks once per exchange.
template <class Backend>
class Totals {
 public:
  using Lane = typename Backend::Lane;
  static constexpr int kFirst = 40;

  // `more`: numbers of a row beyond the first kFirst.
  Totals(Backend& backend, int parts, int more)
      : ranks_(backend.ranks()), parts_(parts), row_(kFirst + more) {
    for (int part = 0; part < (backend.shared() ? 1 : parts); ++part)
      tables_.push_back(backend.holds(part) ? Buffer<double>(backend.memory(part), size())
                                            : Buffer<double>());
  }

  int row() const { return row_; }
  // Where a part has its own number.
  double* own(int part, int which) { return table(part) + part * row_ + which; }
  // What all parts found, as `part` sees it.
  kernels::Across across(int part, int which) { return {table(part) + which, row_, parts_}; }
  // The same of what was read.
  kernels::Across across(const std::vector<double>& rows, int which) const {
    return {rows.data() + which, row_, parts_};
  }
  // What one part found that holds a copy of something that all have alike.
  kernels::Across alone(int part, int which) {
    return {own(tables_.size() == 1 ? 0 : part, which), row_, 1};
  }

  void clear(Lane& lane, int part, int which, int count) {
    lane.clear(own(part, which), std::size_t(count) * sizeof(double));
  }
  // Puts a part's row into the tables of the others that are held here.
  void share(Lane& lane, int part) {
    for (int other = 0; other < int(tables_.size()); ++other)
      if (other != part && tables_[std::size_t(other)].size() != 0)
        lane.copy(table(other) + part * row_, own(part, 0), row_ * sizeof(double));
  }
  // Puts the rows of all ranks into all tables, once they are shared among the parts of each.
  void exchange() {
    if (ranks_.communicator == nullptr) return;
    const std::vector<double> rows = read();
    for (Buffer<double>& table : tables_) table.upload(rows.data());
  }

  // What each part has, (parts, row()); waits for the lanes.
  std::vector<double> read() {
    std::vector<double> rows(size());
    std::vector<double> whole(size());
    for (std::size_t i = 0; i < tables_.size(); ++i) {
      if (tables_[i].size() == 0) continue;
      tables_[i].download(whole.data());
      const std::size_t first = tables_.size() == 1 ? 0 : i * row_;
      const std::size_t count = tables_.size() == 1 ? rows.size() : row_;
      std::copy_n(whole.begin() + std::ptrdiff_t(first), count,
                  rows.begin() + std::ptrdiff_t(first));
    }
    if (ranks_.communicator != nullptr) gather(rows);
    return rows;
  }

  void state(Archive& archive) {
    for (std::size_t i = 0; i < tables_.size(); ++i)
      archive.buffer("totals/" + std::to_string(i), tables_[i]);
  }

 private:
  std::size_t size() const { return std::size_t(parts_) * row_; }
  double* table(int part) { return tables_[tables_.size() == 1 ? 0 : std::size_t(part)].data(); }

  void gather(std::vector<double>& rows) const {
    std::vector<int> counts;
    for (std::size_t rank = 0; rank + 1 < ranks_.first_part.size(); ++rank)
      counts.push_back((ranks_.first_part[rank + 1] - ranks_.first_part[rank]) * row_);
    ranks_.communicator->gather(rows, counts);
  }

  Ranks ranks_;
  int parts_;
  int row_;
  std::vector<Buffer<double>> tables_;
};

}  // namespace exitwave
