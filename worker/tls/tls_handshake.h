// One client until its TLS handshake is done.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

#include "worker/connection/connection.h"
#include "worker/connection/http_context.h"
#include "worker/net/socket/peer.h"
#include "worker/tls/tls_service.h"
#include "worker/tls/tls_stream.h"

namespace pronghorn::worker {

// When the handshake is done it calls ConnectionOwner::upgraded(), and its owner replaces it by the connection of the
// protocol that was agreed on, TlsStream::facts(). It has header_timeout for that.
//
// A client that speaks plain HTTP is answered 400, in plain text and with a problem document that says what to do. After
// an alert the server sends a FIN and waits until the client closes, for a limited time: closing earlier could destroy
// the alert on its way.
//
// Context: loop thread.
class TlsHandshake final : public Connection, private HandshakeEvents, private TlsService::Applicant {
 public:
  // All references outlive it. `stream` reports to it.
  TlsHandshake(HttpContext& context, ConnectionOwner& owner, TlsService& service, TlsStream& stream, Peer peer,
               bool surplus);
  ~TlsHandshake() override;

  // Begins, or waits until the handshake may begin.
  void start();

  // After ConnectionOwner::upgraded().
  [[nodiscard]] Peer take_peer() noexcept { return std::move(peer_); }
  [[nodiscard]] bool surplus() const noexcept { return surplus_; }

  // Connection
  void timed_out() override;
  void check_deadline(std::chrono::steady_clock::time_point) override {}
  void drain(bool) override {}
  [[nodiscard]] bool can_move() const noexcept override { return false; }
  [[nodiscard]] HandoffSent hand_over(Ledger&, int) noexcept override { return HandoffSent::refused; }
  void moved() noexcept override { close(); }
  [[nodiscard]] LedgerNotes& notes() noexcept override { return stream_.notes(); }
  void close() noexcept override;

 private:
  // StreamEvents
  void on_data(std::string_view bytes) override;
  void on_end() override { close(); }
  void on_drained() override {}
  void on_error() override { close(); }
  void on_closed() override { owner_.closed(*this); }
  // HandshakeEvents
  void established() override;
  void failed(TlsFailure failure) override;
  // TlsService::Applicant
  void may_begin() override;

  HttpContext& context_;
  ConnectionOwner& owner_;
  TlsService& service_;
  TlsStream& stream_;
  Peer peer_;
  std::optional<TlsService::Place> place_;  // while it waits to begin
  std::uint64_t dropped_ = 0;
  bool surplus_;
};

}  // namespace pronghorn::worker
