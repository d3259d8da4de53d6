// A program with its own main() that was compiled for another version of Pronghorn: run() must refuse it.
#include <pronghorn/pronghorn.h>

#include <cstdlib>

static void setup(pronghorn::App&) { std::abort(); }

int main(int argc, char** argv) {
  const pronghorn::PluginDescriptor application{pronghorn::kApiVersion + 41, sizeof(pronghorn::PluginDescriptor),
                                                PRONGHORN_ABI, setup};
  return pronghorn::detail::run(argc, argv, &application);
}
