# The CUDA backend, target exitwave_cuda: for GPUs, or a stub that says why there is none, or on the
# host stand-in for the CUDA runtime, with which tests run all of it without a GPU.

set(EXITWAVE_CUDA_SOURCES arrays.cpp check.cpp devices.cpp fft.cpp memory.cpp scratch.cpp spans.cpp staging.cpp
  stream.cpp)
list(TRANSFORM EXITWAVE_CUDA_SOURCES PREPEND ${PROJECT_SOURCE_DIR}/csrc/cuda/)
# What nvcc compiles; the others are the host compiler's.
set(EXITWAVE_CUDA_KERNELS arrays.cu engine.cu)

function(exitwave_finish_cuda target)
  target_link_libraries(${target} PUBLIC exitwave_core)
  set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE ON
    CXX_VISIBILITY_PRESET hidden CUDA_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
  exitwave_warnings(${target})
  exitwave_numerics(${target})
endfunction()

function(exitwave_add_cuda_stub target)
  add_library(${target} STATIC ${PROJECT_SOURCE_DIR}/csrc/cuda/stub.cpp)
  exitwave_finish_cuda(${target})
endfunction()

function(exitwave_add_cuda_on_host target)
  if(NOT TARGET cuda_on_host)
    add_subdirectory(${PROJECT_SOURCE_DIR}/tests/cpp/cuda_on_host
      ${PROJECT_BINARY_DIR}/cuda_on_host)
  endif()
  set(sources ${EXITWAVE_CUDA_SOURCES})
  foreach(file ${EXITWAVE_CUDA_KERNELS})
    set(source ${PROJECT_BINARY_DIR}/generated/cuda_on_host_${file}.cpp)
    file(CONFIGURE OUTPUT ${source} CONTENT "#include \"cuda/${file}\"\n")
    list(APPEND sources ${source})
  endforeach()
  add_library(${target} STATIC ${sources})
  target_compile_definitions(${target} PRIVATE EXITWAVE_CUDA_ON_HOST)
  target_link_libraries(${target} PUBLIC cuda_on_host)
  exitwave_finish_cuda(${target})
endfunction()

function(exitwave_add_cuda_for_devices target)
  list(TRANSFORM EXITWAVE_CUDA_KERNELS PREPEND ${PROJECT_SOURCE_DIR}/csrc/cuda/
    OUTPUT_VARIABLE kernels)
  add_library(${target} STATIC ${EXITWAVE_CUDA_SOURCES} ${kernels})
  set_target_properties(${target} PROPERTIES CUDA_ARCHITECTURES "${EXITWAVE_CUDA_ARCHITECTURES}"
    CUDA_RUNTIME_LIBRARY Static)
  # cuFFT's header alone, because beside it may stand the runtime's of another version.
  configure_file(${CUFFT_INCLUDE_DIR}/cufft.h ${PROJECT_BINARY_DIR}/generated/cufft/cufft.h COPYONLY)
  target_include_directories(${target} SYSTEM PUBLIC ${PROJECT_BINARY_DIR}/generated/cufft
    "$<$<COMPILE_LANGUAGE:CXX>:${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES}>")
  target_compile_options(${target} PRIVATE
    "$<$<COMPILE_LANGUAGE:CUDA>:-std=c++20;-O3>")
  if(EXITWAVE_WARNINGS_AS_ERRORS)
    target_compile_options(${target} PRIVATE
      "$<$<COMPILE_LANGUAGE:CUDA>:--Werror=all-warnings>")
  endif()
  exitwave_finish_cuda(${target})
endfunction()

# Languages are enabled for a whole folder, so this is no function.
set(EXITWAVE_CUDA_IS OFF)
set(why_no_cuda "EXITWAVE_CUDA is OFF")
if(EXITWAVE_CUDA STREQUAL "HOST")
  set(EXITWAVE_CUDA_IS HOST)
elseif(EXITWAVE_CUDA STREQUAL "AUTO" OR EXITWAVE_CUDA STREQUAL "ON")
  include(CheckLanguage)
  check_language(CUDA)
  set(why_no_cuda "nvcc is not found")
  if(CMAKE_CUDA_COMPILER)
    enable_language(CUDA)
    find_package(CUDALibraries QUIET)
    set(why_no_cuda "cuFFT's header is not found: it comes with a CUDA toolkit, or with the wheel \
nvidia-cufft where the build is not isolated")
    if(CUDALibraries_FOUND)
      set(EXITWAVE_CUDA_IS ON)
    endif()
  endif()
  if(EXITWAVE_CUDA STREQUAL "ON" AND NOT EXITWAVE_CUDA_IS STREQUAL "ON")
    message(FATAL_ERROR "EXITWAVE_CUDA is ON, but ${why_no_cuda}.")
  endif()
elseif(NOT EXITWAVE_CUDA STREQUAL "OFF")
  message(FATAL_ERROR "EXITWAVE_CUDA is ${EXITWAVE_CUDA}, but must be AUTO, ON, OFF or HOST.")
endif()

# Where cuFFT was when this was built: the last place to look for it.
set(EXITWAVE_CUFFT_LIBRARY "")
if(EXITWAVE_CUDA_IS STREQUAL "ON")
  message(STATUS "CUDA: for ${EXITWAVE_CUDA_ARCHITECTURES}, by ${CMAKE_CUDA_COMPILER}")
  exitwave_add_cuda_for_devices(exitwave_cuda)
  if(CUFFT_LIBRARY)
    set(EXITWAVE_CUFFT_LIBRARY ${CUFFT_LIBRARY})
  endif()
elseif(EXITWAVE_CUDA_IS STREQUAL "HOST")
  message(STATUS "CUDA: on the host stand-in, for tests")
  exitwave_add_cuda_on_host(exitwave_cuda)
  set(EXITWAVE_CUFFT_LIBRARY $<TARGET_FILE:cuda_on_host>)
else()
  message(STATUS "CUDA: none, ${why_no_cuda}")
  exitwave_add_cuda_stub(exitwave_cuda)
endif()
