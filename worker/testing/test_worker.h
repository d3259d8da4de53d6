// The worker behind a TestClient: one application with a loop of its own, which takes one request at a time, beside
// WebSockets.
#pragma once

#include <uv.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/config.h"
#include "common/ipc/scoreboard.h"
#include "pronghorn/testing.h"
#include "worker/connection/http_context.h"
#include "worker/net/socket/peer.h"
#include "worker/net/socket/tls_facts.h"
#include "worker/routing/served_app.h"
#include "worker/runtime/runtime.h"
#include "worker/state/state_services.h"
#include "worker/testing/client/client_loop.h"
#include "worker/testing/client/collected_response.h"
#include "worker/testing/client/socket_peer.h"
#include "worker/testing/cookie_jar.h"
#include "worker/testing/temporary_redis.h"
#include "worker/websocket/socket_service.h"

namespace pronghorn::detail {

// What a TestSocket knows.
struct TestSocketState {
  TestWorker& worker;
  TestResponse response;
  std::shared_ptr<worker::SocketPeer> peer;  // null: the handshake was refused
};

// Context: one thread. Each call makes its runtime the current one, so that several workers may exist on a thread.
class TestWorker final : public Worker {
 public:
  // Whether the client has seen enough of a body and disconnects.
  using Enough = std::function<bool(const std::string& body)>;

  TestWorker(const std::function<void(App&)>& setup, const TestOptions& options);
  TestWorker(const TestWorker&) = delete;
  TestWorker& operator=(const TestWorker&) = delete;
  ~TestWorker() override;

  TestResponse request(std::string_view method, std::string_view target, std::string_view body,
                       const TestClient::Headers& headers, const Enough& enough = {});
  // Opens a WebSocket: see TestClient::websocket().
  [[nodiscard]] std::unique_ptr<TestSocketState> websocket(std::string_view target, const TestClient::Headers& headers);
  // Ends the turn of the loop in which something was done for a socket.
  void end_turn();
  // Turns the loop until the condition holds. False if that takes longer than the timeout. Throws std::runtime_error if
  // Redis refuses the configuration.
  [[nodiscard]] bool wait_until(const std::function<bool()>& condition);
  [[nodiscard]] std::chrono::milliseconds timeout() const noexcept { return timeout_; }
  void client_address(std::string_view address);
  void over_tls(std::optional<ClientCertificate> certificate);
  void clear_cookies() noexcept { cookies_.clear(); }

  // Worker
  [[nodiscard]] unsigned slot() const noexcept override { return 0; }
  [[nodiscard]] unsigned generation() const noexcept override { return 1; }
  [[nodiscard]] bool draining() const noexcept override { return draining_; }
  [[nodiscard]] worker::StateServices& services() override;
  [[nodiscard]] worker::SocketService& socket_service() override { return *sockets_; }

 private:
  [[nodiscard]] void* find_state(const std::type_info& type) const noexcept override;

  void run(Task<void> task, const char* what);
  void shut_down() noexcept;
  [[nodiscard]] std::string make_head(std::string_view method, std::string_view target, std::string_view body,
                                      const TestClient::Headers& headers) const;
  [[nodiscard]] TestResponse exchange_once(std::string head, std::string_view body, const std::string& what,
                                           worker::CollectedResponse& collected);
  void pass_time();
  void end_sockets();
  void keep_cookies(const TestResponse& response, std::string_view path);
  void throw_if_fatal() const;

  std::optional<worker::TemporaryRedis> temporary_redis_;
  Config config_;
  std::chrono::milliseconds timeout_;
  bool draining_ = false;
  worker::ClientLoop loop_;  // closed after everything below has been destroyed
  std::unique_ptr<WorkerRow> row_ = std::make_unique<WorkerRow>();
  std::unique_ptr<worker::ServedApp> application_;
  std::unique_ptr<worker::StateServices> state_;
  std::unique_ptr<worker::SocketService> sockets_;
  std::unique_ptr<worker::Runtime> runtime_;            // destroyed before what its tasks use
  std::vector<std::unique_ptr<worker::TlsFacts>> tls_;  // of peer_, also when sockets were opened
  worker::Peer peer_;
  std::unique_ptr<worker::HttpContext> context_;
  std::vector<std::shared_ptr<worker::SocketPeer>> peers_;  // that have not ended
  std::uint64_t ticked_ms_ = monotonic_ms();                // until when connections know of the time
  worker::CookieJar cookies_;
  std::string fatal_;  // why Redis refuses the configuration
};

}  // namespace pronghorn::detail
