// Visibility of the symbols of libpronghorn.so. Symbols without PRONGHORN_API are hidden.
#pragma once

#define PRONGHORN_API __attribute__((visibility("default")))
