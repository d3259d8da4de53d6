// Visibility of the library's public symbols. Everything else in libpronghorn.so is hidden.
#pragma once

#define PRONGHORN_API __attribute__((visibility("default")))
