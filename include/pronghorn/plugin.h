// The one symbol that an application exports when it is built as a plugin.
#pragma once

#include <cstdint>

#include "pronghorn/app.h"
#include "pronghorn/detail/export.h"

namespace pronghorn {

// Raised when anything in include/pronghorn changes so that plugins must be compiled again.
inline constexpr std::uint32_t kApiVersion = 1;

#define PRONGHORN_STRINGIFY_(x) #x
#define PRONGHORN_STRINGIFY(x) PRONGHORN_STRINGIFY_(x)

// The facts that must be equal on both sides, compared as text: C++ ABI of the compiler, standard library and its
// string layout.
#define PRONGHORN_ABI                                                                                \
  "c++abi " PRONGHORN_STRINGIFY(__GXX_ABI_VERSION) ", libstdc++ string layout " PRONGHORN_STRINGIFY( \
      _GLIBCXX_USE_CXX11_ABI) ", pointer " PRONGHORN_STRINGIFY(__SIZEOF_POINTER__)

// Exported by PRONGHORN_APP. Append only: the host reads no further than `size`.
struct PluginDescriptor {
  std::uint32_t api_version;
  std::uint32_t size;
  const char* abi;
  void (*setup)(App& app);  // runs in the worker, once, before it accepts; may throw: the worker exits 3
};

// The name of the exported function, which takes nothing and returns a pointer to a PluginDescriptor.
inline constexpr const char* kPluginSymbol = "pronghorn_plugin";

}  // namespace pronghorn

// PRONGHORN_APP(app) { app.get("/", …); }   defines the setup function and exports the descriptor.
#define PRONGHORN_APP(app)                                                                                   \
  static void pronghorn_setup(::pronghorn::App& app);                                                        \
  extern "C" __attribute__((visibility("default"))) const ::pronghorn::PluginDescriptor* pronghorn_plugin(); \
  extern "C" const ::pronghorn::PluginDescriptor* pronghorn_plugin() {                                       \
    static constexpr ::pronghorn::PluginDescriptor descriptor{                                               \
        ::pronghorn::kApiVersion, sizeof(::pronghorn::PluginDescriptor), PRONGHORN_ABI, pronghorn_setup};    \
    return &descriptor;                                                                                      \
  }                                                                                                          \
  static void pronghorn_setup([[maybe_unused]] ::pronghorn::App& app)
