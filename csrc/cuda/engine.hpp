#pragma once

#include <string>

namespace exitwave {

// Empty where CUDA devices can be used, else the reason why not.
std::string why_no_cuda();

}  // namespace exitwave
