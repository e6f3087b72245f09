#include "cuda_fixture.hpp"

#include <cstdlib>

#include "cuda/fft.hpp"

namespace exitwave::test {

void bind_cufft() {
  const char* named = std::getenv("EXITWAVE_CUFFT");
  cuda::load_cufft(named != nullptr ? named : EXITWAVE_CUFFT_LIBRARY);
}

}  // namespace exitwave::test
