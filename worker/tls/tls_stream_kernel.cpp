// When the kernel encrypts: see tls_stream.h.
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <poll.h>

#include <algorithm>
#include <utility>

#include "worker/net/socket/kernel_tls.h"
#include "worker/net/socket/socket_positions.h"
#include "worker/tls/record_writer.h"
#include "worker/tls/tls_stream.h"

namespace pronghorn::worker {
namespace {

constexpr std::size_t kRecordHeader = 5;
constexpr char kEncrypted = 23;                 // the type of all encrypted records
constexpr std::size_t kMostUnread = 64 * 1024;  // of a client that sends on while the last record is not whole
constexpr int kMostLooks = 240;                 // ticks: a minute
constexpr std::uint64_t kCloseNotifyBytes = 2;

// What a client has sent behind its handshake.
struct Records {
  bool whole = false;     // the last one has arrived whole
  bool encrypted = true;  // all of them are
  std::uint64_t count = 0;
};

Records look_at(std::string_view bytes) noexcept {
  Records records;
  while (bytes.size() >= kRecordHeader) {
    const auto byte = [bytes](std::size_t index) { return static_cast<unsigned char>(bytes[index]); };
    const std::size_t size = kRecordHeader + (std::size_t{byte(3)} << 8U | byte(4));
    records.encrypted = records.encrypted && bytes[0] == kEncrypted;
    if (bytes.size() < size) return records;
    bytes.remove_prefix(size);
    ++records.count;
  }
  records.whole = bytes.empty();
  return records;
}

}  // namespace

TlsStream::TlsStream(ByteStream& socket, const KernelTlsSocket& kernel, TlsBuffers& buffers, EndOfTurn& end_of_turn)
    : socket_(socket), buffers_(buffers), end_of_turn_(end_of_turn), state_(State::established) {
  socket_.report_to(*this);
  kernel_ = std::make_unique<KernelRecords>(kernel.fd, kernel.unsent);
  kernel_->base = kernel.base;
  bytes_sent_ = kernel.sent;
  const auto tls = kernel_tls_of(kernel.fd);
  kernel_->next = tls ? tls->next_record : 0;
  facts_.version = "TLSv1.3";
  facts_.cipher = name_of(tls ? tls->cipher : TlsCipher::other);
}

TlsStream::~TlsStream() {
  if (reading_later_ || pumping_later_) end_of_turn_.forget(*this);
  if (kernel_ != nullptr && kernel_->place) kernel_->unsent.leave(*kernel_->place);
}

void TlsStream::prefer_kernel(int fd, UnsentRecords& unsent) {
  kernel_ = std::make_unique<KernelRecords>(fd, unsent);
  kernel_->secrets.emplace().collect_from(ssl_.get());
}

std::uint64_t TlsStream::next_record() const noexcept { return kernel_->next; }
std::uint64_t TlsStream::records_base() const noexcept { return kernel_->base; }

// --- The handshake is done ------------------------------------------------------------------------------------------

bool TlsStream::kernel_may_go_on() const noexcept {
  if (kernel_ == nullptr || !kernel_->secrets->complete() || facts_.http2 || facts_.certificate != nullptr)
    return false;
  // The kernel's records are as long as they may be; clients with little memory ask for shorter ones.
  const std::uint8_t limit = SSL_SESSION_get_max_fragment_length(SSL_get_session(ssl_.get()));
  return limit == TLSEXT_max_fragment_length_DISABLED && cipher_named(facts_.cipher) != TlsCipher::other &&
         socket_.queued() == 0;
}

// The kernel can go on between two records only, of both sides.
void TlsStream::settle() {
  if (kernel_may_go_on()) {
    const Records records = look_at(input_);
    if (!records.whole && records.encrypted && input_.size() < kMostUnread) return;  // the rest is on its way
    if (records.whole && records.encrypted) give_to_kernel(records.count);
    if (closing_ || state_ == State::failed) return;
  }
  if (ssl_ != nullptr && kernel_ != nullptr) {
    TrafficSecrets::forget(ssl_.get());
    kernel_.reset();
  }
  stop_reading();
  std::exchange(handshake_, nullptr)->established();
}

// `arrived`: records of the client that nobody has decrypted yet.
void TlsStream::give_to_kernel(std::uint64_t arrived) {
  if (!decrypt_arrived(arrived)) return;  // something else than data
  const auto positions = positions_of(kernel_->fd);
  if (!positions || positions->broken) return;
  const TlsCipher cipher = cipher_named(facts_.cipher);
  TlsKeys sending = kernel_->secrets->sending(cipher);
  TlsKeys receiving = kernel_->secrets->receiving(cipher, arrived);
  const KernelTlsStart started = start_kernel_tls(kernel_->fd, cipher, sending, receiving);
  OPENSSL_cleanse(sending.key.data(), sending.key.size());
  OPENSSL_cleanse(receiving.key.data(), receiving.key.size());
  if (started == KernelTlsStart::no) return;
  if (started == KernelTlsStart::broken) return handshake_failed(TlsFailure::client_left);
  kernel_->next = sending.record;
  kernel_->base = positions->written - sending.record * kRecordOverhead;
  ssl_.reset();
  kernel_->secrets.reset();
}

// False: not every record had data. OpenSSL has noted why, and goes on.
bool TlsStream::decrypt_arrived(std::uint64_t records) {
  const RecordWriter writer(buffers_, records_);
  std::uint64_t decrypted = 0;
  int error = SSL_ERROR_NONE;
  ERR_clear_error();
  while (error == SSL_ERROR_NONE) {
    const std::span<char> plain = buffers_.plain();
    std::size_t size = 0;
    const int result = SSL_read_ex(ssl_.get(), plain.data(), plain.size(), &size);
    error = result == 1 ? SSL_ERROR_NONE : SSL_get_error(ssl_.get(), result);
    plain_.append(plain.data(), size);
    decrypted += result == 1 ? 1 : 0;
  }
  ERR_clear_error();
  owes_end_ = error != SSL_ERROR_WANT_READ;
  send_control(writer.records());
  return decrypted == records && !owes_end_ && writer.records().empty();
}

// --- What is sent ---------------------------------------------------------------------------------------------------

// One record, which the kernel takes as a whole or not at all. Whether there is room for more.
bool TlsStream::send_record(std::string_view first, std::string_view second) {
  const std::size_t size = first.size() + second.size();
  notes_.will_write_record(kernel_->next++, bytes_sent_ + size);
  in_flight_ += size;
  socket_.write(first, second);
  if (closing_ || state_ != State::established) return false;
  if (const std::size_t waits = socket_.queued(); waits != 0) {
    if (waits != size) notes_.end();  // it is two records: the numbers are wrong
    return false;
  }
  bytes_sent_ += std::exchange(in_flight_, 0);
  return true;
}

// libuv cannot read the client's close_notify. It takes the socket for broken then, and waits for no room any more.
bool TlsStream::waits_by_looking() const noexcept { return ssl_ == nullptr && client_ended_; }

bool TlsStream::has_room() const noexcept {
  if (!waits_by_looking()) return true;
  pollfd room{.fd = kernel_->fd, .events = POLLOUT, .revents = 0};
  return ::poll(&room, 1, 0) > 0;
}

// What the kernel has not taken of the bytes that were noted last.
void TlsStream::keep_rest(std::string_view first, std::string_view second, std::uint64_t sent) {
  if (notes_.entry() == nullptr || sent >= first.size() + second.size()) return;
  std::string rest(first.substr(std::min<std::uint64_t>(sent, first.size())));
  rest.append(second.substr(sent - std::min<std::uint64_t>(sent, first.size())));
  notes_.keep_rest(rest);
}

void TlsStream::note_sent() noexcept {
  if (queued_ != 0) return notes_.written(bytes_sent_);
  notes_.all_written();
  sending_.reset();
}

// --- Ending ---------------------------------------------------------------------------------------------------------

void TlsStream::on_other_record() {
  if (ssl_ != nullptr || closing_ || !take_close_notify(kernel_->fd)) return fail();
  input_ended(SSL_ERROR_ZERO_RETURN);
}

// Whether everything has left the kernel's TLS, with close_notify as the last.
bool TlsStream::records_have_left() noexcept {
  const auto positions = positions_of(kernel_->fd);
  if (!positions || positions->broken) return true;
  said_close_ = said_close_ || send_close_notify(kernel_->fd);
  const auto tls = kernel_tls_of(kernel_->fd);
  if (!said_close_ || !tls) return false;
  const std::uint64_t all = kernel_->base + bytes_sent_ + kCloseNotifyBytes + tls->next_record * kRecordOverhead;
  const auto now = positions_of(kernel_->fd);
  return !now || now->broken || now->written == all;
}

void TlsStream::look_later() noexcept {
  if (!kernel_->place) kernel_->place = kernel_->unsent.wait(*this);
}

void TlsStream::look(bool last) {
  if (!closing_ && (fin_ != Fin::wanted || queued_ != 0)) {  // there was no room to write
    kernel_->unsent.leave(*std::exchange(kernel_->place, {}));
    return next_turn();
  }
  const bool left = records_have_left();
  const bool late = closing_ && ++kernel_->looks >= kMostLooks;
  if (!left && !late && !last) return;
  kernel_->unsent.leave(*std::exchange(kernel_->place, {}));
  if (closing_) return left ? socket_.close() : socket_.reset();
  fin_ = Fin::sent;
  socket_.shutdown();
}

}  // namespace pronghorn::worker
