# pronghorn_harden(target): the compiler's and linker's usual defences, for programs, libraries and plugins alike.
# With sanitizers their own checks replace those of _FORTIFY_SOURCE.
function(pronghorn_harden target)
  set(fortify 2)
  if((CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_GREATER_EQUAL 12)
     OR (CMAKE_CXX_COMPILER_ID MATCHES "Clang" AND CMAKE_CXX_COMPILER_VERSION VERSION_GREATER_EQUAL 12))
    set(fortify 3)
  endif()
  target_compile_options(${target} PRIVATE -fstack-protector-strong)
  if(NOT PRONGHORN_SANITIZE AND NOT PRONGHORN_SANITIZE_THREADS AND NOT PRONGHORN_FUZZ)
    # glibc checks only what is optimised, and warns otherwise. A distribution's own flags may already define the macro.
    target_compile_options(
      ${target} PRIVATE "$<$<NOT:$<CONFIG:Debug,>>:SHELL:-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=${fortify}>")
  endif()
  target_link_options(${target} PRIVATE "LINKER:-z,relro,-z,now,-z,noexecstack")
endfunction()
