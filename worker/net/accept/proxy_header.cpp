#include "worker/net/accept/proxy_header.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <optional>

#include "common/config/networks.h"

namespace pronghorn::worker {
namespace {

using namespace std::string_view_literals;
using State = ProxyHeader::State;

constexpr std::string_view kTextStart = "PROXY ";
constexpr std::size_t kMaxText = 107;  // with its CRLF
constexpr std::string_view kBinaryStart = "\r\n\r\n\0\r\nQUIT\n"sv;
constexpr std::size_t kBinaryFixed = 16;

ProxyHeader malformed(const char* reason) { return {.state = State::malformed, .reason = reason, .source = {}}; }
ProxyHeader incomplete() { return {.state = State::incomplete, .source = {}}; }

bool may_become(std::string_view bytes, std::string_view start) noexcept {
  return bytes.substr(0, start.size()) == start.substr(0, bytes.size());
}

// --- Version 1 ------------------------------------------------------------------------------------------------------

// Removes the first field from `line`, with the blank that follows it, and returns it.
std::string_view take_field(std::string_view& line) noexcept {
  const std::size_t blank = line.find(' ');
  const std::string_view field = line.substr(0, blank);
  line = blank == std::string_view::npos ? std::string_view{} : line.substr(blank + 1);
  return field;
}

std::optional<std::string> read_address(std::string_view text, bool ipv6) {
  const bool has_colon = text.find(':') != std::string_view::npos;
  if (has_colon != ipv6 || text.find('%') != std::string_view::npos) return std::nullopt;
  const auto address = parse_ip_address(text);
  if (!address) return std::nullopt;
  return to_string(*address);
}

std::optional<std::uint16_t> read_port(std::string_view text) noexcept {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  if (text.size() > 1 && text.front() == '0') return std::nullopt;
  return port;
}

ProxyHeader parse_text(std::string_view bytes) {
  const std::size_t end = bytes.substr(0, kMaxText).find('\n');
  if (end == std::string_view::npos) {
    return bytes.size() < kMaxText ? incomplete() : malformed("a PROXY line of more than 107 bytes");
  }
  if (bytes[end - 1] != '\r') return malformed("a PROXY line that does not end with CRLF");
  std::string_view line = bytes.substr(kTextStart.size(), end - 1 - kTextStart.size());
  ProxyHeader header{.state = State::complete, .size = end + 1, .source = {}};
  const std::string_view protocol = take_field(line);
  if (protocol == "UNKNOWN") {  // the rest of the line must be ignored
    header.source.address = "unknown";
    return header;
  }
  if (protocol != "TCP4" && protocol != "TCP6") return malformed("a PROXY line of an unknown protocol");
  if (std::count(line.begin(), line.end(), ' ') != 3) return malformed("a PROXY line without its four fields");
  const bool ipv6 = protocol == "TCP6";
  auto source = read_address(take_field(line), ipv6);
  const auto destination = read_address(take_field(line), ipv6);
  if (!source || !destination) return malformed("a PROXY line with a malformed address");
  const auto source_port = read_port(take_field(line));
  const auto destination_port = read_port(line);
  if (!source_port || !destination_port) return malformed("a PROXY line with a malformed port");
  header.source = {std::move(*source), *source_port};
  return header;
}

// --- Version 2 ------------------------------------------------------------------------------------------------------

std::uint16_t read_u16(std::string_view bytes, std::size_t at) noexcept {
  return static_cast<std::uint16_t>(static_cast<unsigned char>(bytes[at]) << 8 |
                                    static_cast<unsigned char>(bytes[at + 1]));
}

// Source and destination address, then their ports.
Request::Client read_source(std::string_view block, unsigned bits) {
  IpAddress address;
  address.bits = bits;
  const std::size_t size = bits / 8;
  std::copy_n(block.begin(), size, address.bytes.begin());
  return {to_string(unmapped(address)), read_u16(block, 2 * size)};
}

ProxyHeader parse_binary(std::string_view bytes) {
  constexpr unsigned char kVersion2Local = 0x20;
  constexpr unsigned char kVersion2Proxy = 0x21;
  constexpr std::size_t kIpv4Block = 12;
  constexpr std::size_t kIpv6Block = 36;
  constexpr std::size_t kUnixBlock = 216;
  if (bytes.size() < kBinaryFixed) return incomplete();
  const auto command = static_cast<unsigned char>(bytes[12]);
  if (command != kVersion2Local && command != kVersion2Proxy) return malformed("an unknown PROXY version or command");
  const std::size_t length = read_u16(bytes, 14);
  if (length > kMaxProxyHeader - kBinaryFixed) return malformed("a PROXY header of more than 4096 bytes");
  if (bytes.size() < kBinaryFixed + length) return incomplete();
  const std::string_view block = bytes.substr(kBinaryFixed, length);
  ProxyHeader header{.state = State::complete, .size = kBinaryFixed + length, .source = {}};
  if (command == kVersion2Local) {  // the rest must be ignored
    header.local = true;
    return header;
  }
  switch (static_cast<unsigned char>(bytes[13])) {
    case 0x00:  // unspecified
      header.source.address = "unknown";
      return header;
    case 0x11:  // TCP over IPv4
      if (length < kIpv4Block) break;
      header.source = read_source(block, 32);
      return header;
    case 0x21:  // TCP over IPv6
      if (length < kIpv6Block) break;
      header.source = read_source(block, 128);
      return header;
    case 0x31:  // a Unix stream
      if (length < kUnixBlock) break;
      header.source.address = "unix";
      return header;
    default:
      return malformed("a PROXY header of an unknown family");
  }
  return malformed("a PROXY header that is too short for its addresses");
}

}  // namespace

ProxyHeader parse_proxy_header(std::string_view bytes) {
  if (may_become(bytes, kBinaryStart)) return parse_binary(bytes);
  if (may_become(bytes, kTextStart)) return parse_text(bytes);
  return malformed("no PROXY header");
}

}  // namespace pronghorn::worker
