// Visibility of the symbols of libpronghorn.so. What carries no mark is hidden.
#pragma once

#define PRONGHORN_API __attribute__((visibility("default")))
