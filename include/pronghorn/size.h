// Sizes in bytes with binary units: max_body(4_KiB).
#pragma once

#include <cstdint>

namespace pronghorn {

constexpr std::uint64_t operator""_KiB(unsigned long long count) { return count << 10; }
constexpr std::uint64_t operator""_MiB(unsigned long long count) { return count << 20; }
constexpr std::uint64_t operator""_GiB(unsigned long long count) { return count << 30; }

}  // namespace pronghorn
