#include "core/shared_library.hpp"

#include <dlfcn.h>

#include <utility>

#include "core/error.hpp"

namespace exitwave {

SharedLibrary::SharedLibrary(std::string kind, std::string path, std::string advice)
    : kind_(std::move(kind)),
      path_(std::move(path)),
      advice_(std::move(advice)),
      handle_(dlopen(path_.c_str(), RTLD_NOW | RTLD_LOCAL)) {
  if (handle_ != nullptr) return;
  const char* reason = dlerror();
  throw DeviceError(kind_ + " library " + path_ + ": " + (reason ? reason : "cannot be opened"));
}

void* SharedLibrary::find(const char* name) const {
  void* found = dlsym(handle_, name);
  if (found == nullptr)
    throw DeviceError(kind_ + " library " + path_ + ": has no " + name + "; " + advice_);
  return found;
}

}  // namespace exitwave
