// Clients of all kinds that use a server at once, check every byte, and count what they see.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "support/clients/http_client.h"

namespace pronghorn::test {

// A request is counted once: as answered, aborted or unanswered.
struct SoakCounts {
  std::uint64_t answered[6] = {};  // whole responses, by class of status: [2] is 2xx
  std::uint64_t aborted = 0;       // the client aborted the request on purpose
  std::uint64_t unanswered = 0;    // the connection ended before the whole response
  std::uint64_t broken = 0;        // connections that ended so: several requests if they were pipelined
  // Of these, reset: the kernel does that when a process ends with bytes unread, so no worker had begun that request.
  std::uint64_t unread = 0;
  // Of these, kept connections that ended without a byte: the server may close an idle one while the client sends its
  // next request (RFC 9112 section 9.5).
  std::uint64_t idle = 0;
  std::uint64_t refused = 0;          // of those answered: POSTs with 503, because their worker had died
  std::map<std::string, int> ends;    // of these, by what the client did and saw
  std::vector<std::string> mistakes;  // wrong bytes, unexpected statuses; the first ten

  [[nodiscard]] std::uint64_t all_answered() const;
  [[nodiscard]] std::string text() const;
};

// Starts the clients; stop() ends them after their current request. `address` is that of the demo.
//
// Context: the main thread of a test. What the clients do depends on `seed` and on the server alone.
class SoakClients {
 public:
  static constexpr int kOfEachKind = 2;  // each has one request in flight, those that pipeline several
  SoakClients(Address address, std::uint32_t seed);
  SoakClients(const SoakClients&) = delete;
  SoakClients& operator=(const SoakClients&) = delete;
  ~SoakClients() { static_cast<void>(stop()); }

  [[nodiscard]] SoakCounts stop();
  [[nodiscard]] std::uint64_t answered() const noexcept { return answered_.load(); }

 private:
  struct Client {
    std::mt19937 random;
    std::optional<HttpConnection> connection;
    bool kept = false;  // it has had a response
  };
  // One turn of a client. Throws ClientError if a connection ends early.
  using Turn = std::function<void(Client&)>;

  void connect(Client& client);
  void start(std::uint32_t seed, Turn turn);
  void run(std::uint32_t seed, const Turn& turn);
  // Sends a request, and counts its response as right or wrong.
  HttpResponse ask(Client& client, std::string_view method, const std::string& target, const std::string& body,
                   const Headers& headers, const std::function<bool(const HttpResponse&)>& right);
  void saw(Client& client, const HttpResponse& response, bool right, const std::string& what);
  void aborted();
  void unanswered(const Client& client, std::uint64_t requests, const std::string& what, const ClientError& why);

  void plain(Client& client);
  void pipelining(Client& client);
  void slow_reader(Client& client);
  void aborting(Client& client);
  void uploading(Client& client);
  void streaming(Client& client);
  [[nodiscard]] Turn with_session();

  Address address_;
  std::atomic<bool> stopping_{false};
  std::atomic<std::uint64_t> answered_{0};
  std::atomic<std::uint64_t> refused_{0};
  std::mutex mutex_;
  SoakCounts counts_;
  std::vector<std::thread> threads_;
};

}  // namespace pronghorn::test
