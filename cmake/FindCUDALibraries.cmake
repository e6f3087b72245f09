# cuFFT's header and library: from the CUDA toolkit of the compiler, else from the nvidia-cufft
# wheel, wherever Python finds one. The core binds the library at run time; its path is kept as the
# last place to look.
#
# Result: CUDALibraries_FOUND, CUFFT_INCLUDE_DIR, CUFFT_LIBRARY.

include(FindPackageHandleStandardArgs)

set(places "")
if(CMAKE_CUDA_COMPILER)
  get_filename_component(compiler "${CMAKE_CUDA_COMPILER}" REALPATH)
  get_filename_component(toolkit "${compiler}" DIRECTORY)
  get_filename_component(toolkit "${toolkit}" DIRECTORY)
  list(APPEND places "${toolkit}")
  # What the compiler itself looks through, where nvcc is a script in front of another folder.
  foreach(folder ${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES})
    get_filename_component(folder "${folder}" DIRECTORY)
    list(APPEND places "${folder}")
  endforeach()
endif()

set(python "${Python_EXECUTABLE}")
if(NOT python)
  find_program(CUDALibraries_PYTHON NAMES python3 python)
  mark_as_advanced(CUDALibraries_PYTHON)
  set(python "${CUDALibraries_PYTHON}")
endif()
if(python)
  execute_process(
    COMMAND "${python}" -c
      "import importlib.util as u; s = u.find_spec('nvidia'); print(*(s.submodule_search_locations if s else []), sep=';')"
    OUTPUT_VARIABLE wheels OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  foreach(folder ${wheels})
    list(APPEND places "${folder}/cu13" "${folder}/cufft")
  endforeach()
endif()

find_path(CUFFT_INCLUDE_DIR cufft.h HINTS ${places} PATH_SUFFIXES include
  targets/x86_64-linux/include targets/sbsa-linux/include)
find_library(CUFFT_LIBRARY NAMES cufft libcufft.so.12 libcufft.so.11 HINTS ${places}
  PATH_SUFFIXES lib lib64 targets/x86_64-linux/lib targets/sbsa-linux/lib)

find_package_handle_standard_args(CUDALibraries
  REQUIRED_VARS CUFFT_INCLUDE_DIR
  REASON_FAILURE_MESSAGE "install a CUDA toolkit with cuFFT, or the nvidia-cufft wheel")
mark_as_advanced(CUFFT_INCLUDE_DIR CUFFT_LIBRARY)
