#include "worker/websocket/socket_service.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <stdexcept>
#include <utility>
#include <variant>

#include "common/log.h"
#include "common/text/utf8.h"
#include "pronghorn/concurrent.h"
#include "worker/runtime/exception_text.h"
#include "worker/state/state_services.h"
#include "worker/websocket/connection.h"

namespace pronghorn::worker {
namespace {

constexpr std::string_view kDirectTopic = "pronghorn:sockets";
constexpr char kSend = 's';
constexpr char kClose = 'c';
constexpr std::size_t kCodeDigits = 4;

// The socket has no connection, and nothing is left of its request.
Task<void> run_close_handler(std::unique_ptr<Socket> socket) {
  try {
    const auto& close = socket->route().entry.handlers.close.function();
    if (const auto* plain = std::get_if<0>(&close)) {
      if (*plain) (*plain)(socket->handle(), CloseReason{});
    } else {
      co_await std::get<1>(close)(socket->handle(), CloseReason{});
    }
  } catch (...) {
    log_error("a handler of a WebSocket failed",
              {{"socket", socket->record().id}, {"error", describe(std::current_exception())}});
  }
}

}  // namespace

SocketService::SocketService(WorkerRow& row, StateServices* state, pronghorn::Worker& worker)
    : row_(row), state_(state), worker_(worker), no_route_{no_entry_, {}, 0, {}, no_row_} {}

SocketService::~SocketService() = default;

void SocketService::add_route(const detail::SocketEntry& entry, std::string_view path, std::uint32_t index,
                              std::chrono::milliseconds deadline) {
  routes_.push_back({entry, path, index, deadline, row_.routes[index].sockets});
  // Not with the first socket: another worker may know its id before Redis has answered.
  if (state_ != nullptr && !direct_.joined()) direct_.join(state_->events.topics(), kDirectTopic);
}

SocketRoute& SocketService::route(const detail::SocketEntry& entry) noexcept {
  const auto found = std::ranges::find_if(routes_, [&entry](const SocketRoute& each) { return &each.entry == &entry; });
  return found == routes_.end() ? no_route_ : *found;
}

std::unique_ptr<Socket> SocketService::take_up(std::string_view state, const Request::Client& client) {
  std::optional<SocketRecord> record = read_record(state);
  if (!record) {
    log_error("a WebSocket of another worker cannot be understood; it is closed");
    return nullptr;
  }
  const auto found =
      std::ranges::find_if(routes_, [&record](const SocketRoute& each) { return each.path == record->route; });
  if (found == routes_.end()) return nullptr;
  return std::make_unique<Socket>(*this, *found, client, std::move(*record));
}

std::unique_ptr<Socket> SocketService::stranger(const Request::Client& client) {
  return std::make_unique<Socket>(*this, no_route_, client, SocketRecord{});
}

void SocketService::abandon(std::unique_ptr<Socket> socket) noexcept {
  pronghorn::detail::spawn_detached(run_close_handler(std::move(socket)));
}

void SocketService::enlist(SocketConnection& connection) {
  connections_.emplace(connection.socket().record().id, &connection);
  add(row_[Count::sockets]);
}

void SocketService::delist(SocketConnection& connection) noexcept {
  const auto found = connections_.find(connection.socket().record().id);
  if (found != connections_.end() && found->second == &connection) connections_.erase(found);
  subtract(row_[Count::sockets]);
}

void SocketService::count_queued(std::uint64_t before, std::uint64_t now) noexcept {
  queued_ += now - before;
  if (!full_ && queued_ > kMostQueued) {
    full_ = true;
    log_warning("clients of WebSockets read too slowly: those for whom more than 64 KiB wait are treated as too slow",
                {{"queued_bytes", queued_}});
  } else if (full_ && queued_ < kMostQueued / 2) {
    full_ = false;
    log_info("the queues of WebSockets are short again", {{"queued_bytes", queued_}});
  }
}

// --- Topics ----------------------------------------------------------------------------------------------------------

void SocketService::require_redis(const char* call) const {
  if (state_ == nullptr) throw std::logic_error(fmt::format("{} needs Redis: the option redis is none", call));
}

void SocketService::join(SocketTopic& topic, std::string_view name, const Bookmark& from) {
  if (state_ != nullptr) topic.join(state_->events.topics(), name, from);
}

void SocketService::join_presence(std::string_view topic, std::string_view id, std::string_view member) {
  if (state_ != nullptr) state_->presence.join(topic, id, member);
}

void SocketService::leave_presence(std::string_view topic, std::string_view id) {
  if (state_ != nullptr) state_->presence.leave(topic, id);
}

void SocketService::release_presence(std::string_view topic, std::string_view id) {
  if (state_ != nullptr) state_->presence.release(topic, id);
}

std::string SocketService::message_of(const SocketRoute& route, Event event) {
  try {
    return route.entry.handlers.event(event);
  } catch (...) {
    add(row_[Count::handler_errors]);
    log_error("the event function of a WebSocket failed; its clients do not get the event",
              {{"route", route.path}, {"topic", event.topic}, {"error", describe(std::current_exception())}});
    return {};
  }
}

std::string SocketService::gap_message(const SocketRoute& route, const std::string& topic) {
  if (!route.entry.handlers.event) return {};
  return message_of(route, {.topic = topic, .payload = {}, .id = {}, .gap = true});
}

std::string_view SocketService::frame_of(SocketRoute& route, const std::string& topic, const EventPtr& event,
                                         const SocketRecord& socket) {
  FramedEvent& framed = route.framed;
  if (framed.event != event) {
    framed.event = event;
    framed.plain.clear();
    framed.compressed_bits = 0;
    framed.message.clear();
    framed.own = static_cast<bool>(route.entry.handlers.event);
    if (framed.own) {
      const std::string id = event->position() ? to_text(event->position()) : std::string();
      framed.message = message_of(route, {.topic = topic, .payload = event->payload(), .id = id});
    }
  }
  const std::string& message = framed.own ? framed.message : event->payload();
  if (framed.own && message.empty()) return {};
  const auto write = [&](std::string& frame, std::optional<DeflateTerms> terms) {
    is_utf8(message) ? writer_.text(frame, message, terms) : writer_.binary(frame, message, terms);
  };
  if (!socket.compressed) {
    if (framed.plain.empty()) write(framed.plain, std::nullopt);
    return framed.plain;
  }
  if (framed.compressed_bits != socket.window_bits) {
    framed.compressed.clear();
    framed.compressed_bits = socket.window_bits;
    write(framed.compressed, DeflateTerms{.window_bits = socket.window_bits});
  }
  return framed.compressed;
}

// --- Sockets ---------------------------------------------------------------------------------------------------------

Task<void> SocketService::send(std::string id, std::string text) {
  if (!is_utf8(text)) throw std::invalid_argument("send(): the text is not UTF-8");
  co_await pass_on(std::move(id), kSend + text);
}

Task<void> SocketService::close(std::string id, std::uint16_t code, std::string reason) {
  require_close(code, reason);
  co_await pass_on(std::move(id), fmt::format("{}{}{}", kClose, code, reason));
}

Task<void> SocketService::pass_on(std::string id, std::string order) {
  if (id.size() != kSocketId) co_return;
  if (carry_out(id, order)) co_return;
  require_redis("a socket of another worker");
  std::string message = id + order;
  co_await state_->events.publish(std::string(kDirectTopic), std::move(message), {});
}

// False if the socket is not here.
bool SocketService::carry_out(std::string_view id, std::string_view order) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return false;
  if (order.starts_with(kSend)) {
    if (!is_utf8(order.substr(1))) return true;  // whoever has written that to Redis
    found->second->send(order.substr(1), true);
  } else if (order.starts_with(kClose) && order.size() > kCodeDigits) {
    std::uint16_t code = kCloseNormal;
    std::from_chars(order.data() + 1, order.data() + 1 + kCodeDigits, code);
    found->second->begin_close(valid_close_code(code) ? code : std::uint16_t{kCloseNormal},
                               order.substr(1 + kCodeDigits));
  }
  return true;
}

void SocketService::Direct::event(const EventPtr& event) {
  const std::string_view message = event->payload();
  if (message.size() <= kSocketId) return;
  static_cast<void>(service_.carry_out(message.substr(0, kSocketId), message.substr(kSocketId)));
}

}  // namespace pronghorn::worker
