option(EXITWAVE_PYTHON "Build the Python module" ON)
option(EXITWAVE_TESTS "Build the C++ tests" OFF)
option(EXITWAVE_WARNINGS_AS_ERRORS "Warnings end the build" OFF)
set(EXITWAVE_SIMD "native" CACHE STRING
  "What -march= gets: native (this machine), a level such as x86-64-v3, or off")
set(EXITWAVE_CUDA "AUTO" CACHE STRING
  "CUDA backend: AUTO (where nvcc and cuFFT are found), ON, OFF, or HOST (a stand-in, for tests)")
set(EXITWAVE_CUDA_ARCHITECTURES "80-real;90-real;100" CACHE STRING
  "GPUs that CUDA code is compiled for; the last one's form can be compiled for later ones too")
set(EXITWAVE_SANITIZE "" CACHE STRING "Sanitizers, such as address,undefined or thread")

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
endif()
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_CXX_EXTENSIONS OFF)

if(EXITWAVE_SANITIZE)
  # gcc believes that sanitized code, its own vector headers too, reads what was never written.
  add_compile_options(-fsanitize=${EXITWAVE_SANITIZE} -fno-sanitize-recover=all
    -fno-omit-frame-pointer -Wno-maybe-uninitialized)
  add_link_options(-fsanitize=${EXITWAVE_SANITIZE})
endif()
