#include <pronghorn/pronghorn.h>

#include <stdexcept>

PRONGHORN_APP(app) {
  if (!app.settings().get("prices")) throw std::runtime_error("the price list is missing");
}
