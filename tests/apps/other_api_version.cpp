// A plugin of another Pronghorn: the loader must refuse it before it calls anything in it.
#include <pronghorn/pronghorn.h>

#include <cstdlib>

static void setup(pronghorn::App&) { std::abort(); }

extern "C" __attribute__((visibility("default"))) const pronghorn::PluginDescriptor* pronghorn_plugin();
extern "C" const pronghorn::PluginDescriptor* pronghorn_plugin() {
  static constexpr pronghorn::PluginDescriptor descriptor{pronghorn::kApiVersion + 41,
                                                          sizeof(pronghorn::PluginDescriptor), PRONGHORN_ABI, setup};
  return &descriptor;
}
