# Not -ffast-math: NaN must stay visible. Without -fno-math-errno square roots do not vectorise.
# Products and sums of separate statements may be fused.
function(exitwave_numerics target)
  target_compile_options(${target} PRIVATE
    -fopenmp-simd -fno-math-errno -fno-trapping-math -ffp-contract=fast)
  if(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
    target_compile_options(${target} PRIVATE -O3)
  endif()
  if(NOT EXITWAVE_SIMD STREQUAL "off")
    target_compile_options(${target} PRIVATE -march=${EXITWAVE_SIMD})
  endif()
endfunction()

# Name of the widest vector extension that the flags switch on, for `exitwave info`.
function(exitwave_find_simd_level)
  set(flag "")
  if(NOT EXITWAVE_SIMD STREQUAL "off")
    set(flag "-march=${EXITWAVE_SIMD}")
  endif()
  execute_process(
    COMMAND ${CMAKE_CXX_COMPILER} ${flag} -dM -E -x c++ /dev/null
    OUTPUT_VARIABLE macros ERROR_QUIET)
  set(level "baseline")
  foreach(entry "__SSE4_2__=SSE4.2" "__AVX2__=AVX2" "__AVX512F__=AVX-512" "__ARM_NEON=NEON" "__ARM_FEATURE_SVE=SVE")
    string(REPLACE "=" ";" entry "${entry}")
    list(GET entry 0 macro)
    list(GET entry 1 name)
    if(macros MATCHES "#define ${macro} ")
      set(level ${name})
    endif()
  endforeach()
  set(EXITWAVE_SIMD_LEVEL ${level} PARENT_SCOPE)
endfunction()
exitwave_find_simd_level()
