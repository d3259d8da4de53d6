# What every target of ours is compiled with.
add_library(pronghorn_options INTERFACE)
target_compile_options(pronghorn_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wpedantic -Wshadow
                                                   -Wconversion>)
if(NOT PRONGHORN_SANITIZE)  # with the sanitizers' code in between GCC's optimiser sees uses that are not there
  target_compile_options(pronghorn_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Werror>)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # GCC 12 sees overlaps in `"a" + std::string(b)` that are not there (GCC bug 105651).
  target_compile_options(pronghorn_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wno-restrict>)
endif()
target_compile_definitions(pronghorn_options INTERFACE PRONGHORN_VERSION="${PROJECT_VERSION}")
if(PRONGHORN_SANITIZE)
  # In every target of the build, the C ones too: a plugin and its host must agree.
  # Not vptr: its check opens a pipe to probe memory, and fails in a process that has run out of descriptors.
  add_compile_options(-fsanitize=address,undefined -fno-sanitize=vptr -fno-sanitize-recover=undefined
                      -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
endif()

if(PRONGHORN_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "PRONGHORN_FUZZ needs clang: libFuzzer is a part of it. ./scripts/fuzz configures it so")
  endif()
  add_compile_options(-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined
                      -fno-omit-frame-pointer -w)  # for warnings there is GCC
  add_link_options(-fsanitize=address,undefined)
endif()

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  set(CMAKE_C_COMPILER_LAUNCHER "${CCACHE_PROGRAM}")
  # Without this leniency it caches nothing that uses a precompiled header.
  set(CMAKE_CXX_COMPILER_LAUNCHER "${CMAKE_COMMAND};-E;env;CCACHE_SLOPPINESS=pch_defines,time_macros;${CCACHE_PROGRAM}")
endif()

# pronghorn_library(folder SOURCES files… PUBLIC targets… PRIVATE targets…): the static library of one folder, named after
# it (worker/http1: pronghorn_worker_http1). Every file of the folder is listed, headers too: they are linked into an
# include root of the folder's own, so `#include "folder/file.h"` compiles only for targets that link this one.
function(pronghorn_library folder)
  cmake_parse_arguments(PARSE_ARGV 1 part "" "" "SOURCES;PUBLIC;PRIVATE")
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
  # libpronghorn is there when a program starts, so thread-locals need no call; nobody replaces its functions, so calls
  # among them need no table.
  target_compile_options(${name} PRIVATE -ftls-model=initial-exec -fno-semantic-interposition)
  target_link_libraries(${name} PUBLIC ${name}_headers ${part_PUBLIC} PRIVATE pronghorn_options ${part_PRIVATE})
  target_compile_features(${name} PUBLIC cxx_std_23)  # the inside; the public headers are C++20
  set_property(GLOBAL APPEND PROPERTY PRONGHORN_PARTS ${name})
endfunction()
