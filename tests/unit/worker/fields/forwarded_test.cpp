#include "worker/fields/forwarded.h"

#include <initializer_list>
#include <memory>

#include "support/catch.h"

using namespace pronghorn;
using namespace pronghorn::worker;

namespace {

const Networks kTrusted({"127.0.0.1", "10.0.0.0/8", "2001:db8:1::/48"});

Forwarding read(std::initializer_list<Header> fields, ForwardingFields believed = ForwardingFields::x_forwarded) {
  const auto head = std::make_unique<RequestHead>();
  head->clear();
  for (const Header& field : fields) head->fields[head->field_count++] = field;
  return read_forwarding(*head, kTrusted, believed);
}
Forwarding read_standard(std::initializer_list<Header> fields) { return read(fields, ForwardingFields::forwarded); }

Forwarding forwarded(std::string_view value) { return read_standard({{"Forwarded", value}}); }
std::string client_of(std::string_view value) { return forwarded(value).client.address; }
std::string x_client_of(std::string_view value) { return read({{"X-Forwarded-For", value}}).client.address; }

}  // namespace

TEST_CASE("the peer's own element names the client", "[http][forwarded]") {
  const Forwarding said = forwarded(R"(for=192.0.2.60;proto=https;by=203.0.113.43;host="shop.example:8443")");
  CHECK(said.client.address == "192.0.2.60");
  CHECK(said.client.port == 0);
  CHECK(said.scheme == "https");
  CHECK(said.host == "shop.example:8443");
}

TEST_CASE("Forwarded is read from the right, over trusted proxies", "[http][forwarded]") {
  CHECK(client_of("for=198.51.100.1, for=192.0.2.7") == "192.0.2.7");
  CHECK(client_of("for=198.51.100.1, for=192.0.2.7, for=10.1.1.1, for=127.0.0.1") == "192.0.2.7");
  CHECK(client_of("for=10.2.2.2, for=10.1.1.1") == "10.2.2.2");  // all are trusted: the first of them
  CHECK(read_standard({{"Forwarded", "for=198.51.100.1"}, {"Via", "1.1 x"}, {"forwarded", "for=10.1.1.1"}})
            .client.address == "198.51.100.1");
}

TEST_CASE("scheme and host are those of the proxy that the client spoke to", "[http][forwarded]") {
  const Forwarding said = forwarded("host=evil;proto=http, for=192.0.2.7;proto=https;host=a, for=10.1.1.1;proto=http");
  CHECK(said.scheme == "https");
  CHECK(said.host == "a");
  const Forwarding silent = forwarded("for=192.0.2.7, for=10.1.1.1;proto=https;host=inner");
  CHECK(silent.scheme.empty());
  CHECK(silent.host.empty());
  CHECK(forwarded("for=192.0.2.7;proto=ws").scheme.empty());
  CHECK(forwarded("for=192.0.2.7;proto=HTTPS").scheme == "https");
}

TEST_CASE("a node is an address with or without a port, or hidden", "[http][forwarded]") {
  const Client ipv6 = forwarded(R"(For="[2001:DB8:cafe::17]:4711")").client;
  CHECK(ipv6.address == "2001:db8:cafe::17");
  CHECK(ipv6.port == 4711);
  CHECK(client_of(R"(for="[2001:db8:cafe::17]")") == "2001:db8:cafe::17");
  CHECK(client_of(R"(for="[::ffff:192.0.2.7]")") == "192.0.2.7");
  CHECK(forwarded(R"(for="192.0.2.7:80")").client.port == 80);
  CHECK(forwarded(R"(for="192.0.2.7:_hidden")").client.port == 0);
  CHECK(client_of("for=_SEVKISEK") == "_SEVKISEK");
  CHECK(client_of("for=Unknown") == "unknown");
  CHECK(client_of(R"(for="_gazonk:80")") == "_gazonk");
  CHECK(client_of("for=192.0.2.9, for=_hidden") == "_hidden");  // cannot be known to be trusted
}

TEST_CASE("quoted strings hold what tokens cannot", "[http][forwarded]") {
  CHECK(client_of(R"(for="192.0.2.7")") == "192.0.2.7");
  CHECK(client_of(R"(for="1\92.0.2.7")") == "192.0.2.7");
  CHECK(client_of(R"(for=192.0.2.7;secret="a, for=10.1.1.1;\", b")") == "192.0.2.7");
  CHECK(client_of(R"(for=192.0.2.7;secret="a\\", for=10.1.1.1)") == "192.0.2.7");
  CHECK(forwarded(R"(for=192.0.2.7;host="shop.example:80")").host == "shop.example:80");
}

TEST_CASE("what a client writes before the proxy's element cannot change how that is read", "[http][forwarded]") {
  for (const std::string_view before :
       {"for=\"", "for=\"a", "for=\"\\", "\"", "\\", "for=\"a\\\"", ";;=", "for=\"x\" y"}) {
    CAPTURE(before);
    CHECK(client_of(std::string(before) + ", for=192.0.2.7") == "192.0.2.7");
    CHECK(client_of(std::string(before) + R"(, for="[2001:db8::7]:80")") == "2001:db8::7");
    CHECK(read_standard({{"Forwarded", before}, {"Forwarded", "for=192.0.2.7"}}).client.address == "192.0.2.7");
  }
}

TEST_CASE("nothing is believed from a malformed element on", "[http][forwarded]") {
  for (const std::string_view wrong : {"for",
                                       "for=",
                                       "=192.0.2.9",
                                       "for =192.0.2.9",
                                       "for= 192.0.2.9",
                                       "for=192.0.2.9 x",
                                       "for=192.0.2.9:80",
                                       "for=[2001:db8::9]",
                                       "for=\"2001:db8::9\"",
                                       "for=\"[2001:db8::9\"",
                                       "for=\"[192.0.2.9]\"",
                                       "for=\"\"",
                                       "for=192.0.2.256",
                                       "for=192.0.2.09",
                                       "for=somebody",
                                       "for=_",
                                       "for=\"_a b\"",
                                       "for=\"192.0.2.9:\"",
                                       "for=\"192.0.2.9:65536\"",
                                       "for=\"192.0.2.9:000080\"",
                                       "for=\"192.0.2.9:x\"",
                                       "for=\"[fe80::1%eth0]\"",
                                       "for=192.0.2.9;for=192.0.2.8",
                                       "for=192.0.2.9;host=\"a b\"",
                                       "for=192.0.2.9;proto=http;Proto=http",
                                       "for=unix",
                                       "for=\"[::1]x\"",
                                       "for=192.0.2.9;\"x\"=y"}) {
    CAPTURE(wrong);
    CHECK(client_of(wrong).empty());
    CHECK(client_of("for=198.51.100.1, " + std::string(wrong) + ", for=10.1.1.1;proto=https") == "10.1.1.1");
  }
  CHECK(forwarded("for=oops, for=10.1.1.1;proto=https").scheme == "https");
}

TEST_CASE("empty elements and unknown parameters mean nothing", "[http][forwarded]") {
  CHECK(client_of(", for=192.0.2.7 ,, ") == "192.0.2.7");
  CHECK(client_of("for=192.0.2.7;;ext=1;ext=2;") == "192.0.2.7");
  CHECK(client_of("for=192.0.2.7; proto=https") == "192.0.2.7");
  CHECK(client_of("").empty());
}

TEST_CASE("an element without a client ends the list", "[http][forwarded]") {
  const Forwarding said = forwarded("for=198.51.100.1, proto=https, for=10.1.1.1");
  CHECK(said.client.address == "10.1.1.1");
  CHECK(said.scheme == "https");
}

TEST_CASE("X-Forwarded-For is read from the right, over trusted proxies", "[http][forwarded]") {
  CHECK(x_client_of("192.0.2.7") == "192.0.2.7");
  CHECK(x_client_of("198.51.100.1, 192.0.2.7, 10.1.1.1,127.0.0.1") == "192.0.2.7");
  CHECK(x_client_of("192.0.2.7:4711") == "192.0.2.7");
  CHECK(x_client_of("2001:DB8::7") == "2001:db8::7");
  CHECK(x_client_of("[2001:db8::7]:80, 2001:db8:1::1") == "2001:db8::7");
  CHECK(x_client_of("192.0.2.9, unknown, 10.1.1.1") == "unknown");
  CHECK(read({{"X-Forwarded-For", "192.0.2.7"}, {"x-forwarded-for", "10.1.1.1"}}).client.address == "192.0.2.7");
  for (const std::string_view wrong : {"localhost", "1.2.3", "::1%lo", "for=192.0.2.9", "\"192.0.2.9\"", "unix"}) {
    CAPTURE(wrong);
    CHECK(x_client_of(wrong).empty());
    CHECK(x_client_of("192.0.2.9, " + std::string(wrong) + ", 10.1.1.1") == "10.1.1.1");
  }
}

TEST_CASE("X-Forwarded-Proto and -Host are those of the proxy that the client spoke to", "[http][forwarded]") {
  const Forwarding one = read({{"X-Forwarded-For", "198.51.100.1, 192.0.2.7"},
                               {"X-Forwarded-Proto", "http, https"},
                               {"X-Forwarded-Host", "evil, shop.example"}});
  CHECK(one.scheme == "https");
  CHECK(one.host == "shop.example");
  const Forwarding two = read({{"X-Forwarded-For", "192.0.2.7, 10.1.1.1"},
                               {"X-Forwarded-Proto", "ws, https, http"},
                               {"X-Forwarded-Host", "shop.example"}});
  CHECK(two.scheme == "https");
  CHECK(two.host == "shop.example");
  CHECK(read({{"X-Forwarded-Proto", "https"}}).scheme == "https");
  CHECK(read({{"X-Forwarded-Host", "a b"}}).host.empty());
}

TEST_CASE("quotation marks in X-Forwarded fields hide no comma", "[http][forwarded]") {
  const Forwarding said = read({{"X-Forwarded-For", "192.0.2.7, 10.1.1.1"},
                                {"X-Forwarded-Host", "evil.example"},
                                {"X-Forwarded-Host", "a\", a\""}});
  CHECK(said.client.address == "192.0.2.7");
  CHECK(said.host.empty());
}

// haproxy's `option forwardfor` adds X-Forwarded-For and leaves a client's own Forwarded alone, which used to win.
TEST_CASE("only the fields that the option names are believed", "[http][forwarded]") {
  CHECK(read({{"Forwarded", "for=192.0.2.7;proto=https;host=a"}}).client.address.empty());
  CHECK(read({{"Forwarded", "for=192.0.2.7;proto=https;host=a"}}).scheme.empty());
  CHECK(read({{"Forwarded", "for=192.0.2.7;proto=https;host=a"}}).host.empty());
  const Forwarding said = read_standard(
      {{"X-Forwarded-For", "192.0.2.7"}, {"X-Forwarded-Proto", "https"}, {"X-Forwarded-Host", "shop.example"}});
  CHECK(said.client.address.empty());
  CHECK(said.scheme.empty());
  CHECK(said.host.empty());
}

TEST_CASE("in a request with fields of both families neither is believed", "[http][forwarded]") {
  for (const char* name : {"X-Forwarded-For", "x-forwarded-proto", "X-Forwarded-Host"}) {
    for (const auto believed : {ForwardingFields::x_forwarded, ForwardingFields::forwarded}) {
      for (const char* standard : {"for=192.0.2.7;proto=https;host=a", "", "oops"}) {
        CAPTURE(name, standard);
        const Forwarding said =
            read({{name, "192.0.2.8"}, {"X-Forwarded-Proto", "https"}, {"forwarded", standard}}, believed);
        CHECK(said.both_families);
        CHECK(said.client.address.empty());
        CHECK(said.scheme.empty());
        CHECK(said.host.empty());
      }
    }
  }
  CHECK_FALSE(read({{"X-Forwarded-For", "192.0.2.7"}, {"X-Forwarded-Proto", "https"}}).both_families);
  CHECK_FALSE(read({{"X-Forwarded-For", "192.0.2.7"}, {"X-Forwarded-Port", "443"}, {"Via", "x"}}).both_families);
}

TEST_CASE("without forwarding fields nothing is known about the client", "[http][forwarded]") {
  const Forwarding said = read({{"Via", "1.1 x"}, {"X-Real-IP", "192.0.2.7"}});
  CHECK(said.client.address.empty());
  CHECK(said.scheme.empty());
  CHECK(said.host.empty());
}
