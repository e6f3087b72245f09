#include "cuda/engine.hpp"

namespace exitwave {

std::string why_no_cuda() { return "this build has no CUDA module"; }

}  // namespace exitwave
