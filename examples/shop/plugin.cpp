// The shop as a plugin. Its test links the other files and runs setup() itself.
#include "shop.h"

PRONGHORN_APP(app) { shop::setup(app); }
