#pragma once

// The iterations of the loop that follows do not depend on each other. (OpenMP's pragma says more,
// but makes arrays of a loop's local structs, which then are in the way.)
#if defined(__clang__)
#define EXITWAVE_SIMD_LOOP _Pragma("clang loop vectorize(assume_safety)")
#else
#define EXITWAVE_SIMD_LOOP _Pragma("GCC ivdep")
#endif
