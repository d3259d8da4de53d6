// Which response goes first: RFC 9218.
#include <algorithm>
#include <string>
#include <vector>

#include "support/catch.h"
#include "unit/worker/http2/test_http2.h"

using namespace pronghorn;
using namespace pronghorn::test;
using namespace pronghorn::worker;

namespace {

enum class Updated { before_request, before_response, after_response };

std::string priority_update(std::int32_t stream, std::string_view priority) {
  const std::string id{'\0', '\0', static_cast<char>(stream >> 8), static_cast<char>(stream)};
  return Http2Client::frame(NGHTTP2_PRIORITY_UPDATE, 0, 0, id + std::string(priority));
}

// The stream of the first DATA frame.
std::int32_t first_served(std::string_view frames) {
  constexpr std::size_t kHead = 9;
  const auto byte = [&frames](std::size_t at) {
    return static_cast<std::size_t>(static_cast<unsigned char>(frames[at]));
  };
  while (frames.size() >= kHead && frames[3] != NGHTTP2_DATA) {
    frames.remove_prefix(std::min(frames.size(), kHead + (byte(0) << 16U) + (byte(1) << 8U) + byte(2)));
  }
  return frames.size() < kHead ? 0 : static_cast<std::int32_t>(byte(8));
}

// Two requests whose client has no window until both are answered. The first asks for urgency 2, the second gets a
// PRIORITY_UPDATE and is answered with `priority`.
bool second_goes_first(Updated when, std::string_view update, const std::string& priority, Http2Fields asked = {},
                       int others = 0) {
  std::vector<Exchange*> waiting;
  Config config = TestHttp2::quick_config();
  config.http.max_streams = 0;  // any number
  config.http.max_control_frames = 1'000'000;
  TestHttp2 test([&waiting](Exchange& exchange) { waiting.push_back(&exchange); }, config, {.window = 0});
  const std::int32_t first = test.client().request("GET", "/first", {{"priority", "u=2"}});
  test.run();
  const std::string frame = update.empty() ? "" : priority_update(first + 2, update);
  for (int i = 0; i < others; ++i) test.send_raw(priority_update(first + 4 + 2 * i, "u=1"));
  if (when == Updated::before_request) test.send_raw(frame);
  const std::int32_t second = test.client().request("GET", "/second", asked);
  test.run();
  REQUIRE(waiting.size() == 2);
  if (when == Updated::before_response) test.send_raw(frame);
  waiting[0]->owner->respond(*waiting[0], text("first"));
  waiting[1]->owner->respond(*waiting[1], text("second").set("Priority", priority));
  test.run();
  if (when == Updated::after_response) test.send_raw(frame);
  test.client().widen(first, 100);
  test.client().widen(second, 100);
  test.stream().send(test.client().output());
  test.end_turn();
  const std::int32_t served = first_served(test.stream().received());
  REQUIRE((served == first || served == second));
  return served == second;
}

}  // namespace

// RFC 9218 section 8. A response with "i" alone lost the urgency for which its client had asked.
TEST_CASE("a response's Priority goes before PRIORITY_UPDATE for what it names, and for no more", "[http2][priority]") {
  for (const Updated when : {Updated::before_request, Updated::before_response, Updated::after_response}) {
    CAPTURE(static_cast<int>(when));
    CHECK(second_goes_first(when, "u=0", "i=?0"));
    CHECK_FALSE(second_goes_first(when, "u=0", "u=6"));
    CHECK(second_goes_first(when, "u=7", "u=1"));
    CHECK_FALSE(second_goes_first(when, "u=7", "i"));
    CHECK_FALSE(second_goes_first(when, "i", "i=?0", {{"priority", "u=0"}}));  // an update replaces all of the field
  }
  CHECK(second_goes_first(Updated::before_request, "", "i=?0", {{"priority", "i"}, {"priority", "u=0"}}));
  CHECK_FALSE(second_goes_first(Updated::before_request, "", "i=?0"));
}

// It counted as "u=3", as if it were empty.
TEST_CASE("a malformed PRIORITY_UPDATE changes nothing", "[http2][priority]") {
  for (const Updated when : {Updated::before_request, Updated::before_response, Updated::after_response}) {
    CAPTURE(static_cast<int>(when));
    CHECK(second_goes_first(when, "u=7,", "i=?0", {{"priority", "u=0"}}));
  }
}

// RFC 8941 section 4.2: read one by one, a malformed line left the others as they were.
TEST_CASE("several Priority fields of a request are one dictionary", "[http2][priority]") {
  CHECK(second_goes_first(Updated::before_request, "", "i=?0", {{"priority", "u=5, i"}, {"priority", "u=0"}}));
  CHECK_FALSE(second_goes_first(Updated::before_request, "", "i=?0", {{"priority", "u=0"}, {"priority", "i="}}));
  CHECK_FALSE(second_goes_first(Updated::before_request, "", "i=?0", {{"priority", "u=,"}, {"priority", "u=0"}}));
  CHECK(second_goes_first(Updated::before_request, "", "i=?0", {{"priority", R"(u=0, a="x)"}, {"priority", R"(y")"}}));
}

// A client may send it for streams that never begin.
TEST_CASE("PRIORITY_UPDATE is remembered for a limited number of streams", "[http2][priority]") {
  CHECK(second_goes_first(Updated::before_request, "u=0", "i=?0", {}, 90));
  CHECK_FALSE(second_goes_first(Updated::before_request, "u=0", "i=?0", {}, 300));
}
