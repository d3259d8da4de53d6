#include "worker/admin/networks.h"

#include <stdexcept>

#include "support/catch.h"

using namespace pronghorn::worker;

namespace {

bool holds(const std::vector<std::string>& networks, std::string_view address) {
  const auto parsed = parse_address(address);
  return parsed && Networks(networks).contains(*parsed);
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

TEST_CASE("what is no address is in no network") {
  CHECK_FALSE(parse_address("unix"));
  CHECK_FALSE(parse_address(""));
  CHECK_FALSE(parse_address("1.2.3"));
}

TEST_CASE("a network that is none is refused by name") {
  for (const std::string text :
       {"10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8x", "::/129", "home", "", "/8"}) {
    INFO(text);
    try {
      const Networks networks({text});
      FAIL_CHECK("accepted");
    } catch (const std::invalid_argument& error) {
      CHECK(std::string(error.what()).find("admin_networks " + text + ":") == 0);
    }
  }
}
