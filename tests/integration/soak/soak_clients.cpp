#include "integration/soak/soak_clients.h"

#include <algorithm>
#include <memory>
#include <numeric>
#include <optional>

namespace pronghorn::test {
namespace {

int between(std::mt19937& random, int least, int most) {
  return std::uniform_int_distribution<int>(least, most)(random);
}

// Byte i of /download is i % 251.
bool is_download(const std::string& body, std::size_t size) {
  if (body.size() != size) return false;
  for (std::size_t i = 0; i < size; ++i) {
    if (static_cast<unsigned char>(body[i]) != i % 251) return false;
  }
  return true;
}

std::string lines(int count) {
  std::string text;
  for (int line = 1; line <= count; ++line) text += "line " + std::to_string(line) + "\n";
  return text;
}

std::string get_line(const std::string& target) { return "GET " + target + " HTTP/1.1\r\nHost: localhost\r\n\r\n"; }

void pause(std::mt19937& random, int most_ms) {
  std::this_thread::sleep_for(std::chrono::milliseconds(between(random, 0, most_ms)));
}

}  // namespace

std::uint64_t SoakCounts::all_answered() const {
  return std::accumulate(std::begin(answered), std::end(answered), std::uint64_t{0});
}

std::string SoakCounts::text() const {
  std::string text = std::to_string(answered[2]) + " answered 2xx, " + std::to_string(answered[5]) + " 5xx, " +
                     std::to_string(aborted) + " aborted, " + std::to_string(unanswered) + " unanswered on " +
                     std::to_string(broken) + " broken connections";
  for (const auto& [what, count] : ends) text += "\n  " + std::to_string(count) + " × " + what;
  for (const std::string& mistake : mistakes) text += "\n  " + mistake;
  return text;
}

SoakClients::SoakClients(Address address, std::uint32_t seed) : address_(std::move(address)) {
  const auto each = [this, &seed](void (SoakClients::*turn)(Client&)) {
    for (int i = 0; i < kOfEachKind; ++i) {
      start(++seed, [this, turn](Client& client) { (this->*turn)(client); });
    }
  };
  each(&SoakClients::plain);
  each(&SoakClients::pipelining);
  each(&SoakClients::slow_reader);
  each(&SoakClients::aborting);
  each(&SoakClients::uploading);
  each(&SoakClients::streaming);
  for (int i = 0; i < kOfEachKind; ++i) start(++seed, with_session());
}

void SoakClients::start(std::uint32_t seed, Turn turn) {
  threads_.emplace_back([this, seed, turn = std::move(turn)] { run(seed, turn); });
}

SoakCounts SoakClients::stop() {
  stopping_ = true;
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  counts_.refused = refused_;
  return counts_;
}

void SoakClients::run(std::uint32_t seed, const Turn& turn) {
  Client client{std::mt19937(seed), {}, false};
  while (!stopping_) {
    try {
      if (between(client.random, 0, 3) == 0) client.connection.reset();  // they are kept for a while
      turn(client);
    } catch (const ClientError& error) {
      client.connection.reset();
      if (error.failure() == Failure::refused || error.failure() == Failure::timeout) {
        const std::lock_guard lock(mutex_);
        counts_.mistakes.emplace_back(error.what());
      }
    }
    pause(client.random, 10);
  }
}

// Before a request: a worker that drains or dies ends idle connections, which is no loss. Readable, without a response.
void SoakClients::connect(Client& client) {
  if (client.connection && !client.connection->readable_within(0ms)) return;
  client.connection.emplace(address_, 30s);
  client.kept = false;
}

HttpResponse SoakClients::ask(Client& client, std::string_view method, const std::string& target,
                              const std::string& body, const Headers& headers,
                              const std::function<bool(const HttpResponse&)>& right) {
  connect(client);
  try {
    HttpResponse response = client.connection->request(method, target, headers, body);
    saw(client, response, right(response), std::string(method) + " " + target);
    return response;
  } catch (const ClientError& error) {
    unanswered(client, 1, target, error);
    throw;
  }
}

void SoakClients::saw(Client& client, const HttpResponse& response, bool right, const std::string& what) {
  client.kept = true;
  if (response.header("Connection") == "close") client.connection.reset();
  ++answered_;
  const std::lock_guard lock(mutex_);
  ++counts_.answered[std::clamp(response.status / 100, 0, 5)];
  if (!right && counts_.mistakes.size() < 10) {
    counts_.mistakes.push_back(what + ": status " + std::to_string(response.status) + ", " +
                               std::to_string(response.body.size()) + " bytes: " + response.body.substr(0, 100));
  }
}

void SoakClients::aborted() {
  const std::lock_guard lock(mutex_);
  ++counts_.aborted;
}

void SoakClients::unanswered(const Client& client, std::uint64_t requests, const std::string& what,
                             const ClientError& why) {
  const std::lock_guard lock(mutex_);
  counts_.unanswered += requests;
  ++counts_.broken;
  if (why.failure() == Failure::reset && std::string_view(why.what()).find("reset by peer") != std::string_view::npos) {
    ++counts_.unread;
  } else if (why.failure() == Failure::closed && client.kept) {
    ++counts_.idle;
  }
  ++counts_.ends[what.substr(0, what.find('?')) + (client.kept ? ", kept: " : ": ") + why.what()];
  if (why.failure() == Failure::malformed) counts_.mistakes.emplace_back(why.what());
}

void SoakClients::plain(Client& client) {
  ask(client, "GET", "/hello", {}, {},
      [](const HttpResponse& response) { return response.status == 200 && response.body == "Hello, World!"; });
}

// After "Connection: close" the requests behind it have not been looked at, and may be sent again.
void SoakClients::pipelining(Client& client) {
  constexpr int kRequests = 8;
  std::string requests;
  for (int i = 0; i < kRequests; ++i) requests += get_line("/users/" + std::to_string(i));
  int left = kRequests;
  connect(client);
  try {
    client.connection->send_raw(requests);
    for (int i = 0; i < kRequests && client.connection; ++i) {
      const HttpResponse response = client.connection->read_response();
      --left;
      saw(client, response, response.status == 200 && response.body.find(std::to_string(i)) != std::string::npos,
          "pipelined /users/" + std::to_string(i));
    }
  } catch (const ClientError& error) {
    unanswered(client, static_cast<std::uint64_t>(left), "pipelined", error);
    throw;
  }
  const std::lock_guard lock(mutex_);
  counts_.unanswered += static_cast<std::uint64_t>(left);
}

// Reads what the kernel buffers only after a while.
void SoakClients::slow_reader(Client& client) {
  const auto size = static_cast<std::size_t>(between(client.random, 1, 6)) * 1'000'000;
  const std::string target = "/download?bytes=" + std::to_string(size);
  connect(client);
  try {
    client.connection->send_raw(get_line(target));
    pause(client.random, 600);
    const HttpResponse response = client.connection->read_response();
    saw(client, response, response.status == 200 && is_download(response.body, size), target);
  } catch (const ClientError& error) {
    unanswered(client, 1, "slow reader of " + target, error);
    throw;
  }
}

// Disconnects in the middle of a response, of a body, or immediately.
void SoakClients::aborting(Client& client) {
  connect(client);
  switch (between(client.random, 0, 2)) {
    case 0:
      client.connection->send_raw(get_line("/download?bytes=8000000"));
      static_cast<void>(client.connection->readable_within(1s));
      break;
    case 1:
      client.connection->send_raw("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nhalf");
      break;
    default:
      client.connection->send_raw(get_line("/slow?ms=300"));
      pause(client.random, 200);
  }
  client.connection->abort();
  client.connection.reset();
  aborted();
}

// A POST whose worker dies is not run again: nobody knows whether it was carried out.
void SoakClients::uploading(Client& client) {
  std::string body(static_cast<std::size_t>(between(client.random, 1, 300'000)), '\0');
  for (char& byte : body) byte = static_cast<char>(client.random());
  ask(client, "POST", "/echo", body, {{"Content-Type", "application/octet-stream"}},
      [this, &body](const HttpResponse& response) {
        if (response.status == 200) return response.body == body;
        const bool refused = response.status == 503 && response.has("Retry-After");
        if (refused) ++refused_;
        return refused;
      });
}

void SoakClients::streaming(Client& client) {
  const int count = between(client.random, 1, 40);
  ask(client, "GET", "/stream?n=" + std::to_string(count) + "&ms=2", {}, {},
      [count](const HttpResponse& response) { return response.status == 200 && response.body == lines(count); });
}

// A session's counter grows by one with each request. One that got no answer, or 503 because Redis refused or was slow,
// may have been carried out.
SoakClients::Turn SoakClients::with_session() {
  struct Visitor {
    std::string cookie;
    std::int64_t visits = 0;
    std::int64_t unsure = 0;
  };
  return [this, visitor = std::make_shared<Visitor>()](Client& client) {
    Headers headers;
    if (!visitor->cookie.empty()) headers.emplace_back("Cookie", visitor->cookie);
    ++visitor->unsure;
    ask(client, "GET", "/visits", {}, headers, [&visitor](const HttpResponse& response) {
      if (response.status == 503) return response.has("Retry-After");
      if (response.status != 200) return false;
      const std::int64_t visits = response.json().at("visits");
      const std::string cookie = response.header("Set-Cookie");
      // A GET whose worker dies is run again, so each of them may have counted twice.
      const bool right = visits > visitor->visits && visits <= visitor->visits + 2 * visitor->unsure;
      if (!cookie.empty()) visitor->cookie = cookie.substr(0, cookie.find(';'));
      visitor->visits = visits;
      visitor->unsure = 0;
      return right;
    });
  };
}

}  // namespace pronghorn::test
