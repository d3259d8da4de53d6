// An HTTP/2 client on a socket, by prior knowledge.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "support/clients/address.h"
#include "support/clients/http2/http2_client.h"

namespace pronghorn::test {

// Context: one thread.
class Http2Socket {
 public:
  // Throws std::system_error if it cannot connect.
  explicit Http2Socket(const Address& address, const Http2Client::Options& options = {});
  Http2Socket(const Http2Socket&) = delete;
  Http2Socket& operator=(const Http2Socket&) = delete;
  ~Http2Socket();

  [[nodiscard]] Http2Client& client() noexcept { return client_; }
  // Carries bytes both ways until `done`. False if the connection ends or `deadline` passes first.
  bool run_until(const std::function<bool()>& done, std::chrono::milliseconds deadline = std::chrono::seconds(10));
  // Asks and waits until the stream has ended. Its answer is not complete() if that failed.
  Http2Answer ask(std::string_view method, std::string_view path, const Http2Fields& more = {},
                  std::optional<std::string> body = {});
  // Bytes that the client does not make itself. False if the connection has ended.
  bool send_raw(std::string_view bytes);
  // Whether the server has closed or reset the connection, as far as was read.
  [[nodiscard]] bool ended() const noexcept { return ended_; }

 private:
  void send_all(std::string_view bytes);
  void receive();

  int fd_;
  Http2Client client_;
  bool ended_ = false;
};

}  // namespace pronghorn::test
