#include <atomic>
#include <stdexcept>
#include <vector>

#include "check.hpp"
#include "core/thread_pool.hpp"

namespace exitwave {

namespace {

TEST("a team has the members that were asked for, the caller among them") {
  CHECK(ThreadPool(1).size() == 1);
  CHECK(ThreadPool(3).size() == 3);
}

TEST("every member works once in every round, and all are done on return") {
  ThreadPool pool(3);
  std::vector<int> work(3, 0);  // not atomic: a round must order what the next one reads
  int wrong = 0;
  for (int round = 1; round <= 5000; ++round) {
    pool.run([&](int member) { ++work[std::size_t(member)]; });
    for (const int done : work) wrong += done == round ? 0 : 1;
  }
  CHECK(wrong == 0);
}

TEST("members may have different amounts of work") {
  ThreadPool pool(3);
  std::vector<double> sums(3, 0.0);
  for (int round = 0; round < 50; ++round) {
    pool.run([&](int member) {
      for (int i = 0; i < member * 10000; ++i) sums[std::size_t(member)] += 1.0;
    });
  }
  CHECK(sums[0] == 0);
  CHECK(sums[1] == 500000);
  CHECK(sums[2] == 1000000);
}

TEST("an error of any member reaches the caller when all are done") {
  ThreadPool pool(3);
  for (int guilty = 0; guilty < 3; ++guilty) {
    std::atomic<int> others = 0;
    test::check_throws<std::out_of_range>("member", [&] {
      pool.run([&](int member) {
        if (member == guilty) throw std::out_of_range("member " + std::to_string(member));
        ++others;
      });
    });
    CHECK(others == 2);
  }
}

TEST("one of several errors reaches the caller, and the team works on") {
  ThreadPool pool(3);
  for (int round = 0; round < 200; ++round)
    test::check_throws<std::runtime_error>(
        "all", [&] { pool.run([](int) { throw std::runtime_error("all fail"); }); });

  std::atomic<int> done = 0;
  pool.run([&](int) { ++done; });
  CHECK(done == 3);
}

TEST("teams come and go without work") {
  for (int i = 0; i < 50; ++i) CHECK(ThreadPool(1 + i % 4).size() == 1 + i % 4);
}

}  // namespace

}  // namespace exitwave
