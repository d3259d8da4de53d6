// Topics: what one client posts reaches all that listen, on every worker and machine.
#include <pronghorn/json.h>
#include <pronghorn/topics.h>

#include <chrono>
#include <string>

#include "demo.h"

namespace demo {

using namespace pronghorn;
using namespace std::chrono_literals;

namespace {

std::string topic_of(const Request& request) {
  std::string topic(request.param("topic"));
  if (!is_topic(topic)) throw bad_request("a topic has 1 to 256 bytes and no control characters");
  return topic;
}

// POST /live/{topic} publishes its body. Redis keeps the last 1000 events of the topic for an hour; ?history=0 keeps
// none.
Task<Response> publish(Request& request) {
  const std::string topic = topic_of(request);
  const auto history = request.query<std::uint16_t>("history").value_or(1000);
  const std::string body(co_await request.body());
  const Published published = co_await request.events().publish(topic, body, {.history = history, .keep = 1h});
  auto answer = nlohmann::json::object();
  if (published.receivers) answer["receivers"] = *published.receivers;
  co_return json_response(answer);
}

// GET /live/{topic} sends what is posted to it as server-sent events.
Response follow(Request& request) { return topic_stream(request, topic_of(request)); }

}  // namespace

void add_live_routes(App& app) {
  app.post("/live/{topic}", publish).max_body(kMaxEventPayload);
  app.get("/live/{topic}", follow);
}

}  // namespace demo
