#include "worker/control/socket_list.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>

#include "common/ipc/scoreboard.h"
#include "common/text/json_text.h"
#include "worker/websocket/connection.h"

namespace pronghorn::worker {
namespace {

// Bytes: a message of the channel is limited.
constexpr std::size_t kLongestRoute = 300;
constexpr std::size_t kMostTopics = 1000;

using Connections = std::vector<const SocketConnection*>;

std::vector<std::string_view> first_topics(const Socket& socket) {
  std::vector<std::string_view> first;
  std::size_t size = 0;
  for (const std::string& topic : socket.topics()) {
    size += topic.size();
    if (size > kMostTopics) break;
    first.emplace_back(topic);
  }
  return first;
}

std::string describe(const SocketConnection& connection, std::uint32_t slot, std::uint64_t now) {
  const Socket& socket = connection.socket();
  const std::string_view route = socket.route().path.substr(0, kLongestRoute);
  const std::uint64_t opened = connection.opened_ms();
  return dump_json({{"slot", slot},
                    {"state", "socket"},
                    {"request", "WEBSOCKET " + std::string(route)},
                    {"route", route},
                    {"client", socket.client().address},
                    {"id", socket.record().id},
                    {"age_ms", now > opened ? now - opened : 0},
                    {"queued_bytes", connection.queued()},
                    {"topics", first_topics(socket)},
                    {"topic_count", socket.topics().size()}});
}

// Moves the first kListedSockets by this order to the front; returns how many these are.
template <class Before>
std::size_t select(Connections& connections, Before before) {
  const std::size_t count = std::min(connections.size(), kListedSockets);
  const auto last = connections.begin() + static_cast<std::ptrdiff_t>(count);
  std::partial_sort(connections.begin(), last, connections.end(), before);
  return count;
}

}  // namespace

std::vector<std::string> list_sockets(const SocketService& sockets, std::uint32_t slot) {
  Connections all;
  all.reserve(sockets.connections().size());
  for (const auto& [id, connection] : sockets.connections()) all.push_back(connection);
  const std::size_t oldest =
      select(all, [](const auto* one, const auto* other) { return one->opened_ms() < other->opened_ms(); });
  Connections listed(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(oldest));
  std::erase_if(all, [](const auto* each) { return each->queued() == 0; });
  const std::size_t fattest =
      select(all, [](const auto* one, const auto* other) { return one->queued() > other->queued(); });
  for (std::size_t i = 0; i < fattest; ++i) {
    if (std::ranges::find(listed, all[i]) == listed.end()) listed.push_back(all[i]);
  }
  const std::uint64_t now = monotonic_ms();
  std::vector<std::string> texts;
  texts.reserve(listed.size());
  for (const SocketConnection* connection : listed) texts.push_back(describe(*connection, slot, now));
  return texts;
}

}  // namespace pronghorn::worker
