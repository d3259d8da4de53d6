# pronghorn_library(name sources...): a static library with the project's warnings, sanitizers and include root.
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

function(pronghorn_library name)
  add_library(${name} STATIC ${ARGN})
  # libpronghorn is there when a program starts, so thread-locals need no call; nobody replaces its functions, so calls
  # among them need no table.
  target_compile_options(${name} PRIVATE -ftls-model=initial-exec -fno-semantic-interposition)
  target_link_libraries(${name} PRIVATE pronghorn_options)
  target_compile_features(${name} PUBLIC cxx_std_23)  # the inside; the public headers are C++20
endfunction()

# A folder's own headers, and nothing else of the tree: ${name}_headers has an include root that holds a link to this
# folder alone, so `#include "folder/file.h"` compiles only for targets that link it.
function(pronghorn_folder folder)
  string(REPLACE "/" "_" name "${folder}")
  set(root "${PROJECT_BINARY_DIR}/include-roots/${name}")
  get_filename_component(parent "${root}/${folder}" DIRECTORY)
  file(MAKE_DIRECTORY "${parent}")
  file(CREATE_LINK "${PROJECT_SOURCE_DIR}/${folder}" "${root}/${folder}" SYMBOLIC)
  add_library(pronghorn_${name}_headers INTERFACE)
  target_include_directories(pronghorn_${name}_headers INTERFACE "${root}")
endfunction()
