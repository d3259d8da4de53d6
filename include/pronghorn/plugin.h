// Tells the server which API version an application was compiled for, and where its setup function is.
#pragma once

#include <cstdint>

#include "pronghorn/app.h"
#include "pronghorn/detail/export.h"

namespace pronghorn {

// Incremented when a change in include/pronghorn requires applications to be recompiled.
inline constexpr std::uint32_t kApiVersion = 1;

#define PRONGHORN_STRINGIFY_(x) #x
#define PRONGHORN_STRINGIFY(x) PRONGHORN_STRINGIFY_(x)

// ABI facts that must be equal in application and server: the compiler's C++ ABI, the string layout of libstdc++, the
// size of a pointer. Compared as text.
#define PRONGHORN_ABI                                                                                \
  "c++abi " PRONGHORN_STRINGIFY(__GXX_ABI_VERSION) ", libstdc++ string layout " PRONGHORN_STRINGIFY( \
      _GLIBCXX_USE_CXX11_ABI) ", pointer " PRONGHORN_STRINGIFY(__SIZEOF_POINTER__)

// Passed by run() and exported by PRONGHORN_APP. Append only: the host reads no further than `size`.
struct PluginDescriptor {
  std::uint32_t api_version;
  std::uint32_t size;
  const char* abi;
  void (*setup)(App& app);  // called once per worker, before it accepts; if it throws, the worker exits with status 3
};

// Name of the function that a plugin exports. It takes no argument and returns a const PluginDescriptor*.
inline constexpr const char* kPluginSymbol = "pronghorn_plugin";

}  // namespace pronghorn

// Defines the setup function of a plugin and exports its descriptor: PRONGHORN_APP(app) { app.get("/", …); }
#define PRONGHORN_APP(app)                                                                                   \
  static void pronghorn_setup(::pronghorn::App& app);                                                        \
  extern "C" __attribute__((visibility("default"))) const ::pronghorn::PluginDescriptor* pronghorn_plugin(); \
  extern "C" const ::pronghorn::PluginDescriptor* pronghorn_plugin() {                                       \
    static constexpr ::pronghorn::PluginDescriptor descriptor{                                               \
        ::pronghorn::kApiVersion, sizeof(::pronghorn::PluginDescriptor), PRONGHORN_ABI, pronghorn_setup};    \
    return &descriptor;                                                                                      \
  }                                                                                                          \
  static void pronghorn_setup([[maybe_unused]] ::pronghorn::App& app)
