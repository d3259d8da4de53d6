// Many WebSocket clients at once, in one thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "support/clients/address.h"

namespace pronghorn::test {

// Connects, reads what comes and keeps count. Nobody reconnects.
//
// Context: the thread that calls. The functions work until their condition holds or their deadline passes.
class SocketCrowd {
 public:
  // Called for each text that a client gets.
  using OnText = std::function<void(std::size_t client, std::string_view text)>;

  // `receive_buffer`: bytes that the kernel keeps for a client that does not read (0: as it likes). Then it also takes
  // small packets, as from a network: for those of the loopback device, Linux keeps megabytes for each sender.
  explicit SocketCrowd(Address address, OnText on_text = {}, int receive_buffer = 0);
  SocketCrowd(const SocketCrowd&) = delete;
  SocketCrowd& operator=(const SocketCrowd&) = delete;
  ~SocketCrowd();

  // `count` more clients of this path, 256 handshakes at a time. Throws std::runtime_error if one is refused, or if it
  // takes too long.
  void join(std::string_view path, std::size_t count, std::chrono::milliseconds deadline = std::chrono::seconds(120));
  // Sends a text message.
  void send(std::size_t client, std::string_view text);
  // Reads for a while.
  void run_for(std::chrono::milliseconds time);
  // Reads until `condition` holds. False if the deadline passes first.
  [[nodiscard]] bool run_until(const std::function<bool()>& condition,
                               std::chrono::milliseconds deadline = std::chrono::seconds(60));

  [[nodiscard]] std::size_t size() const noexcept { return clients_.size(); }
  // How many have lost their connection or got a close frame, and why, one line each kind.
  [[nodiscard]] std::size_t lost() const noexcept { return lost_; }
  [[nodiscard]] const std::map<std::string, std::size_t>& reasons() const noexcept { return reasons_; }
  [[nodiscard]] std::uint64_t texts() const noexcept { return texts_; }

 private:
  struct Client;
  void connect(std::string_view path);
  void poll(std::chrono::milliseconds time);
  void ready(Client& client);
  void take(Client& client, std::string_view bytes);
  void lose(Client& client, const std::string& reason);

  Address address_;
  OnText on_text_;
  int receive_buffer_;
  int epoll_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::size_t open_ = 0;
  std::size_t lost_ = 0;
  std::uint64_t texts_ = 0;
  std::map<std::string, std::size_t> reasons_;
  struct Shared;
  std::unique_ptr<Shared> shared_;
};

}  // namespace pronghorn::test
