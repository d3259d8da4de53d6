#include "worker/exchange/correlation.h"

#include <string>

#include "support/catch.h"
#include "worker/exchange/exchange.h"

using namespace pronghorn;
using namespace pronghorn::worker;

namespace {

constexpr std::string_view kCaller = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

struct Fixture {
  Fixture() {
    exchange.peer = &peer;
    exchange.head.method = "GET";
  }
  void add(std::string_view name, std::string_view value) {
    const auto header = name == "traceparent" ? KnownHeader::traceparent : KnownHeader::x_request_id;
    if (exchange.head.has(header)) exchange.head.repeated |= RequestHead::bit_of(header);
    exchange.head.known[static_cast<std::size_t>(header)] = static_cast<std::int16_t>(exchange.head.field_count);
    exchange.head.fields[exchange.head.field_count++] = {name, value};
  }
  Networks proxies{{"127.0.0.0/8"}};
  Peer peer{.client = {"127.0.0.1", 5000}, .loopback = true, .trusted_proxies = &proxies};
  Exchange exchange;
};

}  // namespace

TEST_CASE("an id of a request may not steer logs or split headers", "[correlation]") {
  for (const std::string_view right : {"a", "4bf92f35-77b3-4da6", "Root=1-67891233-abcdef", "a/b+c==", "x:1@h~_."}) {
    CAPTURE(right);
    CHECK(is_request_id(right));
  }
  CHECK(is_request_id(std::string(128, 'a')));
  CHECK_FALSE(is_request_id(std::string(129, 'a')));
  for (const std::string_view wrong : {"", "a b", "a\x1b[2J", "a\r\nX: y", "\"", "a,b", "\xc3\xa4"}) {
    CHECK_FALSE(is_request_id(wrong));
  }
}

TEST_CASE("an id is written as 24 hex digits", "[correlation]") {
  CHECK(to_string({.worker = 0x0123456789abcdef, .number = 0xfedc09a1}) == "0123456789abcdeffedc09a1");
  CHECK(to_string({.worker = 0, .number = 1}) == "000000000000000000000001");
}

TEST_CASE("a traceparent is taken as W3C Trace Context says", "[correlation]") {
  const auto context = parse_traceparent(kCaller);
  REQUIRE(context.has_value());
  CHECK(context->trace_id == "4bf92f3577b34da6a3ce929d0e0e4736");
  CHECK(context->flags == "01");
  CHECK(parse_traceparent("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-comes-later"));
  for (const std::string_view wrong : {"", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
                                       "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                                       "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
                                       "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.x",
                                       "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
                                       "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
                                       "00-4BF92F3577B34DA6A3CE929D0E0E4736-00F067AA0BA902B7-01",
                                       "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}) {
    CAPTURE(wrong);
    CHECK_FALSE(parse_traceparent(wrong));
  }
}

TEST_CASE_METHOD(Fixture, "a trusted proxy names the request", "[correlation]") {
  add("X-Request-Id", "from-the-proxy");
  CHECK(exchange.id() == "from-the-proxy");
}

TEST_CASE_METHOD(Fixture, "nobody else names the request, and no invalid id does", "[correlation]") {
  add("X-Request-Id", "not valid");
  CHECK(exchange.id() == to_string(exchange.number()));
  exchange.clear();
  exchange.head.clear_fields();
  add("X-Request-Id", "valid");
  peer.trusted_proxies = nullptr;
  CHECK(exchange.id() == to_string(exchange.number()));
}

// A proxy that appends its own leaves the client's first.
TEST_CASE_METHOD(Fixture, "ids that are sent twice are not believed", "[correlation]") {
  add("X-Request-Id", "of-the-client");
  add("X-Request-Id", "of-the-proxy");
  add("traceparent", kCaller);
  add("traceparent", kCaller);
  CHECK(exchange.id() == to_string(exchange.number()));
  CHECK(exchange.caller_trace().empty());
  CHECK_FALSE(exchange.traceparent().starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"));
}

TEST_CASE_METHOD(Fixture, "calls to other services carry on the caller's trace", "[correlation]") {
  add("traceparent", kCaller);
  CHECK(exchange.caller_trace() == "4bf92f3577b34da6a3ce929d0e0e4736");
  const std::string sent(exchange.traceparent());
  CHECK(sent.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"));
  CHECK(sent.ends_with("-01"));
  CHECK(sent != kCaller);  // its span is our own
  CHECK(parse_traceparent(sent));
}

// W3C Trace Context section 3.2.2.5.1: whoever sends a version must not set flags that it does not define.
TEST_CASE_METHOD(Fixture, "unknown flags of a trace are not passed on", "[correlation]") {
  for (const auto& [received, sent] :
       {std::pair("ff", "-03"), {"01", "-01"}, {"02", "-02"}, {"04", "-00"}, {"f0", "-00"}, {"0d", "-01"}}) {
    CAPTURE(received);
    exchange.clear();
    exchange.head.clear_fields();
    const std::string caller = std::string(kCaller.substr(0, kCaller.size() - 2)) + received;
    add("traceparent", caller);
    CHECK(exchange.traceparent().ends_with(sent));
  }
}

TEST_CASE_METHOD(Fixture, "a request without a valid trace begins one", "[correlation]") {
  add("traceparent", "ff-nonsense");
  const std::string first(exchange.traceparent());
  CHECK(parse_traceparent(first));
  CHECK(exchange.caller_trace().empty());
  exchange.clear();
  CHECK(exchange.traceparent().substr(3, 32) != first.substr(3, 32));
}
