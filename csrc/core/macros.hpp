#pragma once

// The only place that asks which compiler reads the file: bodies run on the host and on CUDA
// devices.
#ifdef __CUDACC__
#define EXITWAVE_HD __host__ __device__ __forceinline__
#else
#define EXITWAVE_HD inline
#endif
