#pragma once

#include <string>

namespace exitwave {

// A library that is opened while the program runs, and stays open.
class SharedLibrary {
 public:
  // `kind` and `advice` complete the sentences of errors: "<kind> library <path>: has no <name>;
  // <advice>". Throws DeviceError.
  SharedLibrary(std::string kind, std::string path, std::string advice);

  // Sets a pointer to the function, or the constant, of this name. Throws DeviceError where there
  // is none.
  template <class F>
  void bind(const char* name, F& function) const {
    function = reinterpret_cast<F>(find(name));
  }

 private:
  void* find(const char* name) const;

  std::string kind_;
  std::string path_;
  std::string advice_;
  void* handle_;
};

}  // namespace exitwave
