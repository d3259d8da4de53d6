#include "supervisor/listen/address.h"

#include <tuple>

#include "support/catch.h"

using pronghorn::supervisor::parse_address;

TEST_CASE("the four ways to write a listening address are understood", "[supervisor]") {
  const auto ipv4 = parse_address("127.0.0.1:8080");
  REQUIRE(ipv4);
  CHECK(ipv4->host == "127.0.0.1");
  CHECK(ipv4->port == 8080);
  CHECK(ipv4->url() == "http://127.0.0.1:8080");
  const auto ipv6 = parse_address("[::1]:80");
  REQUIRE(ipv6);
  CHECK(ipv6->host == "::1");
  CHECK(ipv6->url() == "http://[::1]:80");
  const auto every = parse_address(":0");
  REQUIRE(every);
  CHECK(every->host.empty());
  CHECK(every->url() == "http://0.0.0.0:0");
  const auto unix_path = parse_address("unix:/run/app:1.sock");
  REQUIRE(unix_path);
  CHECK(unix_path->is_unix);
  CHECK(unix_path->path == "/run/app:1.sock");
}

TEST_CASE("an address with https before it is one whose clients speak TLS", "[supervisor]") {
  for (const auto& [text, host, port, url] :
       {std::tuple{"https://127.0.0.1:8443", "127.0.0.1", 8443, "https://127.0.0.1:8443"},
        std::tuple{"https://[::1]:443/", "::1", 443, "https://[::1]:443"},
        std::tuple{"https://:443", "", 443, "https://0.0.0.0:443"}}) {
    CAPTURE(text);
    const auto address = parse_address(text);
    REQUIRE(address);
    CHECK(address->is_https);
    CHECK(address->host == host);
    CHECK(address->port == port);
    CHECK(address->url() == url);
    CHECK(parse_address(address->text)->is_https);
  }
  CHECK_FALSE(parse_address("127.0.0.1:8080")->is_https);
  for (const char* text : {"https://", "https://shop", "https://unix:/run/a.sock", "https://127.0.0.1:8443/path"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_address(text));
  }
}

TEST_CASE("text that is not an address is refused with the valid forms", "[supervisor]") {
  for (const char* text : {"", "8080", "127.0.0.1", "127.0.0.1:", "127.0.0.1:http", "127.0.0.1:-1", "127.0.0.1:80x",
                           "::1:80", "[::1]", "[::1:80", "a b:80", "unix:", "http://x:80"}) {
    CAPTURE(text);
    const auto address = parse_address(text);
    REQUIRE_FALSE(address);
    CHECK_FALSE(address.error().empty());
  }
  CHECK(parse_address("127.0.0.1:65536").error() == "port 65536 is above 65535");
  CHECK(parse_address("127.0.0.1:99999999999999999999").error().find("above 65535") != std::string::npos);
}
