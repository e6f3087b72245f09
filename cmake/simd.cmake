# What -march= gets, and what follows from it: EXITWAVE_SIMD_FLAG, EXITWAVE_SIMD_LEVEL (for
# `exitwave info`) and a header that asks, at import, whether the processor has it all.

set(EXITWAVE_SIMD_FLAG "")
if(NOT EXITWAVE_SIMD STREQUAL "off")
  set(EXITWAVE_SIMD_FLAG "-march=${EXITWAVE_SIMD}")
endif()

# Not -ffast-math: NaN must stay visible. Without -fno-math-errno square roots do not vectorise.
# Products and sums of separate statements may be fused.
function(exitwave_numerics target)
  target_compile_options(${target} PRIVATE
    "$<$<COMPILE_LANGUAGE:CXX>:-fopenmp-simd;-fno-math-errno;-fno-trapping-math;-ffp-contract=fast>")
  if(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
    target_compile_options(${target} PRIVATE "$<$<COMPILE_LANGUAGE:CXX>:-O3>")
  endif()
endfunction()

function(exitwave_find_simd)
  execute_process(
    COMMAND ${CMAKE_CXX_COMPILER} ${EXITWAVE_SIMD_FLAG} -dM -E -x c++ /dev/null
    OUTPUT_VARIABLE macros ERROR_VARIABLE message RESULT_VARIABLE status)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "EXITWAVE_SIMD=${EXITWAVE_SIMD} is not known to the compiler:\n${message}")
  endif()

  set(level "baseline")
  foreach(entry SSE4_2=SSE4.2 AVX2=AVX2 AVX512F=AVX-512 ARM_NEON=NEON ARM_FEATURE_SVE=SVE)
    string(REPLACE "=" ";" entry ${entry})
    list(GET entry 0 macro)
    list(GET entry 1 name)
    if(macros MATCHES "#define __${macro}(__)? ")
      set(level ${name})
    endif()
  endforeach()
  set(EXITWAVE_SIMD_LEVEL ${level} PARENT_SCOPE)

  # Extensions that both gcc and clang can ask for, and that compiled loops may use.
  set(checks "")
  foreach(name sse4.2 popcnt avx avx2 fma bmi bmi2 avx512f avx512cd avx512bw avx512dq avx512vl
               avx512ifma avx512vbmi avx512vbmi2 avx512vnni avx512bitalg avx512vpopcntdq)
    string(TOUPPER ${name} macro)
    string(REPLACE "." "_" macro ${macro})
    if(macros MATCHES "#define __x86_64__ " AND macros MATCHES "#define __${macro}__ ")
      string(APPEND checks "  if (!__builtin_cpu_supports(\"${name}\")) return \"${name}\";\n")
    endif()
  endforeach()
  set(EXITWAVE_SIMD_CHECKS "${checks}")
  configure_file(${PROJECT_SOURCE_DIR}/cmake/missing_extension.hpp.in
    ${PROJECT_BINARY_DIR}/generated/missing_extension.hpp @ONLY)
endfunction()
exitwave_find_simd()
