// The header of the PROXY protocol, versions 1 and 2, and the bytes after it.
#include <algorithm>

#include "common/config/networks.h"
#include "fuzz/fuzz_target.h"
#include "worker/net/accept/proxy_header.h"

namespace pronghorn::fuzz::proxy {

namespace {

using namespace std::string_literals;
using worker::ProxyHeader;
using State = ProxyHeader::State;

constexpr std::size_t kMaxLine = 107;

// A copy of exactly that size, so that the sanitizer sees a read past its end.
ProxyHeader parse(std::string_view bytes) { return worker::parse_proxy_header(std::string(bytes)); }

// Feeds the header byte by byte, and its TLVs in larger pieces.
ProxyHeader parse_as_it_comes(std::string_view input) {
  constexpr std::size_t kByteByByte = 300;
  ProxyHeader header = parse({});
  std::size_t size = 0;
  for (Pieces pieces(input); header.state == State::incomplete && size < input.size();) {
    size = size < kByteByByte ? size + 1 : std::min(size + 16 * pieces.next().size(), input.size());
    header = parse(input.substr(0, size));
  }
  return header;
}

void check_source(const ProxyHeader& header) {
  const std::string& address = header.source.address;
  if (header.local) {
    require(address.empty(), "a proxy's own connection has no client");
  } else if (address == "unknown" || address == "unix") {
    require(header.source.port == 0, "only an address has a port");
  } else {
    const auto ip = parse_ip_address(address);
    require(ip && to_string(*ip) == address, "an address is written in one way");
    const bool ipv6 = ip->bits == 128;
    const ProxyHeader line = parse("PROXY " + (ipv6 ? "TCP6 "s : "TCP4 "s) + address + (ipv6 ? " :: " : " 0.0.0.0 ") +
                                   std::to_string(header.source.port) + " 0\r\n");
    require(line.source.address == address && line.source.port == header.source.port, "a line can say the same");
  }
}

void check_complete(std::string_view input, const ProxyHeader& header) {
  const bool is_line = input.starts_with('P');
  require(header.size <= input.size(), "a header ends where it has arrived");
  require(header.size <= (is_line ? kMaxLine : worker::kMaxProxyHeader), "a header is no longer than allowed");
  require(parse(input.substr(0, header.size - 1)).state == State::incomplete, "a header needs its last byte");
  const std::string_view bytes = input.substr(0, header.size);
  require(!is_line || bytes.find("\r\n") == bytes.size() - 2, "a line ends at its first line end");
  require(!is_line || !header.local, "only a binary header is of the proxy's own connection");
  check_source(header);
}

}  // namespace

static void fuzz(std::string_view input) {
  const ProxyHeader whole = parse(input);
  const ProxyHeader pieces = parse_as_it_comes(input);
  require(whole.state == pieces.state && whole.size == pieces.size && whole.local == pieces.local &&
              whole.source.address == pieces.source.address && whole.source.port == pieces.source.port &&
              std::string_view(whole.reason) == pieces.reason,
          "a header is the same in one piece and in many");
  require((whole.state == State::malformed) == (*whole.reason != '\0'), "what is malformed has its reason");
  require(whole.state != State::incomplete || input.size() < worker::kMaxProxyHeader, "nobody is waited for forever");
  if (whole.state == State::complete) check_complete(input, whole);
}

static std::vector<std::string> seeds() {
  const auto binary = [](int command, int family, const std::string& block) {
    return "\r\n\r\n\0\r\nQUIT\n"s + static_cast<char>(command) + static_cast<char>(family) +
           static_cast<char>(block.size() >> 8) + static_cast<char>(block.size() & 255) + block;
  };
  const std::string ipv4 = "\xc0\x00\x02\x07\x0a\x00\x00\x01\xdb\xd8\x01\xbb"s;
  const std::string ipv6 =
      "\x20\x01\x0d\xb8"s + std::string(11, '\0') + "\x07" + std::string(16, '\x01') + ipv4.substr(8);
  const std::string mapped =
      std::string(10, '\0') + "\xff\xff\xc0\x00\x02\x07" + std::string(16, '\0') + ipv4.substr(8);
  const std::string tlvs = "\x04\x00\x03xyz\x03\x00\x04\x01\x02\x03\x04"s;
  const std::string request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  return {
      "PROXY TCP4 192.0.2.7 10.0.0.1 56280 443\r\n" + request,
      "PROXY TCP6 2001:DB8:0:0::7 ::1 65535 0\r\n" + request,
      "PROXY TCP6 ::ffff:192.0.2.7 ::ffff:10.0.0.1 1 2\r\n",
      "PROXY UNKNOWN\r\n" + request,
      "PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n",
      "PROXY UNKNOWN " + std::string(91, 'x') + "\r\n" + request,
      "PROXY UNKNOWN " + std::string(92, 'x') + "\r\n",
      "PROXY TCP4 192.0.2.7  10.0.0.1 1 2\r\n",
      "PROXY TCP4 192.0.2.07 10.0.0.1 1 2\r\n",
      "PROXY TCP4 192.0.2.7 10.0.0.1 01 2\r\n",
      "PROXY TCP4 192.0.2.7 10.0.0.1 65536 -1\r\n",
      "PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n",
      "PROXY TCP4 192.0.2.7 10.0.0.1 1 2\n",
      "PROXY \n",
      binary(0x21, 0x11, ipv4) + request,
      binary(0x21, 0x11, ipv4 + tlvs) + request,
      binary(0x21, 0x21, ipv6) + request,
      binary(0x21, 0x21, mapped),
      binary(0x21, 0x31, std::string(216, 'x')),
      binary(0x21, 0x00, tlvs) + request,
      binary(0x20, 0x00, "") + request,
      binary(0x20, 0xff, "?"),
      binary(0x21, 0x11, ipv4.substr(1)),
      binary(0x21, 0x12, ipv4),
      binary(0x22, 0x11, ipv4),
      binary(0x21, 0x11, ipv4 + std::string(4068, '\0')) + request,
      binary(0x21, 0x11, ipv4 + std::string(4069, '\0')),
      request,
      "",
  };
}

static const Registered kRegistered({"proxy", fuzz, seeds});

}  // namespace pronghorn::fuzz::proxy
