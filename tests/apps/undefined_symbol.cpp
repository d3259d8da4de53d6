// Lacks a function that its author forgot to link.
#include <pronghorn/pronghorn.h>

int function_that_nobody_defines();

PRONGHORN_APP(app) {
  app.get("/", [](pronghorn::Request&) { return pronghorn::text(std::to_string(function_that_nobody_defines())); });
}
