#include "integration/http/framing_table.h"

#include "support/catch.h"

namespace pronghorn::test {

namespace {

constexpr std::size_t kByteByByteBelow = 300;
constexpr auto kPatience = 5s;

enum class Delivery { whole, byte_by_byte, followed };

const char* to_string(Delivery delivery) {
  switch (delivery) {
    case Delivery::whole:
      return "whole";
    case Delivery::byte_by_byte:
      return "byte by byte";
    case Delivery::followed:
      return "with a request behind it";
  }
  return "?";
}

bool applies(Delivery delivery, const FramingCase& test) {
  if (delivery == Delivery::byte_by_byte) return test.bytes.size() < kByteByByteBelow;
  return delivery == Delivery::whole || test.after == After::closed;
}

void send(HttpConnection& connection, const FramingCase& test, Delivery delivery) {
  if (delivery == Delivery::byte_by_byte) {
    for (const char byte : test.bytes) {
      if (!connection.send_raw({&byte, 1})) return;  // the server has answered and closed already
    }
  } else {
    connection.send_raw(delivery == Delivery::followed ? test.bytes + get_target("/json") : test.bytes);
  }
}

void check_case(const Address& server, const FramingCase& test, Delivery delivery) {
  HttpConnection connection(server, kPatience);
  send(connection, test, delivery);
  std::vector<int> statuses;
  std::string body;
  while (statuses.size() < test.statuses.size()) {
    const HttpResponse response = connection.read_response();
    statuses.push_back(response.status);
    body = response.body;
  }
  CHECK(statuses == test.statuses);
  if (test.last_body != "*") CHECK(body == test.last_body);
  if (test.after == After::kept) {
    CHECK(connection.get("/json").body == R"({"message":"Hello, World!"})");
  } else {
    CHECK(connection.closed_within(kPatience));
  }
}

}  // namespace

void check_table(const Address& server, const FramingCases& table) {
  for (const FramingCase& test : table) {
    for (const Delivery delivery : {Delivery::whole, Delivery::byte_by_byte, Delivery::followed}) {
      if (!applies(delivery, test)) continue;
      INFO("case: " << test.name << ", " << to_string(delivery));
      try {
        check_case(server, test, delivery);
      } catch (const ClientError& error) {
        FAIL_CHECK(error.what());
      }
    }
  }
}

}  // namespace pronghorn::test
