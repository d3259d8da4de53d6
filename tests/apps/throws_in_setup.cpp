#include <pronghorn/pronghorn.h>

#include <stdexcept>

PRONGHORN_APP(app) { throw std::runtime_error("the price list is missing"); }
