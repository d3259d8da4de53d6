#include "integration/framing_table.h"

#include "support/catch.h"

namespace pronghorn::test {

namespace {

constexpr std::size_t kByteByByteBelow = 300;
constexpr auto kPatience = 5s;

void send(HttpConnection& connection, const std::string& bytes, bool one_by_one) {
  if (!one_by_one) {
    connection.send_raw(bytes);
    return;
  }
  for (const char byte : bytes) {
    if (!connection.send_raw({&byte, 1})) return;  // the server has answered and closed already
  }
}

void check_case(const ServerProcess& server, const FramingCase& test, bool one_by_one) {
  HttpConnection connection(server.address(), kPatience);
  send(connection, test.bytes, one_by_one);
  std::vector<int> statuses;
  std::string body;
  while (statuses.size() < test.statuses.size()) {
    const HttpResponse response = connection.read_response();
    statuses.push_back(response.status);
    body = response.body;
  }
  CHECK(statuses == test.statuses);
  if (test.last_body != "*") CHECK(body == test.last_body);
  if (test.after == After::closed) {
    CHECK(connection.closed_within(kPatience));
  } else {
    CHECK(connection.get("/json").body == R"({"message":"Hello, World!"})");
  }
}

}  // namespace

std::string get_with(const std::string& fields) { return "GET /hello HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n"; }

std::string post_with(const std::string& fields, const std::string& body) {
  return "POST /echo HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n" + body;
}

std::string post_chunked(const std::string& chunks) { return post_with("Transfer-Encoding: chunked\r\n", chunks); }

void check_table(const ServerProcess& server, const std::vector<FramingCase>& table) {
  for (const FramingCase& test : table) {
    for (const bool one_by_one : {false, true}) {
      if (one_by_one && test.bytes.size() >= kByteByByteBelow) continue;
      INFO("case: " << test.name << (one_by_one ? ", byte by byte" : ""));
      try {
        check_case(server, test, one_by_one);
      } catch (const ClientError& error) {
        FAIL_CHECK(error.what());
      }
    }
  }
}

}  // namespace pronghorn::test
