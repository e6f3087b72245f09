#pragma once

#include <source_location>
#include <stdexcept>
#include <string>
#include <string_view>

// A test is a sentence and what must hold for it:
//
//   TEST("an empty region has no pixels") { CHECK(Region().pixels() == 0); }
//
// main() is in check.cpp and runs all tests of the program, or those whose sentence contains its
// argument.
namespace exitwave::test {

struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

bool add(std::string_view sentence, void (*body)());
void check(bool holds, std::string_view what,
           const std::source_location& where = std::source_location::current());

// `call` must throw an Error whose message contains `words`.
template <class Error, class Call>
void check_throws(std::string_view words, const Call& call,
                  const std::source_location& where = std::source_location::current()) {
  try {
    call();
  } catch (const Error& error) {
    const std::string message = error.what();
    return check(message.find(words) != std::string::npos,
                 "the message \"" + message + "\" contains \"" + std::string(words) + "\"", where);
  }
  check(false, "an error with \"" + std::string(words) + "\" is thrown", where);
}

// Where why() says why the tests of a program cannot run here, it leaves with 77, which CTest
// counts as skipped; EXITWAVE_REQUIRE_GPU=1 lets them run, and fail.
bool run_unless(std::string (*why)());

// Binds the FFT library that the tests use; every lane needs it.
void bind_fft_library(const std::string& wisdom_path = "", bool always = false);

}  // namespace exitwave::test

#define EXITWAVE_JOIN_AGAIN(a, b) a##b
#define EXITWAVE_JOIN(a, b) EXITWAVE_JOIN_AGAIN(a, b)
#define TEST(sentence)                                                  \
  static void EXITWAVE_JOIN(test_, __LINE__)();                         \
  static const bool EXITWAVE_JOIN(added_, __LINE__) =                   \
      ::exitwave::test::add(sentence, &EXITWAVE_JOIN(test_, __LINE__)); \
  static void EXITWAVE_JOIN(test_, __LINE__)()
#define CHECK(condition) ::exitwave::test::check((condition), #condition)
