// Visibility of the symbols of libpronghorn.so. What carries no mark is hidden.
#pragma once

#define PRONGHORN_API __attribute__((visibility("default")))
#define PRONGHORN_LOCAL __attribute__((visibility("hidden")))  // for a private class nested in a public one
