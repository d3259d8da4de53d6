#pragma once

namespace pronghorn {

inline constexpr const char* kServerName = "pronghorn";
inline constexpr const char* kVersion = PRONGHORN_VERSION;  // from the project() line of CMakeLists.txt

}  // namespace pronghorn
