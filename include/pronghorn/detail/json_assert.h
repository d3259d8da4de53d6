// Makes nlohmann-json's assertions throw std::out_of_range instead of aborting (debug builds) or causing undefined
// behaviour (NDEBUG): `body["item"]` of a const value without that member must not end a worker.
//
// nlohmann-json uses the macro as defined when it is first included, and its functions are inline, so every translation
// unit of a program has to agree on it. The CMake target pronghorn::pronghorn and the pkg-config file therefore include
// this file ahead of everything else (-include), whatever a source includes first. A JSON_ASSERT of your own wins.
//
// GCC ignores a precompiled header behind an -include. A CMake target with one includes this file first there, and sets
// its property PRONGHORN_JSON_ASSERT_PRECOMPILED.
#pragma once

#define PRONGHORN_JSON_ASSERT_PREFIX "nlohmann-json assertion: "

#if defined(__cplusplus) && !defined(JSON_ASSERT)
// Thrown in a lambda because some of the functions that assert are noexcept, which GCC would warn about.
#define JSON_ASSERT(condition) \
  ((condition) ? void() : []() { throw ::std::out_of_range(PRONGHORN_JSON_ASSERT_PREFIX #condition); }())
#endif

#include "pronghorn/detail/json_numbers.h"  // as -include, it has to be ahead too
