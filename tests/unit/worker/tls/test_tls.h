// A TLS stream on a MemoryStream, and the client at its other end.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "common/tls/server_context.h"
#include "support/tls/issued.h"
#include "support/tls/memory_client.h"
#include "worker/connection/end_of_turn.h"
#include "worker/exchange/exchange_pool.h"
#include "worker/testing/client/memory_stream.h"
#include "worker/tls/tls_stream.h"

namespace pronghorn::worker {

// Made once: a key costs milliseconds.
inline const test::Issued& test_certificate() {
  static const test::Issued kIssued = test::issue();
  return kIssued;
}

inline TlsCredentials test_credentials() {
  return {.certificates = {{.file = "test.pem",
                            .chain = test_certificate().certificate,
                            .key = test_certificate().key,
                            .staple = {}}},
          .client_ca = {},
          .client = TlsClientCertificates::off};
}

// Collects what the stream reports. Begins to read when the handshake is done.
class TestTls final : private StreamEvents, private HandshakeEvents {
 public:
  explicit TestTls(const test::MemoryClientOptions& options = {}, const TlsServerContext& context = shared_context(),
                   bool prefers_kernel = false)
      : stream_(socket_, context.new_connection(), buffers_, end_of_turn_), client(options) {
    if (prefers_kernel) stream_.prefer_kernel(-1, unsent_);
    stream_.report_to(*this);
    stream_.report_handshake_to(*this);
    stream_.read_start();
  }
  TestTls(const TestTls&) = delete;
  TestTls& operator=(const TestTls&) = delete;
  ~TestTls() { stream_.close(); }

  static const TlsServerContext& shared_context() {
    static const TlsServerContext kContext(test_credentials(), {});
    return kContext;
  }

  TlsStream& stream() noexcept { return stream_; }
  MemoryStream& socket() noexcept { return socket_; }

  // Carries what the client sends to the stream, and what comes back to the client, until both are silent.
  void exchange() {
    for (;;) {
      const std::string sent = client.sends();
      if (!sent.empty() && socket_.ended() == MemoryStream::Ended::no) socket_.send(sent);
      end_of_turn_.run();
      const std::string answer = socket_.received();
      if (sent.empty() && answer.empty()) return;
      client.receives(answer);
    }
  }
  void end_turn() { end_of_turn_.run(); }
  void next_turn() { end_of_turn_.resume(); }
  [[nodiscard]] bool work_waits() const { return end_of_turn_.work_waits(); }
  // What the client has been sent, decrypted.
  std::string client_reads() {
    exchange();
    return client.read();
  }
  void client_writes(std::string_view bytes) {
    client.write(bytes);
    exchange();
  }

 private:
  void on_data(std::string_view bytes) override {
    received += bytes;
    ++reports;
    if (stops_after != 0 && reports % stops_after == 0) stream_.read_stop();
  }
  void on_end() override { ended = true; }
  void on_drained() override { ++drained; }
  void on_error() override {
    broken = true;
    stream_.close();
  }
  void on_closed() override {}
  void established() override {
    is_established = true;
    if (reads) stream_.read_start();
  }
  void failed(TlsFailure why) override { failure = why; }

  ExchangePool exchanges_;
  EndOfTurn end_of_turn_{exchanges_};
  TlsBuffers buffers_;
  UnsentRecords unsent_;
  MemoryStream socket_;
  TlsStream stream_;

 public:
  test::MemoryClient client;
  std::string received;
  std::optional<TlsFailure> failure;
  int reports = 0;
  int stops_after = 0;  // reports; 0: never
  int drained = 0;
  bool reads = true;
  bool is_established = false;
  bool ended = false;
  bool broken = false;
};

}  // namespace pronghorn::worker
