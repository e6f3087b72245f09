#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "check.hpp"
#include "core/communicator.hpp"
#include "cpu/engine.hpp"
#include "engine_runs.hpp"
#include "engines/layout.hpp"
#include "sample.hpp"

// Ranks that are threads of one process, for tests of engines on any backend.
namespace exitwave::test {

// Where ranks that are threads of one process leave what they send.
class Office {
 public:
  explicit Office(int ranks) : ranks_(ranks) {}

  void leave(int from, int to, std::vector<unsigned char> bytes) {
    const std::lock_guard lock(mutex_);
    boxes_[{from, to}].push_back(std::move(bytes));
    changed_.notify_all();
  }
  std::vector<unsigned char> take(int from, int to) {
    std::unique_lock lock(mutex_);
    std::deque<std::vector<unsigned char>>& box = boxes_[{from, to}];
    changed_.wait(lock, [&] { return !box.empty(); });
    std::vector<unsigned char> bytes = std::move(box.front());
    box.pop_front();
    return bytes;
  }
  int ranks() const { return ranks_; }

 private:
  int ranks_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::pair<int, int>, std::deque<std::vector<unsigned char>>> boxes_;
};

class Clerk : public Communicator {
 public:
  Clerk(Office& office, int rank, bool reaches_devices)
      : office_(office), rank_(rank), reaches_devices_(reaches_devices) {}

  void start(const std::vector<Message>& messages) override {
    for (const Message& m : messages) {
      const auto* data = static_cast<const unsigned char*>(m.data);
      if (m.sent)
        office_.leave(rank_, m.rank, {data, data + m.bytes});
      else
        awaited_.push_back(m);
    }
  }
  void finish() override {
    for (const Message& m : awaited_) {
      const std::vector<unsigned char> bytes = office_.take(m.rank, rank_);
      CHECK(bytes.size() == m.bytes);
      std::copy(bytes.begin(), bytes.end(), static_cast<unsigned char*>(m.data));
    }
    awaited_.clear();
  }
  void gather(std::vector<double>& values, const std::vector<int>& counts) override {
    std::vector<Message> messages;
    std::size_t place = 0;
    for (int rank = 0; rank < office_.ranks(); ++rank) {
      const std::size_t bytes = std::size_t(counts[std::size_t(rank)]) * sizeof(double);
      if (rank != rank_) messages.push_back({rank, values.data() + place, bytes, false});
      if (rank == rank_)
        for (int other = 0; other < office_.ranks(); ++other)
          if (other != rank_) messages.push_back({other, values.data() + place, bytes, true});
      place += std::size_t(counts[std::size_t(rank)]);
    }
    const std::vector<Message> under_way = std::exchange(awaited_, {});
    // What is under way was sent before, so it is also received before.
    std::vector<std::vector<unsigned char>> early;
    for (const Message& m : under_way) early.push_back(office_.take(m.rank, rank_));
    start(messages);
    finish();
    for (std::size_t i = 0; i < under_way.size(); ++i)
      std::memcpy(under_way[i].data, early[i].data(), under_way[i].bytes);
  }
  bool reaches_devices() const override { return reaches_devices_; }

 private:
  Office& office_;
  int rank_;
  bool reaches_devices_;
  std::vector<Message> awaited_;
};

constexpr int kIterations = 3;
constexpr int kPartsOfRank = 2;

// An engine of one rank from the start values of its part of the object.
using MakeEngine = std::function<std::unique_ptr<Engine>(const Scan& scan, const Complex* object)>;

// What one rank's engine comes to; pixels of the object that it does not hold are as expected.
inline Outcome run_rank(const Sample& sample, const EngineOptions& options, Office& office,
                        int rank, bool reaches_devices, const Outcome& expected,
                        const MakeEngine& make) {
  Clerk clerk(office, rank, reaches_devices);
  Scan scan = sample.scan;
  scan.ranks.communicator = &clerk;
  scan.ranks.rank = rank;
  for (int i = 0; i <= office.ranks(); ++i) scan.ranks.first_part.push_back(i * kPartsOfRank);
  const Layout layout(scan);
  const Rect held = layout.around(scan.first_part(), scan.end_part());
  const auto in_whole = [&](int mode, int y, int x) {
    return std::size_t((mode * scan.object_ny + y) * scan.object_nx + x);
  };
  const auto in_held = [&](int mode, int y, int x) {
    return std::size_t((mode * held.ny() + y - held.y0) * held.nx() + x - held.x0);
  };
  std::vector<Complex> mine(held.pixels() * std::size_t(options.object_modes));
  for (int mode = 0; mode < options.object_modes; ++mode)
    for (int y = held.y0; y < held.y1; ++y)
      for (int x = held.x0; x < held.x1; ++x)
        mine[in_held(mode, y, x)] = sample.ones[in_whole(mode, y, x)];
  const auto engine = make(scan, mine.data());
  Outcome outcome = iterate(*engine, sample, kIterations, mine);
  std::vector<Complex> object = expected.object;
  for (int part = scan.first_part(); part < scan.end_part(); ++part)
    for (const Span& s : layout.reached().intersected(layout.tile(part)).spans())
      for (int x = s.x0; x < s.x1; ++x)
        for (int mode = 0; mode < options.object_modes; ++mode)
          object[in_whole(mode, s.y, x)] = outcome.object[in_held(mode, s.y, x)];
  outcome.object = std::move(object);
  return outcome;
}

// The same for all, each in a thread.
inline std::vector<Outcome> run_ranks(const Sample& sample, const EngineOptions& options, int ranks,
                                      bool reaches_devices, const Outcome& expected,
                                      const MakeEngine& make) {
  Office office(ranks);
  std::vector<Outcome> outcomes(static_cast<std::size_t>(ranks));
  std::vector<std::thread> threads;
  for (int rank = 0; rank < ranks; ++rank)
    threads.emplace_back([&, rank] {
      outcomes[std::size_t(rank)] =
          run_rank(sample, options, office, rank, reaches_devices, expected, make);
    });
  for (std::thread& thread : threads) thread.join();
  return outcomes;
}

// So many ranks come to what one process on the CPU comes to, and all to the same probe.
inline void check_ranks(const std::string& name, const SampleKind& kind, int ranks,
                        bool reaches_devices, double tolerance,
                        const std::function<std::unique_ptr<Engine>(
                            const Sample& sample, const Scan& scan, const EngineOptions& options,
                            const Complex* object)>& make) {
  bind_fft_library();
  Sample sample(kind);
  sample.cut_in_parts(ranks * kPartsOfRank);
  const EngineOptions options = options_of(name, kind);
  const auto one =
      make_cpu_engine({}, sample.scan, options, sample.ones.data(), sample.probe.data());
  const Outcome expected = iterate(*one, sample, kIterations, sample.ones);
  const auto outcomes = run_ranks(
      sample, options, ranks, reaches_devices, expected,
      [&](const Scan& scan, const Complex* object) { return make(sample, scan, options, object); });
  for (const Outcome& outcome : outcomes) {
    check(relative(outcome.object, expected.object) < tolerance, name + ", object");
    check(relative(outcome.probe, expected.probe) < tolerance, name + ", probe");
    CHECK(same_bits(outcome.probe, outcomes[0].probe));
    CHECK(outcome.error == outcomes[0].error);
  }
}

}  // namespace exitwave::test
