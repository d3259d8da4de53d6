// Writing and ending: see tls_stream.h.
#include <openssl/err.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "worker/net/open_file.h"
#include "worker/tls/record_writer.h"
#include "worker/tls/tls_stream.h"

namespace pronghorn::worker {
namespace {

constexpr std::size_t kRecord = SSL3_RT_MAX_PLAIN_LENGTH;
constexpr std::size_t kBatch = 64 * 1024;           // encrypted and sent with one system call
constexpr std::size_t kBytesPerTurn = 16 * kBatch;  // of what waits and of files; then other clients have their turn
constexpr std::size_t kMaxControl = 16 * 1024;      // of answers to a client that asks and does not read
constexpr std::size_t kKeptCapacity = 256 * 1024;

std::string_view take(std::string_view& bytes, std::size_t most) noexcept {
  const std::string_view taken = bytes.substr(0, most);
  bytes.remove_prefix(taken.size());
  return taken;
}

}  // namespace

bool TlsStream::encrypt(std::string_view bytes) {
  if (bytes.empty()) return true;
  std::size_t written = 0;
  ERR_clear_error();
  return SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &written) == 1;
}

// As if both were one: in as few records as possible.
bool TlsStream::encrypt(std::string_view first, std::string_view second) {
  if (!encrypt(take(first, second.empty() ? first.size() : first.size() / kRecord * kRecord))) return false;
  if (first.empty()) return encrypt(second);
  std::array<char, kRecord> record;
  const std::string_view start = take(second, record.size() - first.size());
  std::memcpy(record.data(), first.data(), first.size());
  std::memcpy(record.data() + first.size(), start.data(), start.size());
  return encrypt(std::string_view(record.data(), first.size() + start.size())) && encrypt(second);
}

// How much send() takes.
std::size_t TlsStream::batch() const noexcept { return ssl_ != nullptr ? kBatch : kRecordBytes; }

// Whether there is room for more. Up to batch() bytes.
bool TlsStream::send(std::string_view first, std::string_view second) {
  if (ssl_ == nullptr) return send_record(first, second);
  const RecordWriter writer(buffers_, records_);
  if (!encrypt(first, second)) {
    fail();
    return false;
  }
  in_flight_ += first.size() + second.size();
  socket_.write(writer.records());
  if (closing_ || state_ != State::established || socket_.queued() != 0) return false;
  bytes_sent_ += std::exchange(in_flight_, 0);
  return true;
}

// What OpenSSL sends by itself: parts of the handshake, alerts, answers to KeyUpdate.
void TlsStream::send_control(const std::string& records) {
  if (records.empty() || closing_) return;
  socket_.write(records);
  if (closing_ || state_ == State::failed || socket_.queued() == 0) return;
  control_ += records.size();
  if (state_ == State::established && control_ > kMaxControl) fail();
}

void TlsStream::update_queued() noexcept {
  queued_ = in_flight_ + (waiting_.size() - sent_waiting_) + (file_ != nullptr ? 1 : 0);
}

void TlsStream::write(std::string_view first, std::string_view second) {
  if (closing_ || state_ != State::established || fin_ != Fin::open) return;
  const bool queued = queued_ != 0;
  const std::uint64_t before = bytes_sent_;
  notes_.will_write(first, second, queued);
  bool room = !must_wait() && has_room();
  std::string_view more = first;
  std::string_view rest = second;
  while (room && !(more.empty() && rest.empty())) {
    const std::string_view start = take(more, batch());
    room = send(start, take(rest, batch() - start.size())) && has_room();
  }
  if (closing_ || state_ != State::established) return;
  if (!queued) keep_rest(first, second, bytes_sent_ - before);
  waiting_.append(more).append(rest);
  update_queued();
  note_sent();
  if (queued_ != 0 && waits_by_looking() && socket_.queued() == 0) look_later();
}

void TlsStream::write_file(std::string_view first, std::unique_ptr<detail::FilePart> part) {
  if (closing_ || state_ != State::established || fin_ != Fin::open) return;
  const bool queued = queued_ != 0;
  const std::uint64_t before = bytes_sent_;
  notes_.will_write_file(first, queued, part->file->fd(), part->offset, part->length);
  send_with_file(first, std::move(part));
  if (!queued && !closing_ && state_ == State::established) keep_rest(first, {}, bytes_sent_ - before);
}

void TlsStream::write_owed(std::string_view bytes, std::unique_ptr<detail::FilePart> part) {
  send_with_file(bytes, std::move(part));
}

void TlsStream::send_with_file(std::string_view first, std::unique_ptr<detail::FilePart> part) {
  const bool room = !must_wait();
  waiting_.append(first);
  if (part != nullptr) sending_ = part->file;
  file_ = std::move(part);
  update_queued();
  if (room) pump();
}

void TlsStream::write_plain(std::string_view bytes) {
  if (state_ == State::plain && !closing_) socket_.write(bytes);
}

// Sends what waits, until the socket is full or others should have their turn.
void TlsStream::pump() {
  for (std::size_t bytes = 0; bytes < kBytesPerTurn && (!waiting_.empty() || file_ != nullptr); bytes += batch()) {
    if (!has_room() || !send_piece()) break;
  }
  if (closing_ || state_ != State::established) return;
  update_queued();
  note_sent();
  if (queued_ == 0 || socket_.queued() != 0) return;
  if (!has_room()) return look_later();
  if (std::exchange(pumping_later_, true)) return;
  end_of_turn_.resume_next_turn(*this);
}

bool TlsStream::send_piece() {
  const std::string_view first = std::string_view(waiting_).substr(sent_waiting_, batch());
  sent_waiting_ += first.size();
  std::string_view second;
  if (file_ != nullptr && sent_waiting_ == waiting_.size()) {
    second = read_file(batch() - first.size());
    if (file_was_short_) {
      fail();
      return false;
    }
  }
  const bool room = send(first, second);
  if (sent_waiting_ == waiting_.size()) {
    waiting_.clear();
    if (waiting_.capacity() > kKeptCapacity) waiting_.shrink_to_fit();
    sent_waiting_ = 0;
  }
  return room;
}

std::string_view TlsStream::read_file(std::size_t most) {
  detail::FilePart& part = *file_;
  const std::span<char> buffer = buffers_.file();
  const std::size_t wanted = static_cast<std::size_t>(std::min<std::uint64_t>(part.length, most));
  ssize_t size = 0;
  while (wanted > 0) {
    size = ::pread(part.file->fd(), buffer.data(), wanted, static_cast<off_t>(part.offset));
    if (size >= 0 || errno != EINTR) break;
  }
  file_was_short_ = size <= 0 && part.length > 0;
  if (size > 0) {
    part.offset += static_cast<std::uint64_t>(size);
    part.length -= static_cast<std::uint64_t>(size);
  }
  if (part.length == 0) file_.reset();
  return {buffer.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0))};
}

void TlsStream::on_drained() {
  control_ = 0;
  if (state_ == State::plain || state_ == State::failed) return events_->on_drained();
  bytes_sent_ += std::exchange(in_flight_, 0);
  const bool owed = queued_ != 0;
  pump();
  if (closing_ || state_ != State::established || queued_ != 0 || !owed) return;
  if (fin_ == Fin::wanted) send_fin();
  if (!closing_ && state_ == State::established) events_->on_drained();
}

void TlsStream::next_turn() {
  pumping_later_ = false;
  if (closing_ || state_ != State::established || socket_.queued() != 0) return;
  on_drained();
}

std::uint64_t TlsStream::acknowledged() const noexcept {
  // What is under way is a little more than what the protocol has written of it. The difference only grows when there
  // is room to write, so it never looks as if the client had read.
  const auto under_way = static_cast<std::int64_t>(socket_.bytes_sent() - socket_.acknowledged());
  const auto sent = static_cast<std::int64_t>(bytes_sent_);
  return static_cast<std::uint64_t>(std::max<std::int64_t>(sent - under_way, 0));
}

// --- Ending ---------------------------------------------------------------------------------------------------------

void TlsStream::shutdown() noexcept {
  if (closing_ || fin_ != Fin::open) return;
  fin_ = Fin::wanted;
  if (queued_ == 0) send_fin();
}

void TlsStream::send_fin() noexcept {
  if (ssl_ == nullptr && !records_have_left()) return look_later();
  fin_ = Fin::sent;
  say_close();
  socket_.shutdown();
}

void TlsStream::say_close() noexcept {
  if (state_ != State::established || ssl_ == nullptr || std::exchange(said_close_, true)) return;
  const RecordWriter writer(buffers_, records_);
  ERR_clear_error();
  SSL_shutdown(ssl_.get());
  ERR_clear_error();
  socket_.write(writer.records());
}

void TlsStream::end(bool with_reset) noexcept {
  if (closing_) return;
  closing_ = true;
  const LedgerEntry* const entry = notes_.entry();
  const bool moves = entry != nullptr && entry->state.load(std::memory_order_relaxed) == LedgerState::leaving;
  // What was written is whole as far as TLS knows.
  const bool whole = !with_reset && !moves && queued_ == 0 && state_ == State::established;
  if (whole) say_close();
  notes_.end();
  file_.reset();
  sending_.reset();
  if (whole && ssl_ == nullptr && !records_have_left()) return look_later();
  with_reset ? socket_.reset() : socket_.close();
}

}  // namespace pronghorn::worker
