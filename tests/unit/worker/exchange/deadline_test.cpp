#include "worker/exchange/deadline.h"

#include <fmt/format.h>

#include <string>

#include "support/catch.h"

using namespace pronghorn::worker;
using namespace std::chrono_literals;

namespace {

using Time = std::chrono::steady_clock::time_point;

// An exchange with these fields, which began now.
class Asked {
 public:
  explicit Asked(std::initializer_list<Header> fields) {
    for (const Header& field : fields) exchange.head.fields[exchange.head.field_count++] = field;
    exchange.started = std::chrono::steady_clock::now();
  }
  [[nodiscard]] std::chrono::nanoseconds left() const { return exchange.deadline - exchange.started; }
  Exchange exchange;
};

std::string in(std::chrono::milliseconds time) {
  const auto at = std::chrono::system_clock::now().time_since_epoch() + time;
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(at).count();
  return fmt::format("{}.{:03}", ms / 1000, ms % 1000);
}

}  // namespace

TEST_CASE("seconds are digits, with a fraction if there is a point", "[deadline]") {
  CHECK(parse_seconds("2") == 2s);
  CHECK(parse_seconds("0.25") == 250ms);
  CHECK(parse_seconds("0") == 0s);
  CHECK(parse_seconds("1764466982.123456789") == 1764466982s + 123456789ns);
  CHECK(parse_seconds("9000000000.999999999") == 9'000'000'000s + 999'999'999ns);
}

TEST_CASE("what is no number of seconds is refused", "[deadline]") {
  for (const char* text : {"", ".", ".5", "1.", "-1", "+1", "1e3", " 1", "1 ", "1s", "1.2.3", "0x1", "9000000001",
                           "99999999999", "1.1234567890", "1,5"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_seconds(text));
  }
}

TEST_CASE("Request-Timeout shortens the deadline and never makes it longer", "[deadline]") {
  Asked asked{{"Request-Timeout", "1.5"}};
  CHECK_FALSE(shorten_deadline(asked.exchange));
  CHECK(asked.left() == 1500ms);
  asked.exchange.deadline = asked.exchange.started + 1s;
  CHECK_FALSE(shorten_deadline(asked.exchange));
  CHECK(asked.left() == 1s);
}

TEST_CASE("the time for which a request has waited counts", "[deadline]") {
  Asked asked{{"request-timeout", "1"}};
  asked.exchange.pressed = true;
  asked.exchange.waited = 400ms;
  CHECK_FALSE(shorten_deadline(asked.exchange));
  CHECK(asked.left() == 600ms);
  asked.exchange.waited = 1s;
  CHECK(shorten_deadline(asked.exchange));
}

TEST_CASE("X-Request-Deadline is a moment in seconds since 1970", "[deadline]") {
  const std::string future = in(5s);
  Asked asked{{"X-Request-Deadline", future}};
  CHECK_FALSE(shorten_deadline(asked.exchange));
  CHECK(asked.left() > 4s);
  CHECK(asked.left() <= 5s);
}

TEST_CASE("a deadline that has passed is told", "[deadline]") {
  const std::string past = in(-10ms);
  Asked by_moment{{"X-Request-Deadline", past}};
  CHECK(shorten_deadline(by_moment.exchange));
  Asked by_timeout{{"Request-Timeout", "0"}};
  CHECK(shorten_deadline(by_timeout.exchange));
}

TEST_CASE("the earlier of both fields counts", "[deadline]") {
  const std::string future = in(60s);
  Asked asked{{"X-Request-Deadline", future}, {"Request-Timeout", "2"}};
  CHECK_FALSE(shorten_deadline(asked.exchange));
  CHECK(asked.left() == 2s);
}

TEST_CASE("malformed deadlines are ignored", "[deadline]") {
  Asked asked{{"X-Request-Deadline", "tomorrow"}, {"Request-Timeout", "-1"}};
  CHECK_FALSE(shorten_deadline(asked.exchange));
  CHECK(asked.exchange.deadline == Time::max());
}
