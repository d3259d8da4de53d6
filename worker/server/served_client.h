// A client: its socket, and the connection that speaks the protocol of the moment.
#pragma once

#include <uv.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "worker/connection/connection.h"
#include "worker/connection/end_of_turn.h"
#include "worker/connection/http_context.h"
#include "worker/guardian/handoff/handoff.h"
#include "worker/net/socket/peer.h"
#include "worker/net/socket_stream.h"
#include "worker/tls/tls_stream.h"

namespace pronghorn::worker {

class ServedClient;

class ServedClientOwner {
 public:
  // The client has gone. The owner destroys it, during the call or later.
  virtual void closed(ServedClient& client) noexcept = 0;
  // The kernel has begun to encrypt its connection: from now on it can outlive the worker. See ServedClient::note().
  virtual void kernel_encrypts(ServedClient& client, const Peer& peer) = 0;

 protected:
  ~ServedClientOwner() = default;
};

// Begins with HTTP/1, unless another worker has served it as something else; HTTP/2 or WebSocket may follow. Over TLS it
// begins with the handshake, which decides what follows.
//
// Context:   loop thread.
// Ownership: its ServedClientOwner.
class ServedClient final : public ConnectionOwner, public TurnWork {
 public:
  // Takes ownership of `fd`. `sent`: how much another worker has written to it. The references outlive it.
  ServedClient(HttpContext& context, ServedClientOwner& owner, int fd, SocketStream::ReadBuffer read_buffer,
               std::optional<std::uint64_t> sent = {});
  ~ServedClient() override;

  // Before the next two: notes it in this entry, which is null if it does not outlive the worker. Requests before the
  // position `answered` have their responses.
  void note(Ledger& ledger, LedgerEntry* entry, std::uint64_t answered) noexcept;
  // The same in a new entry, after ServedClientOwner::kernel_encrypts(). False: the ledger is full.
  [[nodiscard]] bool note_kernel_tls(Ledger& ledger, const Peer& peer) noexcept;
  // Before note(): another worker has served it, and the kernel encrypts the connection.
  void use_kernel_tls(const HandoffRecord& record);

  // One of these must be called, once. Requests may be handled before it returns.
  void serve(Peer peer, bool surplus);
  void resume(Peer peer, const HandoffInbox::Taken& taken, std::unique_ptr<detail::FilePart> file);

  [[nodiscard]] Connection& connection() noexcept { return *connection_; }

  // Where its owner has it.
  [[nodiscard]] std::uint32_t position() const noexcept { return position_; }
  void set_position(std::uint32_t position) noexcept { position_ = position; }

 private:
  enum class Next : std::uint8_t { nothing, http, socket };

  // ConnectionOwner
  void closed(Connection&) noexcept override { owner_.closed(*this); }
  void upgraded() override;
  [[nodiscard]] std::unique_ptr<Connection> begin_within(ConnectionOwner& owner, ByteStream& stream, const Peer& peer,
                                                         std::unique_ptr<detail::Upgrade> to) override;
  // TurnWork
  void end_turn() override;

  void begin_http2(Peer peer, bool surplus, std::string_view received, std::string_view more);
  template <class Made>
  Made& use(std::unique_ptr<Made> connection);
  [[nodiscard]] ByteStream& stream() noexcept;
  void begin_tls(Peer peer, bool surplus);
  void begin_http();
  void begin_socket();

  HttpContext& context_;
  ServedClientOwner& owner_;
  // There is one of these for each connection, and most are idle: its padding has what follows, and that is bits.
  [[no_unique_address]] SocketStream stream_;
  Next next_ : 2 = Next::nothing;  // at the end of this turn
  bool over_tls_ : 1 = false;      // its handshake is done
  bool surplus_ : 1 = false;
  std::uint32_t position_ = 0;
  std::unique_ptr<TlsStream> tls_;  // on top of stream_; null: there is no TLS
  std::unique_ptr<Connection> connection_;
};

}  // namespace pronghorn::worker
