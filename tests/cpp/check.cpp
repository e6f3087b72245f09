#include "check.hpp"

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <utility>
#include <vector>

#include "cpu/fft.hpp"

namespace exitwave::test {

namespace {

using Test = std::pair<std::string, void (*)()>;

std::vector<Test>& tests() {
  static std::vector<Test> all;
  return all;
}

std::string (*why_not)() = nullptr;

bool holds(const Test& test) {
  try {
    test.second();
    return true;
  } catch (const std::exception& error) {
    std::printf("FAILED  %s\n        %s\n", test.first.c_str(), error.what());
    return false;
  }
}

}  // namespace

bool add(std::string_view sentence, void (*body)()) {
  tests().emplace_back(sentence, body);
  return true;
}

bool run_unless(std::string (*why)()) {
  why_not = why;
  return true;
}

std::string reason_to_skip() {
  const char* required = std::getenv("EXITWAVE_REQUIRE_GPU");
  const bool must_run = required != nullptr && std::string_view(required) == "1";
  return why_not == nullptr || must_run ? std::string() : why_not();
}

void check(bool holds, std::string_view what, const std::source_location& where) {
  if (!holds)
    throw Failure(std::string(where.file_name()) + ":" + std::to_string(where.line()) +
                  ": does not hold: " + std::string(what));
}

void bind_fft_library(const std::string& wisdom_path, bool always) {
  const char* named = std::getenv("EXITWAVE_FFT");
  load_fft_library(named == nullptr ? "libfftw3f.so.3" : named, wisdom_path, always);
}

}  // namespace exitwave::test

int main(int count, char** arguments) {
  const std::string reason = exitwave::test::reason_to_skip();
  if (!reason.empty()) {
    std::printf("skipped: %s\n", reason.c_str());
    return 77;
  }
  const std::string wanted = count > 1 ? arguments[1] : "";
  int run = 0;
  int failed = 0;
  for (const auto& test : exitwave::test::tests()) {
    if (test.first.find(wanted) == std::string::npos) continue;
    ++run;
    failed += exitwave::test::holds(test) ? 0 : 1;
  }
  std::printf("%d tests, %d failed\n", run, failed);
  return run == 0 || failed != 0 ? 1 : 0;
}
