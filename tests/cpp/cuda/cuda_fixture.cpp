#include "cuda_fixture.hpp"

#include <cstdlib>

#include "check.hpp"
#include "cuda/engine.hpp"
#include "cuda/fft.hpp"

namespace exitwave::test {

static const bool kNeedsDevice = run_unless(&why_no_cuda);

void bind_cufft() {
  const char* named = std::getenv("EXITWAVE_CUFFT");
  cuda::load_cufft(named != nullptr ? named : EXITWAVE_CUFFT_LIBRARY);
}

}  // namespace exitwave::test
