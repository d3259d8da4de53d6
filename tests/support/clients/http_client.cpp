#include "support/clients/http_client.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cstring>

namespace pronghorn::test {

namespace {

int remaining_ms(Clock::time_point deadline) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
  return left < 0 ? 0 : static_cast<int>(left) + 1;
}

bool wait_for(int fd, short events, Clock::time_point deadline) {
  pollfd entry{fd, events, 0};
  for (;;) {
    const int ready = ::poll(&entry, 1, remaining_ms(deadline));
    if (ready > 0) return true;
    if (ready == 0 && Clock::now() >= deadline) return false;
    if (ready < 0 && errno != EINTR) return false;
  }
}

bool same_name(std::string_view a, std::string_view b) {
  return a.size() == b.size() && ::strncasecmp(a.data(), b.data(), a.size()) == 0;
}

int connect_to(const Address& address, Clock::time_point deadline) {
  const SocketAddress to = socket_address(address);
  const int fd = ::socket(to.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) throw ClientError(Failure::refused, std::strerror(errno));
  int error = ::connect(fd, reinterpret_cast<const sockaddr*>(&to.storage), to.size) == 0 ? 0 : errno;
  if (error == EINPROGRESS) {
    if (!wait_for(fd, POLLOUT, deadline)) {
      ::close(fd);
      throw ClientError(Failure::timeout, "no connection to " + address.text());
    }
    socklen_t size = sizeof error;
    ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  }
  if (error != 0) {
    ::close(fd);
    throw ClientError(Failure::refused, address.text() + ": " + std::strerror(error));
  }
  if (address.unix_path.empty()) {
    const int one = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  }
  return fd;
}

HttpResponse parse_status_line(const std::string& line) {
  HttpResponse response;
  if (line.size() < 12 || !line.starts_with("HTTP/1.") || line[8] != ' ') {
    throw ClientError(Failure::malformed, "status line \"" + line.substr(0, 80) + "\"");
  }
  response.version = line.substr(0, 8);
  std::from_chars(line.data() + 9, line.data() + 12, response.status);
  if (line.size() > 13) response.reason = line.substr(13);
  return response;
}

}  // namespace

const char* to_string(Failure failure) noexcept {
  switch (failure) {
    case Failure::refused:
      return "refused";
    case Failure::timeout:
      return "timeout";
    case Failure::closed:
      return "closed before the response";
    case Failure::reset:
      return "reset";
    case Failure::cut:
      return "cut in the response";
    case Failure::malformed:
      return "malformed";
  }
  return "?";
}

std::string HttpResponse::header(std::string_view name) const {
  for (const auto& [field, value] : headers) {
    if (same_name(field, name)) return value;
  }
  return {};
}

bool HttpResponse::has(std::string_view name) const {
  return std::any_of(headers.begin(), headers.end(),
                     [name](const auto& field) { return same_name(field.first, name); });
}

nlohmann::json HttpResponse::json() const {
  try {
    return nlohmann::json::parse(body);
  } catch (const nlohmann::json::parse_error& error) {
    throw std::runtime_error(std::string(error.what()) + " in: " + body.substr(0, 500));
  }
}

HttpConnection::HttpConnection(const Address& address, std::chrono::milliseconds timeout)
    : fd_(connect_to(address, Clock::now() + timeout)), timeout_(timeout) {}

HttpConnection::HttpConnection(HttpConnection&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), timeout_(other.timeout_), buffer_(std::move(other.buffer_)) {}

HttpConnection& HttpConnection::operator=(HttpConnection&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(timeout_, other.timeout_);
  std::swap(buffer_, other.buffer_);
  return *this;
}

HttpConnection::~HttpConnection() {
  if (fd_ >= 0) ::close(fd_);
}

bool HttpConnection::send_raw(std::string_view bytes) {
  const auto deadline = Clock::now() + timeout_;
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent > 0) {
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    } else if (errno == EAGAIN) {
      if (!wait_for(fd_, POLLOUT, deadline)) throw ClientError(Failure::timeout, "the server stopped reading");
    } else if (errno != EINTR) {
      return false;
    }
  }
  return true;
}

bool HttpConnection::fill() {
  if (!wait_for(fd_, POLLIN, deadline_)) throw ClientError(Failure::timeout, "no response");
  char bytes[16 * 1024];
  const ssize_t received = ::recv(fd_, bytes, sizeof bytes, 0);
  if (received < 0 && (errno == EAGAIN || errno == EINTR)) return true;
  if (received < 0) throw ClientError(Failure::reset, std::strerror(errno));
  buffer_.append(bytes, static_cast<std::size_t>(received));
  return received > 0;
}

std::string HttpConnection::read_line() {
  for (;;) {
    if (const auto end = buffer_.find("\r\n"); end != std::string::npos) {
      std::string line = buffer_.substr(0, end);
      buffer_.erase(0, end + 2);
      in_response_ = true;
      return line;
    }
    if (!fill()) {
      if (!in_response_ && buffer_.empty()) throw ClientError(Failure::closed, "no byte of the response came");
      throw ClientError(Failure::cut, "in the head or a chunk");
    }
  }
}

std::string HttpConnection::read_exactly(std::size_t count) {
  while (buffer_.size() < count) {
    if (!fill()) throw ClientError(Failure::cut, "in the body");
  }
  std::string bytes = buffer_.substr(0, count);
  buffer_.erase(0, count);
  return bytes;
}

std::string HttpConnection::read_chunks() {
  std::string body;
  for (;;) {
    const std::string line = read_line();
    std::size_t size = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), size, 16);
    if (error != std::errc{} || (end != line.data() + line.size() && *end != ';')) {
      throw ClientError(Failure::malformed, "chunk size \"" + line + "\"");
    }
    if (size == 0) break;
    body += read_exactly(size);
    if (!read_line().empty()) throw ClientError(Failure::malformed, "a chunk is longer than its size line says");
  }
  while (!read_line().empty()) {  // trailers
  }
  return body;
}

HttpResponse HttpConnection::read_response(bool to_head) {
  deadline_ = Clock::now() + timeout_;
  in_response_ = false;
  HttpResponse response = parse_status_line(read_line());
  for (std::string line = read_line(); !line.empty(); line = read_line()) {
    const auto colon = line.find(':');
    if (colon == std::string::npos) throw ClientError(Failure::malformed, "field \"" + line + "\"");
    const auto value = line.find_first_not_of(" \t", colon + 1);
    response.headers.emplace_back(line.substr(0, colon), value == std::string::npos ? "" : line.substr(value));
  }
  response.chunked = same_name(response.header("Transfer-Encoding"), "chunked");
  if (to_head || response.status < 200 || response.status == 204 || response.status == 304) return response;
  if (response.chunked) {
    response.body = read_chunks();
  } else if (response.has("Content-Length")) {
    response.body = read_exactly(std::stoul(response.header("Content-Length")));
  } else {
    while (fill()) {
    }
    response.body = std::exchange(buffer_, {});
  }
  return response;
}

HttpResponse HttpConnection::request(std::string_view method, std::string_view target, const Headers& headers,
                                     std::string_view body) {
  std::string head = std::string(method) + " " + std::string(target) + " HTTP/1.1\r\n";
  if (std::none_of(headers.begin(), headers.end(), [](const auto& field) { return field.first == "Host"; })) {
    head += "Host: localhost\r\n";
  }
  for (const auto& [name, value] : headers) head += name + ": " + value + "\r\n";
  if (!body.empty() || method == "POST") head += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  send_raw(head + "\r\n" + std::string(body));
  HttpResponse response = read_response(method == "HEAD");
  while (response.status < 200) response = read_response(method == "HEAD");
  return response;
}

bool HttpConnection::readable_within(std::chrono::milliseconds deadline) {
  return !buffer_.empty() || wait_for(fd_, POLLIN, Clock::now() + deadline);
}

bool HttpConnection::closed_within(std::chrono::milliseconds deadline) {
  deadline_ = Clock::now() + deadline;
  try {
    return buffer_.empty() && !fill();
  } catch (const ClientError& error) {
    return error.failure() == Failure::reset;
  }
}

std::string HttpConnection::read_rest(std::chrono::milliseconds deadline) {
  deadline_ = Clock::now() + deadline;
  try {
    while (Clock::now() < deadline_ && fill()) {
    }
  } catch (const ClientError&) {
  }
  return std::exchange(buffer_, {});
}

std::string HttpConnection::read_until(std::string_view text, std::chrono::milliseconds deadline) {
  deadline_ = Clock::now() + deadline;
  try {
    while (buffer_.find(text) == std::string::npos && Clock::now() < deadline_ && fill()) {
    }
  } catch (const ClientError&) {
  }
  return std::exchange(buffer_, {});
}

void HttpConnection::finish_sending() { ::shutdown(fd_, SHUT_WR); }

void HttpConnection::abort() {
  const linger now{1, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  ::close(std::exchange(fd_, -1));
}

std::uint16_t HttpConnection::local_port() const {
  sockaddr_storage own{};
  socklen_t size = sizeof own;
  if (::getsockname(fd_, reinterpret_cast<sockaddr*>(&own), &size) != 0) return 0;
  if (own.ss_family == AF_INET) return ntohs(reinterpret_cast<sockaddr_in*>(&own)->sin_port);
  if (own.ss_family == AF_INET6) return ntohs(reinterpret_cast<sockaddr_in6*>(&own)->sin6_port);
  return 0;
}

HttpResponse get(const Address& address, std::string_view target, const Headers& headers) {
  return HttpConnection(address).get(target, headers);
}

HttpResponse post(const Address& address, std::string_view target, std::string_view body, const Headers& headers) {
  return HttpConnection(address).request("POST", target, headers, body);
}

HttpResponse Browser::get(std::string_view target) { return send("GET", target, {}, {}); }

HttpResponse Browser::post(std::string_view target, std::string_view body, std::string_view content_type) {
  return send("POST", target, {{"Content-Type", std::string(content_type)}}, body);
}

std::string Browser::cookie(const std::string& name) const {
  const auto found = cookies_.find(name);
  return found == cookies_.end() ? std::string() : found->second;
}

Headers Browser::cookie_header() const {
  std::string line;
  for (const auto& [name, value] : cookies_) line += (line.empty() ? "" : "; ") + name + "=" + value;
  return line.empty() ? Headers{} : Headers{{"Cookie", line}};
}

HttpResponse Browser::send(std::string_view method, std::string_view target, Headers headers, std::string_view body) {
  for (auto& field : cookie_header()) headers.push_back(std::move(field));
  HttpResponse response = HttpConnection(address_).request(method, target, headers, body);
  for (const auto& [name, value] : response.headers) {
    if (!same_name(name, "Set-Cookie")) continue;
    const std::string pair = value.substr(0, value.find(';'));
    const auto equals = pair.find('=');
    if (equals == std::string::npos) continue;
    if (value.find("Max-Age=0") != std::string::npos) {
      cookies_.erase(pair.substr(0, equals));
    } else {
      cookies_[pair.substr(0, equals)] = pair.substr(equals + 1);
    }
  }
  return response;
}

}  // namespace pronghorn::test
