#include "common/config/networks.h"

#include <stdexcept>

#include "support/catch.h"

using namespace pronghorn;

namespace {

bool holds(const std::vector<std::string>& networks, std::string_view address) {
  return Networks(networks).contains(address);
}

}  // namespace

TEST_CASE("an address is in the networks whose prefix it has") {
  CHECK(holds({"10.0.0.0/8"}, "10.255.1.2"));
  CHECK_FALSE(holds({"10.0.0.0/8"}, "11.0.0.1"));
  CHECK(holds({"192.0.2.128/25"}, "192.0.2.129"));
  CHECK_FALSE(holds({"192.0.2.128/25"}, "192.0.2.127"));
  CHECK(holds({"192.0.2.7"}, "192.0.2.7"));
  CHECK_FALSE(holds({"192.0.2.7"}, "192.0.2.6"));
  CHECK(holds({"0.0.0.0/0"}, "203.0.113.9"));
  CHECK(holds({"2001:db8::/33"}, "2001:db8:7fff::1"));
  CHECK_FALSE(holds({"2001:db8::/33"}, "2001:db8:8000::1"));
  CHECK(holds({"::1/128"}, "::1"));
  CHECK(holds({"10.0.0.0/8", "fe80::/10"}, "fe80::1%eth0"));
  CHECK_FALSE(holds({}, "127.0.0.1"));
}

TEST_CASE("an IPv4 address behind an IPv6 socket is the IPv4 address") {
  CHECK(holds({"10.0.0.0/8"}, "::ffff:10.1.2.3"));
  CHECK(holds({"::ffff:10.0.0.0/104"}, "10.1.2.3"));
  CHECK_FALSE(holds({"::/0"}, "10.1.2.3"));
  CHECK_FALSE(holds({"::/0"}, "::ffff:10.1.2.3"));
}

TEST_CASE("text that is not an address is in no network") {
  CHECK_FALSE(parse_ip_address("unix"));
  CHECK_FALSE(parse_ip_address(""));
  CHECK_FALSE(parse_ip_address("1.2.3"));
  CHECK_FALSE(parse_ip_address("010.0.0.1"));
  CHECK_FALSE(parse_ip_address(std::string_view("1.2.3.4\0", 8)));
  CHECK_FALSE(parse_ip_address(std::string(1000, '1')));
  CHECK_FALSE(holds({"0.0.0.0/0", "::/0", "unix"}, "unknown"));
}

TEST_CASE("peers on Unix sockets are contained only if they are named") {
  CHECK(holds({"unix"}, "unix"));
  CHECK_FALSE(holds({"0.0.0.0/0", "::/0"}, "unix"));
  CHECK_FALSE(holds({"unix"}, "127.0.0.1"));
  CHECK(Networks({}).empty());
  CHECK_FALSE(Networks({"unix"}).empty());
}

TEST_CASE("an address is written in one way, however it came") {
  const auto written = [](std::string_view text) { return to_string(*parse_ip_address(text)); };
  CHECK(written("2001:DB8:0:0::1") == "2001:db8::1");
  CHECK(written("::ffff:c000:0207") == "192.0.2.7");
  CHECK(written("192.0.2.7") == "192.0.2.7");
}

TEST_CASE("an invalid network is refused by name") {
  for (const std::string text :
       {"10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8x", "::/129", "home", "", "/8"}) {
    INFO(text);
    try {
      const Networks networks({text});
      FAIL_CHECK("accepted");
    } catch (const std::invalid_argument& error) {
      CHECK(std::string(error.what()).find(text + ":") == 0);
    }
  }
}
