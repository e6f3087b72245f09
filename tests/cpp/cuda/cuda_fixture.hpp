#pragma once

// What tests of the CUDA backend need, on GPUs and on the host stand-in.
namespace exitwave::test {

// Binds cuFFT: the library that EXITWAVE_CUFFT names, else the one found by the build.
void bind_cufft();

}  // namespace exitwave::test
