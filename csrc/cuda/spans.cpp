#include "cuda/spans.hpp"

#include <algorithm>

namespace exitwave::cuda {

namespace {
constexpr std::size_t kAligned = 64;
}  // namespace

DeviceSpans SpanCache::find(const Region& region) {
  if (region.empty()) return {};
  const auto known = by_id_.find(region.id());
  if (known != by_id_.end()) return known->second;

  const std::vector<Span>& spans = region.spans();
  const std::size_t bytes = spans.size() * sizeof(Span);
  const std::size_t at = make_room(bytes);
  auto* target = static_cast<unsigned char*>(device_.at_least(0)) + at;
  staging_.copy(target, spans.data(), bytes);

  DeviceSpans found{reinterpret_cast<const Span*>(target), int(spans.size()), 0, region.pixels()};
  for (const Span& s : spans) found.longest = std::max(found.longest, s.x1 - s.x0);
  entries_.push_back({region.id(), at, at + bytes, found});
  by_id_[region.id()] = found;
  return found;
}

void SpanCache::forget_oldest() {
  by_id_.erase(entries_.front().id);
  entries_.pop_front();
}

std::size_t SpanCache::make_room(std::size_t bytes) {
  if (bytes > device_.bytes()) {
    device_.at_least(2 * bytes);
    entries_.clear();
    by_id_.clear();
    head_ = 0;
  }
  // What is forgotten may be overwritten: copies are queued behind the work that still reads it.
  if (head_ + bytes > device_.bytes()) {
    while (!entries_.empty() && entries_.front().begin >= head_) forget_oldest();
    head_ = 0;
  }
  const std::size_t begin = head_;
  const std::size_t end = begin + bytes;
  while (!entries_.empty() && entries_.front().begin < end && entries_.front().end > begin)
    forget_oldest();
  head_ = (end + kAligned - 1) / kAligned * kAligned;
  return begin;
}

}  // namespace exitwave::cuda
