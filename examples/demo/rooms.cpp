// Rooms: what one client says reaches all in the room, on every worker and machine. Killed workers, reloads and
// scale-downs disconnect nobody.
#include <pronghorn/json.h>
#include <pronghorn/presence.h>
#include <pronghorn/websocket.h>
#include <unistd.h>

#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>

#include "demo.h"

namespace demo {

using namespace pronghorn;

namespace {

constexpr std::uint32_t kHistory = 1000;
constexpr std::size_t kLongestName = 64;

std::string topic_of(const Request& request) {
  std::string topic = "room:" + request.param<std::string>("room");
  if (!is_topic(topic)) throw bad_request("a room has 1 to 251 bytes and no control characters");
  return topic;
}

std::string name_of(const Request& request) {
  std::string name = request.query("name").value_or("guest");
  if (name.size() > kLongestName) throw bad_request("a name has at most 64 bytes");
  try {
    static_cast<void>(nlohmann::json(name).dump());
  } catch (const nlohmann::json::exception&) {
    throw bad_request("a name is UTF-8");
  }
  return name;
}

// ?name= who enters, ?since= the offset of the last message that the client has seen: it gets those after it. It may be
// an id, too, which no other history of the room has.
void enter(WebSocket& socket, Request& request) {
  const std::string name = name_of(request);
  const std::string since = request.query("since").value_or("");
  socket.attach(name);
  socket.subscribe(topic_of(request), {.history = kHistory, .after = since, .presence = true, .member = name});
}

Task<void> say(WebSocket& socket, Message message) {
  if (!message.is_text()) {
    socket.close(kCloseUnsupported, "a room takes text only");
    co_return;
  }
  const nlohmann::json said{
      {"from", socket.id()}, {"name", socket.attachment()}, {"text", message.text()}, {"pid", ::getpid()}};
  const std::string payload = said.dump();
  bool sent = true;
  try {
    co_await socket.publish(socket.topics().front(), payload);
  } catch (const RedisUnavailable&) {
    sent = false;
  }
  if (!sent) socket.send(R"({"error":"Redis is down: the message may be lost"})");
}

std::uint64_t offset_of(std::string_view id) {  // "EPOCH-OFFSET"
  std::uint64_t offset = 0;
  const std::string_view digits = id.substr(id.rfind('-') + 1);
  std::from_chars(digits.data(), digits.data() + digits.size(), offset);
  return offset;
}

// What the clients in a room get for an event of its topic.
std::string said_in_room(const Event& event) {
  if (event.gap) return R"({"gap":true})";
  auto said = nlohmann::json::parse(event.payload, nullptr, false);
  if (!said.is_object()) return {};  // somebody else has published to this topic
  said["offset"] = offset_of(event.id);
  said["id"] = event.id;
  said["via"] = ::getpid();  // the worker that the reader is on; `pid` is that of the writer
  return said.dump();
}

// How many are in the room, and the names of a hundred of them.
Task<Response> who_is_there(Request& request) {
  const PresenceList present = co_await request.presence(topic_of(request)).list(100);
  auto names = nlohmann::json::array();
  for (const PresentMember& member : present.members) names.push_back(member.data);
  co_return json_response({{"sockets", present.count}, {"names", names}});
}

}  // namespace

void add_room_routes(App& app) {
  app.websocket("/rooms/{room}", {.open = enter, .message = say, .event = said_in_room}).max_message(16_KiB);
  app.get("/rooms/{room}/presence", who_is_there);
}

}  // namespace demo
