# Compiler options of this project's own targets.
add_library(pronghorn_options INTERFACE)
target_compile_options(pronghorn_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wpedantic -Wshadow
                                                   -Wconversion>)
# In instrumented code GCC's flow analysis gives false warnings.
if(PRONGHORN_WERROR AND NOT PRONGHORN_SANITIZE AND NOT PRONGHORN_SANITIZE_THREADS)
  target_compile_options(pronghorn_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Werror>)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # GCC 12 reports overlapping copies in `"a" + std::string(b)` where there are none (GCC bug 105651).
  target_compile_options(pronghorn_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wno-restrict>)
endif()
target_compile_definitions(pronghorn_options INTERFACE PRONGHORN_VERSION="${PROJECT_VERSION}")
if(PRONGHORN_SANITIZE OR PRONGHORN_FUZZ)
  # For every target, C sources included: a plugin and its host must agree.
  # Without vptr: that check opens a pipe to probe memory, and fails in a process that has no free descriptor.
  add_compile_definitions(PRONGHORN_ADDRESS_SANITIZER)
  add_compile_options(-fsanitize=address,undefined -fno-sanitize=vptr -fno-sanitize-recover=undefined
                      -fno-omit-frame-pointer $<$<CXX_COMPILER_ID:Clang>:-w>)  # GCC reports the warnings
  add_link_options(-fsanitize=address,undefined)
endif()

if(PRONGHORN_SANITIZE_THREADS)
  add_compile_options(-fsanitize=thread)
  add_link_options(-fsanitize=thread)
endif()

if(PRONGHORN_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "PRONGHORN_FUZZ needs clang, which brings libFuzzer: use the preset \"fuzz\"")
  endif()
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  set(CMAKE_C_COMPILER_LAUNCHER "${CCACHE_PROGRAM}")
  # By default ccache does not cache sources that use a precompiled header.
  set(CMAKE_CXX_COMPILER_LAUNCHER "${CMAKE_COMMAND};-E;env;CCACHE_SLOPPINESS=pch_defines,time_macros;${CCACHE_PROGRAM}")
endif()

# pronghorn_library(folder SOURCES files… PUBLIC targets… PRIVATE targets…): a static library of one folder, named after
# it (worker/http1 is pronghorn_worker_http1). SOURCES lists every file of the folder, headers included: headers are
# symlinked into an include root of their own, so `#include "folder/file.h"` compiles only in targets that link this
# one.
# REQUEST_PATH: the folder's code runs for every request. APART: sources that cannot share a translation unit with the
# others of the folder: the same local names, headers that exclude each other, or more libraries than a test links.
function(pronghorn_library folder)
  cmake_parse_arguments(PARSE_ARGV 1 part "REQUEST_PATH" "" "SOURCES;APART;PUBLIC;PRIVATE")
  string(REPLACE "/" "_" name "pronghorn_${folder}")
  set(root "${PROJECT_BINARY_DIR}/include-roots/${name}")
  file(REMOVE_RECURSE "${root}")
  file(MAKE_DIRECTORY "${root}/${folder}")
  add_library(${name}_headers INTERFACE)
  target_include_directories(${name}_headers INTERFACE "${root}")
  set(headers "${part_SOURCES}")
  list(FILTER headers INCLUDE REGEX "\\.h$")
  foreach(header IN LISTS headers)
    file(CREATE_LINK "${CMAKE_CURRENT_SOURCE_DIR}/${header}" "${root}/${folder}/${header}" SYMBOLIC)
  endforeach()

  add_library(${name} STATIC ${part_SOURCES})
  set_target_properties(${name} PROPERTIES LINKER_LANGUAGE CXX)
  if(PRONGHORN_UNITY)
    set_target_properties(${name} PROPERTIES UNITY_BUILD ON)
    target_compile_options(${name} PRIVATE -Wno-subobject-linkage)  # takes a source that is included for a header
    set_source_files_properties(${part_APART} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
  endif()
  # libpronghorn is loaded at program start, so thread-local variables need no call (initial-exec). Its functions are
  # not interposed, so calls between them skip the PLT.
  target_compile_options(${name} PRIVATE -ftls-model=initial-exec -fno-semantic-interposition)
  target_link_libraries(${name} PUBLIC ${name}_headers ${part_PUBLIC} PRIVATE pronghorn_options ${part_PRIVATE})
  pronghorn_harden(${name})
  if(folder MATCHES "^(supervisor|server)")
    # No request passes here, and compiling takes a third less time. GCC 12 then gives false warnings about
    # std::optional.
    target_compile_options(${name} PRIVATE "$<$<CONFIG:Release>:-O1;-Wno-maybe-uninitialized>")
  endif()
  if(part_REQUEST_PATH)
    # Guards only functions with a character buffer that is larger than the one within std::string. The strong variant
    # guards most functions in C++, for 200 instructions more per small request (of 2,860).
    target_compile_options(${name} PRIVATE -fstack-protector --param=ssp-buffer-size=17)
    # GCC bounds how much a large source grows by inlining. Joined folders would reach that bound.
    target_compile_options(${name} PRIVATE $<$<CXX_COMPILER_ID:GNU>:--param=large-unit-insns=100000>)
  endif()
  target_compile_features(${name} PUBLIC cxx_std_23)  # inside; the public headers are C++20
  set_property(GLOBAL APPEND PROPERTY PRONGHORN_PARTS ${name})
endfunction()
