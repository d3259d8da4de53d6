#include "worker/http2/protocol/head_assembly.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.h"

using namespace pronghorn;
using namespace pronghorn::worker;

namespace {

using Fields = std::vector<std::pair<std::string, std::string>>;

struct Assembled {
  Refusal refusal;
  std::string bytes;
  RequestHead head;
  bool read = true;  // add() accepted all fields
};

std::unique_ptr<Assembled> assemble(const Fields& fields, const HttpLimits& limits = {}) {
  auto made = std::make_unique<Assembled>();
  HeadAssembly assembly;
  assembly.begin();
  for (const auto& [name, value] : fields) made->read = made->read && assembly.add(name, value, limits);
  made->refusal = assembly.finish(limits, made->bytes, made->head);
  return made;
}

Fields get(Fields more = {}) {
  Fields fields{{":method", "GET"}, {":scheme", "http"}, {":authority", "example.com"}, {":path", "/a?b=c"}};
  fields.insert(fields.end(), more.begin(), more.end());
  return fields;
}

}  // namespace

TEST_CASE("a header block becomes the head of a request", "[http2]") {
  const auto made = assemble(get({{"accept", "text/plain"}, {"x-request-id", "17"}}));
  REQUIRE(made->refusal.status == 0);
  const RequestHead& head = made->head;
  CHECK(head.method == "GET");
  CHECK(head.target == "/a?b=c");
  CHECK(head.path == "/a");
  CHECK(head.query == "b=c");
  CHECK(head.version() == "HTTP/2.0");
  CHECK(head.value(KnownHeader::host) == "example.com");
  CHECK(head.find("Accept") == "text/plain");
  CHECK(head.value(KnownHeader::x_request_id) == "17");
  CHECK(head.field_count == 3);
}

TEST_CASE("crumbs of a cookie are joined", "[http2]") {
  const auto made = assemble(get({{"cookie", "a=1"}, {"accept", "*/*"}, {"cookie", "b=2"}, {"cookie", "c=3"}}));
  REQUIRE(made->refusal.status == 0);
  CHECK(made->head.value(KnownHeader::cookie) == "a=1; b=2; c=3");
  CHECK(made->head.find("accept") == "*/*");
}

TEST_CASE("Host may repeat :authority, but not differ from it", "[http2]") {
  const auto same = assemble(get({{"host", "EXAMPLE.com"}}));
  CHECK(same->refusal.status == 0);
  CHECK(same->head.field_count == 1);
  CHECK(assemble(get({{"host", "other.com"}}))->refusal.status == 400);
  CHECK(assemble({{":method", "GET"}, {":scheme", "http"}, {":path", "/"}, {"host", "a"}})->refusal.status == 0);
  CHECK(assemble({{":method", "GET"}, {":scheme", "http"}, {":path", "/"}})->refusal.status == 400);
}

TEST_CASE("heads that HTTP/1.1 refuses are refused in HTTP/2 too", "[http2]") {
  const auto status = [](const char* name, const char* value) {
    Fields fields = get();
    for (auto& field : fields) {
      if (field.first == name) field.second = value;
    }
    if (name[0] != ':') fields.emplace_back(name, value);
    return assemble(fields)->refusal.status;
  };
  CHECK(status(":method", "G T") == 400);
  CHECK(status(":method", "CONNECT") == 501);
  CHECK(status(":path", "") == 400);
  CHECK(status(":path", "*") == 400);
  CHECK(status(":path", "a") == 400);
  CHECK(status(":path", "http://example.com/") == 400);
  CHECK(status(":path", "/a b") == 400);
  CHECK(status(":path", "/a#b") == 400);
  CHECK(status(":authority", "user@example.com") == 400);
  CHECK(status(":authority", "a,b") == 400);
  CHECK(status("content-length", "+1") == 400);
  CHECK(status("content-length", "") == 400);
  CHECK(status("expect", "something") == 417);
  CHECK(status("expect", "100-continue") == 0);
  CHECK(status("content-length", "12") == 0);
}

TEST_CASE("an extended CONNECT for a WebSocket is a tunnel, any other CONNECT is refused", "[http2][websocket]") {
  const auto connect = [](const char* protocol, Fields more = {}) {
    Fields fields{{":method", "CONNECT"},
                  {":protocol", protocol},
                  {":scheme", "https"},
                  {":authority", "example.com"},
                  {":path", "/rooms/1?name=a"}};
    fields.insert(fields.end(), more.begin(), more.end());
    return assemble(fields);
  };
  for (const char* protocol : {"websocket", "WebSocket"}) {
    const auto made = connect(protocol);
    REQUIRE(made->refusal.status == 0);
    CHECK(made->head.tunnel);
    CHECK(made->head.method == "CONNECT");
    CHECK(made->head.path == "/rooms/1");
    CHECK(made->head.query == "name=a");
  }
  for (const char* protocol : {"connect-udp", "", "websocket2"}) CHECK(connect(protocol)->refusal.status == 501);
  CHECK(connect("websocket", {{"content-length", "0"}})->refusal.status == 400);
  CHECK(connect("websocket", {{"host", "other.com"}})->refusal.status == 400);
  CHECK_FALSE(assemble(get())->head.tunnel);
}

TEST_CASE("header blocks above the limits are refused", "[http2]") {
  HttpLimits limits;
  limits.max_request_line = 64;
  limits.max_header_bytes = 1000;
  limits.max_header_fields = 5;
  CHECK(assemble(get(), limits)->refusal.status == 0);
  Fields long_path = get();
  long_path[3].second = "/" + std::string(64, 'a');
  CHECK(assemble(long_path, limits)->refusal.status == 414);
  const auto large = assemble(get({{"a", std::string(1000, 'a')}}), limits);
  CHECK(large->refusal.status == 431);
  CHECK(large->read);
  CHECK_FALSE(assemble(get({{"a", std::string(5000, 'a')}}), limits)->read);
  CHECK(assemble(get({{"a", ""}, {"b", ""}, {"c", ""}, {"d", ""}, {"e", ""}}), limits)->refusal.status == 0);
  CHECK(assemble(get({{"a", ""}, {"b", ""}, {"c", ""}, {"d", ""}, {"e", ""}, {"f", ""}}), limits)->refusal.status ==
        431);
}

// Each field costs 32 bytes more than it has: a client may send many of a byte.
TEST_CASE("a header block of many tiny fields is far too large", "[http2]") {
  HttpLimits limits;
  limits.max_header_bytes = 1000;
  HeadAssembly assembly;
  assembly.begin();
  int fields = 0;
  while (assembly.add("", "", limits) && fields < 1000) ++fields;
  CHECK(fields == 125);
}

TEST_CASE("a trailer section becomes lines", "[http2]") {
  HeadAssembly assembly;
  const HttpLimits limits;
  assembly.begin();
  REQUIRE(assembly.add("checksum", "abc", limits));
  REQUIRE(assembly.add("other", "", limits));
  std::string lines;
  assembly.finish_trailers(limits, lines);
  CHECK(lines == "checksum: abc\r\nother: \r\n");
}
