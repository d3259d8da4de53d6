// Reading: see tls_stream.h. What is written is in tls_stream_output.cpp.
#include "worker/tls/tls_stream.h"

#include <openssl/err.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "worker/tls/peer_certificate.h"
#include "worker/tls/record_writer.h"

namespace pronghorn::worker {
namespace {

// More than any client sends until its Finished, also with a chain of certificates.
constexpr std::size_t kMaxHandshake = 256 * 1024;

// A record of TLS begins with its type, which is 20 to 24; SSL 2.0 with a byte above 127.
constexpr bool is_text(char byte) noexcept {
  return (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') || byte == '\r' || byte == '\n';
}

}  // namespace

TlsStream::TlsStream(ByteStream& socket, SslPtr ssl, TlsBuffers& buffers, EndOfTurn& end_of_turn)
    : socket_(socket), buffers_(buffers), end_of_turn_(end_of_turn), ssl_(std::move(ssl)) {
  socket_.report_to(*this);
  BIO* const bio = BIO_new(method());
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_.get(), bio, bio);  // owns it
}

BIO_METHOD* TlsStream::method() {
  static BIO_METHOD* const kMethod = [] {
    BIO_METHOD* const made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "connection");
    BIO_meth_set_read(made, &bio_read);
    BIO_meth_set_write(made, &bio_write);
    BIO_meth_set_ctrl(made, &bio_control);
    return made;
  }();
  return kMethod;
}

int TlsStream::bio_read(BIO* bio, char* out, int size) noexcept {
  std::string_view& input = static_cast<TlsStream*>(BIO_get_data(bio))->input_;
  BIO_clear_retry_flags(bio);
  if (input.empty()) {
    BIO_set_retry_read(bio);
    return -1;
  }
  const std::size_t taken = std::min(input.size(), static_cast<std::size_t>(size));
  std::memcpy(out, input.data(), taken);
  input.remove_prefix(taken);
  return static_cast<int>(taken);
}

int TlsStream::bio_write(BIO* bio, const char* bytes, int size) noexcept {
  static_cast<TlsStream*>(BIO_get_data(bio))->records_->append(bytes, static_cast<std::size_t>(size));
  return size;
}

long TlsStream::bio_control(BIO*, int command, long, void*) noexcept { return command == BIO_CTRL_FLUSH ? 1 : 0; }

// --- Reading --------------------------------------------------------------------------------------------------------

void TlsStream::start_reading() {
  reading_ = true;
  if (state_ == State::failed) return;
  if (client_ended_ || has_kept()) return read_later();
  socket_.read_start();
}

void TlsStream::stop_reading() noexcept {
  reading_ = false;
  socket_.read_stop();
}

bool TlsStream::has_kept() const noexcept {
  if (owes_end_ || !plain_.empty() || !kept_.empty()) return true;
  return ssl_ != nullptr && state_ == State::established && SSL_has_pending(ssl_.get()) != 0;
}

bool TlsStream::has_input() const noexcept { return has_kept() || (!client_ended_ && socket_.has_input()); }

// Not at once: whoever begins to read may be in the middle of something.
void TlsStream::read_later() {
  if (std::exchange(reading_later_, true)) return;
  end_of_turn_.flush(*this);
}

void TlsStream::end_turn() {
  reading_later_ = false;
  if (closing_ || !reading_) return;
  if (client_ended_) {  // whoever reads now has not been told
    stop_reading();
    return events_->on_end();
  }
  if (const std::string plain = std::exchange(plain_, {}); !plain.empty()) events_->on_data(plain);
  if (closing_ || !reading_) return;
  if (ssl_ != nullptr) take_in({});
  if (!closing_ && reading_ && !client_ended_ && state_ != State::failed) socket_.read_start();
}

void TlsStream::on_data(std::string_view bytes) {
  if (closing_ || client_ended_ || state_ == State::failed) return;
  if (state_ == State::plain || ssl_ == nullptr) return events_->on_data(bytes);
  if (state_ == State::fresh) {
    if (is_text(bytes.front())) return handshake_failed(TlsFailure::plain_http);
    state_ = State::handshaking;
  }
  take_in(bytes);
}

void TlsStream::take_in(std::string_view bytes) {
  std::string kept = std::exchange(kept_, {});
  if (!kept.empty()) bytes = kept.append(bytes);
  input_ = bytes;
  if (state_ == State::handshaking) {
    handshake_bytes_ += bytes.size();
    shake_hands();
  } else if (handshake_ != nullptr) {
    settle();
  }
  // What settle() has decrypted is reported first.
  if (state_ == State::established && handshake_ == nullptr && ssl_ != nullptr && plain_.empty()) decrypt();
  if (!closing_ && state_ != State::failed) kept_.assign(input_);
  input_ = {};
}

void TlsStream::shake_hands() {
  int error = SSL_ERROR_NONE;
  {
    const RecordWriter writer(buffers_, records_);
    ERR_clear_error();
    const int result = SSL_do_handshake(ssl_.get());
    error = SSL_get_error(ssl_.get(), result);
    send_control(writer.records());
  }
  if (closing_ || state_ == State::failed) return;
  if (error == SSL_ERROR_WANT_READ && handshake_bytes_ <= kMaxHandshake) return;
  if (error != SSL_ERROR_NONE) return handshake_failed(take_tls_failure());
  state_ = State::established;
  learn_facts();
  settle();
}

void TlsStream::handshake_failed(TlsFailure failure) {
  state_ = failure == TlsFailure::plain_http ? State::plain : State::failed;
  if (HandshakeEvents* const waiting = std::exchange(handshake_, nullptr)) waiting->failed(failure);
}

void TlsStream::learn_facts() {
  SSL* const ssl = ssl_.get();
  const unsigned char* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl, &name, &size);
  facts_.http2 = std::string_view(reinterpret_cast<const char*>(name), size) == "h2";
  facts_.resumed = SSL_session_reused(ssl) != 0;
  facts_.version = SSL_get_version(ssl);
  facts_.cipher = SSL_get_cipher_name(ssl);
  X509* const certificate = SSL_get0_peer_certificate(ssl);
  if (certificate != nullptr && SSL_get_verify_result(ssl) == X509_V_OK) {
    facts_.certificate = std::make_unique<const ClientCertificate>(describe(certificate));
  }
}

// Reports what has arrived, up to what one who stops reading leaves.
void TlsStream::decrypt() {
  while (reading_ && !closing_ && state_ == State::established) {
    std::size_t size = 0;
    const int error = read_records(size);
    if (closing_ || state_ != State::established) return;
    owes_end_ = error != SSL_ERROR_NONE && error != SSL_ERROR_WANT_READ;
    if (size > 0) events_->on_data({buffers_.plain().data(), size});
    if (error == SSL_ERROR_WANT_READ) return;
    if (owes_end_ && reading_ && !closing_) return input_ended(error);
    if (input_.empty() && SSL_has_pending(ssl_.get()) == 0) return;
  }
}

// Gathers records until the buffer is full or there are no more.
int TlsStream::read_records(std::size_t& size) {
  const RecordWriter writer(buffers_, records_);
  const std::span<char> plain = buffers_.plain();
  int error = SSL_ERROR_NONE;
  ERR_clear_error();
  while (size < plain.size()) {
    std::size_t taken = 0;
    const int result = SSL_read_ex(ssl_.get(), plain.data() + size, plain.size() - size, &taken);
    if (result != 1) {
      error = SSL_get_error(ssl_.get(), result);
      break;
    }
    size += taken;
    if (input_.empty() && SSL_has_pending(ssl_.get()) == 0) break;
  }
  ERR_clear_error();
  send_control(writer.records());
  return error;
}

void TlsStream::input_ended(int error) {
  owes_end_ = false;
  if (error != SSL_ERROR_ZERO_RETURN) return fail();
  client_ended_ = true;
  stop_reading();
  events_->on_end();
}

void TlsStream::on_end() {
  switch (state_) {
    case State::fresh:
    case State::handshaking:
      return handshake_failed(TlsFailure::client_left);
    case State::established:
      return fail();  // cut short: see the class
    case State::plain:
    case State::failed:
      return events_->on_end();
  }
}

void TlsStream::on_error() {
  if (state_ == State::fresh || state_ == State::handshaking) return handshake_failed(TlsFailure::client_left);
  if (state_ == State::failed) return events_->on_error();
  fail();
}

void TlsStream::fail() noexcept {
  if (closing_ || state_ == State::failed) return;
  state_ = State::failed;
  events_->on_error();
}

}  // namespace pronghorn::worker
