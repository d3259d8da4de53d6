// A ClientHello of any content, and what a server says to it: for versions and ciphers that OpenSSL itself does not
// speak any more.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace pronghorn::test {

// What a client offers. Codes are those of the IANA registry.
struct ClientHello {
  int version = 0x0303;  // TLS 1.2; 0x0300 is SSL 3
  std::vector<int> ciphers{};
  std::vector<int> groups{29, 23, 24};                                  // X25519, P-256, P-384
  std::vector<int> signatures{0x0403, 0x0503, 0x0804, 0x0805, 0x0401};  // ECDSA and RSA with SHA-256 and SHA-384
  std::vector<int> versions{};                                          // "supported_versions"; empty: none
  std::string compressions = std::string(1, '\0');                      // none
  bool heartbeat = false;

  // As one record.
  [[nodiscard]] std::string bytes() const;
};

// The first message of the answer.
struct ServerAnswer {
  int alert = -1;    // its description; -1: there was none
  int version = -1;  // of a ServerHello; -1: there was none
  int cipher = -1;
  int compression = -1;
  std::set<int> extensions{};

  [[nodiscard]] static ServerAnswer parse(std::string_view bytes);
  [[nodiscard]] bool accepted() const noexcept { return version >= 0; }
};

// --- Implementation -------------------------------------------------------------------------------------------------

namespace hello_detail {

inline std::string number(std::size_t value, int bytes) {
  std::string text;
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) text += static_cast<char>((value >> shift) & 0xff);
  return text;
}
// After its length.
inline std::string sized(const std::string& content, int bytes) { return number(content.size(), bytes) + content; }
inline std::string codes(const std::vector<int>& list) {
  std::string text;
  for (const int code : list) text += number(static_cast<std::size_t>(code), 2);
  return text;
}
inline std::string extension(int code, const std::string& content) {
  return number(static_cast<std::size_t>(code), 2) + sized(content, 2);
}
inline std::string key_share() { return number(29, 2) + sized("\x09" + std::string(31, '\0'), 2); }  // X25519

}  // namespace hello_detail

inline std::string ClientHello::bytes() const {
  using namespace hello_detail;
  std::string extensions = extension(10, sized(codes(groups), 2)) + extension(11, sized(std::string(1, '\0'), 1)) +
                           extension(13, sized(codes(signatures), 2));
  if (heartbeat) extensions += extension(15, "\x01");
  if (!versions.empty()) {
    extensions += extension(43, sized(codes(versions), 1)) + extension(51, sized(key_share(), 2));
  }
  const std::string hello = number(static_cast<std::size_t>(version), 2) + std::string(32, 'r') + sized("", 1) +
                            sized(codes(ciphers), 2) + sized(compressions, 1) + sized(extensions, 2);
  return std::string("\x16\x03\x01", 3) + sized("\x01" + sized(hello, 3), 2);
}

inline ServerAnswer ServerAnswer::parse(std::string_view bytes) {
  constexpr std::size_t kRecordHead = 5;
  constexpr std::size_t kMessageHead = 4;
  constexpr std::size_t kRandom = 32;
  std::size_t at = 0;
  const auto number = [&](int size) {
    int value = 0;
    for (; size > 0; --size, ++at)
      value = (value << 8) + (at < bytes.size() ? static_cast<unsigned char>(bytes[at]) : 0);
    return value;
  };
  ServerAnswer answer;
  const int type = number(1);
  at = kRecordHead;
  if (type == 0x15) {
    at += 1;
    answer.alert = number(1);
  }
  if (type != 0x16 || number(1) != 2) return answer;
  at = kRecordHead + kMessageHead;
  answer.version = number(2);
  at += kRandom;
  at += static_cast<std::size_t>(number(1));  // the session's id
  answer.cipher = number(2);
  answer.compression = number(1);
  const auto length = static_cast<std::size_t>(number(2));
  const std::size_t end = std::min(bytes.size(), at + length);
  while (at + 4 <= end) {
    const int code = number(2);
    const auto size = static_cast<std::size_t>(number(2));
    answer.extensions.insert(code);
    if (code == 43) {
      answer.version = number(2);
    } else {
      at += size;
    }
  }
  return answer;
}

}  // namespace pronghorn::test
