// A client of server-sent events.
#pragma once

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/clients/http_client.h"
#include "support/eventually.h"

namespace pronghorn::test {

struct SentEvent {
  std::string type;
  std::string data;
  std::string id;
};

// An EventSource that reads when it is asked to. HTTP/1.0, so that its stream has no chunks.
class EventSource {
 public:
  EventSource(const Address& address, const std::string& target, const std::string& last_id = "")
      : connection_(address) {
    std::string request = "GET " + target + " HTTP/1.0\r\nHost: localhost\r\n";
    if (!last_id.empty()) request += "Last-Event-ID: " + last_id + "\r\n";
    id = last_id;
    if (!connection_.send_raw(request + "\r\n")) throw std::runtime_error("the server closed the connection");
  }

  // Reads what is there.
  void read() {
    while (!closed) {
      pollfd ready{connection_.fd(), POLLIN, 0};
      if (::poll(&ready, 1, 0) <= 0) break;
      char bytes[64 * 1024];
      const ssize_t count = ::recv(connection_.fd(), bytes, sizeof bytes, MSG_DONTWAIT);
      if (count <= 0) {
        closed = true;
      } else {
        text_.append(bytes, static_cast<std::size_t>(count));
      }
    }
    if (!has_head_) {
      const std::size_t end = text_.find("\r\n\r\n");
      if (end == std::string::npos) return;
      head = text_.substr(0, end);
      text_.erase(0, end + 4);
      has_head_ = true;
    }
    for (std::size_t end = text_.find("\n\n"); end != std::string::npos; end = text_.find("\n\n")) {
      take(text_.substr(0, end + 1));
      text_.erase(0, end + 2);
    }
  }
  // Waits until `condition` is true of what was read.
  template <class Condition>
  bool wait(Condition condition, std::chrono::milliseconds deadline = 20s) {
    return eventually(deadline, [&] {
      read();
      return condition();
    });
  }
  bool wait_for(const std::string& data) {
    return wait([&] { return has(data); });
  }
  bool wait_for_head() {
    return wait([&] { return has_head_; });
  }
  // The response has an id already, before any event: it is subscribed.
  bool wait_for_id() {
    return wait([&] { return !id.empty(); });
  }
  [[nodiscard]] bool has(const std::string& data) const {
    return std::ranges::any_of(events, [&data](const SentEvent& event) { return event.data == data; });
  }
  [[nodiscard]] std::vector<std::string> datas() const {
    std::vector<std::string> all;
    for (const SentEvent& event : events) {
      if (event.type.empty()) all.push_back(event.data);
    }
    return all;
  }
  [[nodiscard]] int gaps() const {
    return static_cast<int>(std::ranges::count_if(events, [](const SentEvent& event) { return event.type == "gap"; }));
  }
  [[nodiscard]] int fd() const noexcept { return connection_.fd(); }

  std::string head;
  std::string id;  // the last
  std::vector<SentEvent> events;
  bool closed = false;

 private:
  void take(const std::string& block) {
    SentEvent event;
    bool has_data = false;
    for (std::size_t begin = 0; begin < block.size();) {
      const std::size_t end = block.find('\n', begin);
      const std::string line = block.substr(begin, end - begin);
      begin = end + 1;
      const std::string value = line.substr(std::min(line.find(": ") + 2, line.size()));
      if (line.starts_with("id: ")) id = event.id = value;
      if (line.starts_with("event: ")) event.type = value;
      if (line.starts_with("data: ")) {
        event.data += (has_data ? "\n" : "") + value;
        has_data = true;
      }
    }
    if (has_data) events.push_back(event);
  }

  HttpConnection connection_;
  std::string text_;
  bool has_head_ = false;
};

}  // namespace pronghorn::test
