#include "worker/server/served_client.h"

#include <utility>

#include "worker/http1/connection.h"
#include "worker/http2/connection.h"
#include "worker/tls/tls_handshake.h"
#include "worker/tls/tls_service.h"
#include "worker/websocket/connection.h"

namespace pronghorn::worker {

ServedClient::ServedClient(HttpContext& context, ServedClientOwner& owner, int fd, SocketStream::ReadBuffer read_buffer,
                           std::optional<std::uint64_t> sent)
    : context_(context), owner_(owner), stream_(context.loop, fd, read_buffer, sent, context.shares_sockets) {}

ServedClient::~ServedClient() {
  if (next_ != Next::nothing) context_.end_of_turn.forget(*this);
}

template <class Made>
Made& ServedClient::use(std::unique_ptr<Made> connection) {
  Made& made = *connection;
  connection_ = std::move(connection);
  stream().report_to(made);
  return made;
}

ByteStream& ServedClient::stream() noexcept {
  if (tls_ != nullptr) return *tls_;
  return stream_;
}

void ServedClient::note(Ledger& ledger, LedgerEntry* entry, std::uint64_t answered) noexcept {
  if (tls_ == nullptr) return stream_.notes().begin(ledger, entry, answered);
  stream_.notes().begin(ledger, nullptr, 0);
  stream_.notes().read_for(tls_->notes());
  tls_->notes().begin(ledger, entry, answered);
}

bool ServedClient::note_kernel_tls(Ledger& ledger, const Peer& peer) noexcept {
  LedgerPeer noted = LedgerPeer::of(peer);
  noted.flags = static_cast<std::uint8_t>(noted.flags | LedgerPeer::kKernelTls);
  LedgerEntry* const entry = ledger.take_up(stream_.descriptor(), noted,
                                            {.unanswered = tls_->unreported(),
                                             .opened_ms = monotonic_ms(),
                                             .next_record = tls_->next_record(),
                                             .records_base = tls_->records_base()});
  note(ledger, entry, 0);
  return entry != nullptr;
}

void ServedClient::use_kernel_tls(const HandoffRecord& record) {
  const KernelTlsSocket kernel{
      .fd = stream_.descriptor(), .sent = record.sent, .base = record.records_base, .unsent = context_.tls->unsent()};
  tls_ = std::make_unique<TlsStream>(stream_, kernel, context_.tls->buffers(), context_.end_of_turn);
  over_tls_ = true;
}

void ServedClient::serve(Peer peer, bool surplus) {
  surplus_ = surplus;
  if (peer.https) return begin_tls(std::move(peer), surplus);
  use(std::make_unique<Http1Connection>(context_, *this, stream_, std::move(peer), surplus)).start();
}

void ServedClient::resume(Peer peer, const HandoffInbox::Taken& taken, std::unique_ptr<detail::FilePart> file) {
  if (tls_ != nullptr) peer.tls = &tls_->facts();
  if (taken.record.socket != 0) {
    use(std::make_unique<SocketConnection>(context_, *this, stream(), std::move(peer)))
        .resume(taken.record, taken.handed);
  } else {
    use(std::make_unique<Http1Connection>(context_, *this, stream(), std::move(peer), false))
        .resume(taken.record, taken.handed, std::move(file));
  }
}

void ServedClient::begin_tls(Peer peer, bool surplus) {
  tls_ = std::make_unique<TlsStream>(stream_, context_.tls->context().new_connection(), context_.tls->buffers(),
                                     context_.end_of_turn);
  // Those above max_connections do not last.
  if (context_.tls->prefers_kernel() && !surplus) tls_->prefer_kernel(stream_.descriptor(), context_.tls->unsent());
  use(std::make_unique<TlsHandshake>(context_, *this, *context_.tls, *tls_, std::move(peer), surplus)).start();
}

void ServedClient::upgraded() {
  next_ = tls_ != nullptr && !over_tls_ ? Next::http : Next::socket;
  context_.end_of_turn.flush(*this);
}

// `received` and `more`: what has arrived already.
void ServedClient::begin_http2(Peer peer, bool surplus, std::string_view received, std::string_view more) {
  auto& connection = use(std::make_unique<Http2Connection>(context_, *this, stream(), std::move(peer), surplus));
  connection.start(received, more);
  if (context_.draining && !stream().closing()) connection.drain(context_.ends_idle);
}

// No code of the connection is on the stack.
void ServedClient::end_turn() {
  const Next next = next_;
  next_ = Next::nothing;
  if (stream().closing()) return;
  next == Next::http ? begin_http() : begin_socket();
}

// The handshake of TLS is done.
void ServedClient::begin_http() {
  over_tls_ = true;
  auto& handshake = static_cast<TlsHandshake&>(*connection_);
  Peer peer = handshake.take_peer();
  peer.tls = &tls_->facts();
  const bool surplus = handshake.surplus();
  if (tls_->by_kernel()) owner_.kernel_encrypts(*this, peer);
  if (tls_->facts().http2) return begin_http2(std::move(peer), surplus, {}, {});
  use(std::make_unique<Http1Connection>(context_, *this, *tls_, std::move(peer), surplus)).start();
}

void ServedClient::begin_socket() {
  Http1Connection::Upgraded upgraded = static_cast<Http1Connection&>(*connection_).take_upgrade();
  if (upgraded.to == nullptr) {
    return begin_http2(std::move(upgraded.peer), surplus_, Http1Connection::kHttp2Preface, upgraded.unparsed);
  }
  auto& socket = use(std::make_unique<SocketConnection>(context_, *this, stream(), std::move(upgraded.peer)));
  socket.start(std::move(upgraded.to), std::move(upgraded.unparsed));
  if (context_.draining && !stream().closing()) socket.drain(context_.ends_idle);
}

std::unique_ptr<Connection> ServedClient::begin_within(ConnectionOwner& owner, ByteStream& stream, const Peer& peer,
                                                       std::unique_ptr<detail::Upgrade> to) {
  auto socket = std::make_unique<SocketConnection>(context_, owner, stream, peer);
  stream.report_to(*socket);
  socket->start(std::move(to), {});
  if (context_.draining && !stream.closing()) socket->drain(context_.ends_idle);
  return socket;
}

}  // namespace pronghorn::worker
