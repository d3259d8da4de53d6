// A small blocking HTTP/1.1 client that can also send malformed requests.
//
// Context: any thread, but one object in one thread at a time. Every wait has a deadline.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/clients/address.h"
#include "support/eventually.h"

namespace pronghorn::test {

// Why a request has no response.
enum class Failure {
  refused,    // cannot connect
  timeout,    // nothing came before the deadline
  closed,     // the server closed before the first byte of the response
  reset,      // the connection was reset before the response was complete
  cut,        // the server closed in the middle of the response
  malformed,  // the response is not valid HTTP
};
[[nodiscard]] const char* to_string(Failure failure) noexcept;

class ClientError : public std::runtime_error {
 public:
  ClientError(Failure failure, const std::string& text)
      : std::runtime_error(std::string(to_string(failure)) + ": " + text), failure_(failure) {}
  [[nodiscard]] Failure failure() const noexcept { return failure_; }

 private:
  Failure failure_;
};

using Headers = std::vector<std::pair<std::string, std::string>>;

struct HttpResponse {
  int status = 0;
  std::string version;  // "HTTP/1.1"
  std::string reason;
  Headers headers;
  std::string body;  // without the chunk framing
  bool chunked = false;

  // Value of the first field of that name (case-insensitive); empty if there is none.
  [[nodiscard]] std::string header(std::string_view name) const;
  [[nodiscard]] bool has(std::string_view name) const;
  // Throws std::runtime_error with the beginning of the body if it is not JSON.
  [[nodiscard]] nlohmann::json json() const;
};

class HttpConnection {
 public:
  // Connects. Throws ClientError.
  explicit HttpConnection(const Address& address, std::chrono::milliseconds timeout = 30s);
  HttpConnection(HttpConnection&& other) noexcept;
  HttpConnection& operator=(HttpConnection&& other) noexcept;
  ~HttpConnection();

  // False if the server has closed or reset the connection. Responses that came before can still be read.
  bool send_raw(std::string_view bytes);
  // Reads the next response, which may be an interim one (1xx). `to_head`: it answers HEAD, so no body follows.
  HttpResponse read_response(bool to_head = false);
  // Sends a request with Host (localhost, unless `headers` has one) and, if there is a body, Content-Length. Skips
  // interim responses.
  HttpResponse request(std::string_view method, std::string_view target, const Headers& headers = {},
                       std::string_view body = {});
  HttpResponse get(std::string_view target, const Headers& headers = {}) { return request("GET", target, headers); }

  // Whether the server closes or resets within `deadline` without sending anything more.
  [[nodiscard]] bool closed_within(std::chrono::milliseconds deadline);
  // Everything up to the end of the connection or `deadline`.
  std::string read_rest(std::chrono::milliseconds deadline);
  // Everything up to the first bytes after which `text` has come, the end of the connection, or `deadline`.
  std::string read_until(std::string_view text, std::chrono::milliseconds deadline = 20s);
  // Whether bytes (or the end) can be read within `deadline`.
  [[nodiscard]] bool readable_within(std::chrono::milliseconds deadline);
  void set_timeout(std::chrono::milliseconds timeout) noexcept { timeout_ = timeout; }
  // Closes the sending side (FIN). Responses can still be read.
  void finish_sending();
  // Closes with a reset.
  void abort();
  [[nodiscard]] int fd() const noexcept { return fd_; }
  // The client's own port; 0 on a Unix socket.
  [[nodiscard]] std::uint16_t local_port() const;

 private:
  bool fill();  // reads more bytes into buffer_; false if the server has closed
  std::string read_line();
  std::string read_exactly(std::size_t count);
  std::string read_chunks();

  int fd_ = -1;
  std::chrono::milliseconds timeout_;
  Clock::time_point deadline_{};
  std::string buffer_;
  bool in_response_ = false;
};

// Send one request on a new connection.
HttpResponse get(const Address& address, std::string_view target, const Headers& headers = {});
HttpResponse post(const Address& address, std::string_view target, std::string_view body = {},
                  const Headers& headers = {});

// Keeps cookies between requests. Each request has a new connection, so any worker may get it.
class Browser {
 public:
  explicit Browser(Address address) : address_(std::move(address)) {}
  HttpResponse get(std::string_view target);
  HttpResponse post(std::string_view target, std::string_view body = {},
                    std::string_view content_type = "application/x-www-form-urlencoded");
  [[nodiscard]] std::string cookie(const std::string& name) const;
  void set_cookie(const std::string& name, const std::string& value) { cookies_[name] = value; }
  [[nodiscard]] Headers cookie_header() const;

 private:
  HttpResponse send(std::string_view method, std::string_view target, Headers headers, std::string_view body);
  Address address_;
  std::map<std::string, std::string> cookies_;
};

}  // namespace pronghorn::test
