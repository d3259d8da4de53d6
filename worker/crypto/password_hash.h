// Hashes of passwords with scrypt (RFC 7914), as PHC strings: "$scrypt$ln=15,r=8,p=3$SALT$HASH", base 64 without
// padding.
//
// Context: any thread. Hashing takes about 100 ms.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace pronghorn::worker {

struct ScryptCost {
  // What OWASP recommends for 32 MiB: less memory per hash than the usual 128 MiB, so that a few logins at a time do
  // not double what a worker needs.
  std::uint32_t log2_n = 15;
  std::uint32_t r = 8;
  std::uint32_t p = 3;
  [[nodiscard]] bool operator==(const ScryptCost&) const = default;
};

struct PasswordHash {
  ScryptCost cost;
  std::string salt;
  std::string hash;
};

// nullopt unless `text` is a PHC string of scrypt with bounded parameters: whoever can write a hash into the database
// must not be able to take a worker's memory or time with it.
[[nodiscard]] std::optional<PasswordHash> parse_password_hash(std::string_view text);

// Throws std::runtime_error if there is no memory for the work.
[[nodiscard]] std::string scrypt(std::string_view password, std::string_view salt, const ScryptCost& cost,
                                 std::size_t size);

[[nodiscard]] std::string make_password_hash(std::string_view password, const ScryptCost& cost = {});

}  // namespace pronghorn::worker
