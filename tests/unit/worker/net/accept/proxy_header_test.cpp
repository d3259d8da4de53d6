#include "worker/net/accept/proxy_header.h"

#include <string>

#include "support/catch.h"

using namespace pronghorn::worker;
using namespace std::string_literals;
using State = ProxyHeader::State;

namespace {

const std::string kSignature = "\r\n\r\n\0\r\nQUIT\n"s;

// A header of version 2. `length`: what it says of its block; the block's size when it is negative.
std::string binary(int command, int family, const std::string& block, int length = -1) {
  const std::size_t said = length < 0 ? block.size() : static_cast<std::size_t>(length);
  return kSignature + static_cast<char>(command) + static_cast<char>(family) + static_cast<char>(said >> 8) +
         static_cast<char>(said & 255) + block;
}

const std::string kIpv4Block = "\xc0\x00\x02\x07\x0a\x00\x00\x01\xdb\xd8\x01\xbb"s;
const std::string kIpv6Block =
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07"s + std::string(16, '\x01') + "\xdb\xd8\x01\xbb"s;

State state_of(const std::string& bytes) { return parse_proxy_header(bytes).state; }

// The header is taken whole, and at no earlier byte; what follows is left.
ProxyHeader complete(const std::string& bytes) {
  CAPTURE(bytes);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CAPTURE(size);
    CHECK(state_of(bytes.substr(0, size)) == State::incomplete);
  }
  const ProxyHeader header = parse_proxy_header(bytes + "GET / HTTP/1.1\r\n");
  CHECK(header.state == State::complete);
  CHECK(header.size == bytes.size());
  return header;
}

}  // namespace

TEST_CASE("a PROXY line names the client", "[http][proxy]") {
  const ProxyHeader ipv4 = complete("PROXY TCP4 192.0.2.7 10.0.0.1 56280 443\r\n");
  CHECK(ipv4.source.address == "192.0.2.7");
  CHECK(ipv4.source.port == 56280);
  CHECK_FALSE(ipv4.local);
  const ProxyHeader ipv6 = complete("PROXY TCP6 2001:DB8:0:0::7 ::1 65535 0\r\n");
  CHECK(ipv6.source.address == "2001:db8::7");
  CHECK(ipv6.source.port == 65535);
  CHECK(complete("PROXY TCP6 ::ffff:192.0.2.7 ::ffff:10.0.0.1 1 2\r\n").source.address == "192.0.2.7");
}

TEST_CASE("a PROXY line of an unknown protocol names nobody, whatever else it says", "[http][proxy]") {
  CHECK(complete("PROXY UNKNOWN\r\n").source.address == "unknown");
  CHECK(complete("PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n").source.address == "unknown");
  CHECK(complete("PROXY UNKNOWN " + std::string(91, 'x') + "\r\n").source.address == "unknown");
}

TEST_CASE("a PROXY line is written in one way", "[http][proxy]") {
  for (const std::string line : {"TCP4 192.0.2.7 10.0.0.1 56280",
                                 "TCP4 192.0.2.7 10.0.0.1 56280 443 1",
                                 "TCP4  192.0.2.7 10.0.0.1 56280 443",
                                 "TCP4 192.0.2.7 10.0.0.1 56280 443 ",
                                 "TCP4\t192.0.2.7 10.0.0.1 56280 443",
                                 "tcp4 192.0.2.7 10.0.0.1 1 2",
                                 "TCP5 192.0.2.7 10.0.0.1 1 2",
                                 "UDP4 192.0.2.7 10.0.0.1 1 2",
                                 "TCP4 192.0.2.07 10.0.0.1 1 2",
                                 "TCP4 192.0.2 10.0.0.1 1 2",
                                 "TCP4 192.0.2.7 10.0.0.256 1 2",
                                 "TCP4 ::ffff:192.0.2.7 10.0.0.1 1 2",
                                 "TCP4 2001:db8::1 2001:db8::2 1 2",
                                 "TCP6 192.0.2.7 10.0.0.1 1 2",
                                 "TCP6 fe80::1%eth0 ::1 1 2",
                                 "TCP6 [::1] [::1] 1 2",
                                 "TCP4 192.0.2.7 10.0.0.1 01 2",
                                 "TCP4 192.0.2.7 10.0.0.1 1 00",
                                 "TCP4 192.0.2.7 10.0.0.1 65536 2",
                                 "TCP4 192.0.2.7 10.0.0.1 -1 2",
                                 "TCP4 192.0.2.7 10.0.0.1 +1 2",
                                 "TCP4 192.0.2.7 10.0.0.1 1 x",
                                 "TCP4 192.0.2.7 10.0.0.1 1 ",
                                 "TCP4",
                                 "",
                                 "UNKNOWNX",
                                 " UNKNOWN"}) {
    CAPTURE(line);
    CHECK(state_of("PROXY " + line + "\r\n") == State::malformed);
  }
  CHECK(state_of("PROXY TCP4 1.2.3.4\0x 10.0.0.1 1 2\r\n"s) == State::malformed);
  CHECK(state_of("PROXY TCP4 192.0.2.7 10.0.0.1 1 2\n") == State::malformed);
  CHECK(state_of("PROXY UNKNOWN\n") == State::malformed);
  CHECK(state_of("PROXY \n") == State::malformed);
}

TEST_CASE("a PROXY line has at most 107 bytes", "[http][proxy]") {
  CHECK(state_of("PROXY UNKNOWN " + std::string(92, 'x')) == State::incomplete);
  CHECK(state_of("PROXY UNKNOWN " + std::string(93, 'x')) == State::malformed);
  CHECK(state_of("PROXY UNKNOWN " + std::string(92, 'x') + "\r\n") == State::malformed);
}

TEST_CASE("a binary PROXY header names the client", "[http][proxy]") {
  const ProxyHeader ipv4 = complete(binary(0x21, 0x11, kIpv4Block));
  CHECK(ipv4.source.address == "192.0.2.7");
  CHECK(ipv4.source.port == 56280);
  CHECK_FALSE(ipv4.local);
  const ProxyHeader ipv6 = complete(binary(0x21, 0x21, kIpv6Block));
  CHECK(ipv6.source.address == "2001:db8::7");
  CHECK(ipv6.source.port == 56280);
  CHECK(complete(binary(0x21, 0x31, std::string(216, 'x'))).source.address == "unix");
  CHECK(complete(binary(0x21, 0x00, "")).source.address == "unknown");
}

TEST_CASE("what follows the addresses of a binary PROXY header is skipped", "[http][proxy]") {
  const std::string tlvs = "\x04\x00\x03xyz\x03\x00\x04\x01\x02\x03\x04"s;
  CHECK(complete(binary(0x21, 0x11, kIpv4Block + tlvs)).source.address == "192.0.2.7");
  CHECK(complete(binary(0x21, 0x00, tlvs)).source.address == "unknown");
}

TEST_CASE("a LOCAL connection is the proxy's own, whatever family it names", "[http][proxy]") {
  CHECK(complete(binary(0x20, 0x00, "")).local);
  CHECK(complete(binary(0x20, 0x11, kIpv4Block)).local);
  CHECK(complete(binary(0x20, 0xff, "?")).local);
}

TEST_CASE("a binary PROXY header with impossible values is refused", "[http][proxy]") {
  for (const int command : {0x00, 0x01, 0x10, 0x11, 0x22, 0x2f, 0x31}) {
    CAPTURE(command);
    CHECK(state_of(binary(command, 0x11, kIpv4Block)) == State::malformed);
  }
  for (const int family : {0x01, 0x10, 0x12, 0x13, 0x22, 0x32, 0x41, 0xff}) {
    CAPTURE(family);
    CHECK(state_of(binary(0x21, family, std::string(216, '\0'))) == State::malformed);
  }
  CHECK(state_of(binary(0x21, 0x11, kIpv4Block.substr(1))) == State::malformed);
  CHECK(state_of(binary(0x21, 0x21, kIpv6Block.substr(1))) == State::malformed);
  CHECK(state_of(binary(0x21, 0x31, std::string(215, 'x'))) == State::malformed);
}

TEST_CASE("a binary PROXY header has at most 4096 bytes", "[http][proxy]") {
  CHECK(state_of(binary(0x21, 0x11, kIpv4Block + std::string(4068, '\0'))) == State::complete);
  CHECK(state_of(binary(0x21, 0x11, kIpv4Block, 4080)) == State::incomplete);
  CHECK(state_of(binary(0x21, 0x11, kIpv4Block, 4081)) == State::malformed);
  CHECK(state_of(binary(0x20, 0x00, "", 65535)) == State::malformed);
}

TEST_CASE("bytes that cannot begin a PROXY header are refused at the first wrong byte", "[http][proxy]") {
  CHECK(state_of("GET") == State::malformed);
  CHECK(state_of("G") == State::malformed);
  CHECK(state_of("PROXYTCP4") == State::malformed);
  CHECK(state_of("proxy ") == State::malformed);
  CHECK(state_of("\r\n\r\nGET / HTTP/1.1\r\n") == State::malformed);
  CHECK(state_of(kSignature.substr(0, 11) + "\r") == State::malformed);
  CHECK(state_of(" PROXY TCP4") == State::malformed);
}
