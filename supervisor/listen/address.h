// Listening addresses: parsing and printing.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace pronghorn::supervisor {

struct Address {
  // "127.0.0.1:8080", "[::1]:8080", ":8080", "https://127.0.0.1:8443", "unix:PATH"; with the real port once bound
  std::string text;
  bool is_unix = false;
  bool is_https = false;   // clients speak TLS
  std::string host;        // an address or a name, without brackets; empty: every address of the machine
  std::uint16_t port = 0;  // 0: the kernel picks one
  std::string path;        // of a Unix socket

  // For people: "http://127.0.0.1:8080", "https://0.0.0.0:8443" for every address, "unix:PATH".
  [[nodiscard]] std::string url() const;
};

// The error is one line without the option's name: "port 70000 is above 65535".
[[nodiscard]] std::expected<Address, std::string> parse_address(std::string_view text);

}  // namespace pronghorn::supervisor
