// The bytes of a TLS connection, decrypted.
#pragma once

#include <openssl/ssl.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "common/tls/server_context.h"
#include "worker/connection/end_of_turn.h"
#include "worker/net/byte_stream.h"
#include "worker/net/open_file.h"
#include "worker/net/socket/tls_facts.h"
#include "worker/tls/failure.h"
#include "worker/tls/kernel/kernel_records.h"
#include "worker/tls/kernel/unsent_records.h"
#include "worker/tls/tls_buffers.h"

namespace pronghorn::worker {

// What a stream reports to whoever waits for its handshake, until established() or failed(). Events of the stream come
// as from any other, but there is no data.
class HandshakeEvents {
 public:
  // The stream does not read any more: whoever takes it over calls read_start(), and then gets what has arrived.
  virtual void established() = 0;
  // Nothing can be read from now on. An alert was sent if the protocol has one for it. The stream is to be closed, after
  // write_plain() if `failure` is TlsFailure::plain_http.
  virtual void failed(TlsFailure failure) = 0;

 protected:
  ~HandshakeEvents() = default;
};

// A socket that the kernel encrypts already.
struct KernelTlsSocket {
  int fd;
  std::uint64_t sent;  // how much was written to it
  std::uint64_t base;  // LedgerRecords::base
  UnsentRecords& unsent;
};

// On top of another stream, which reads, queues and sends what is encrypted.
//
// Units: queued(), bytes_sent() and acknowledged() count what the protocol has written, not what TLS adds to it.
//
// Records: a write becomes as few as possible, of up to 16 KiB. All records of a write, up to 64 KiB, leave with one
// system call. What the client does not take waits as it was written, and is encrypted only when there is room for it,
// 64 KiB at a time; files are read then. So a client that reads slowly costs no more than one over plain HTTP.
//
// End: shutdown() and close() send close_notify if everything was sent before, so that the client knows that it has the
// whole (RFC 8446 section 6.1). A client whose FIN comes without close_notify has not ended in order: on_error(), not
// on_end(), because somebody on the way may have cut what it sent.
//
// Kernel: after the handshake the kernel may encrypt and decrypt in place of OpenSSL (worker/net/socket/kernel_tls.h).
// Then the connection can be in the ledger; the positions there count what the protocol reads and writes. Each record is
// one write. The end waits until the kernel has passed on what it has encrypted: see UnsentRecords.
//
// Memory: an idle connection has no buffers; those for a call of OpenSSL are shared by all streams of the worker.
//
// Context:   loop thread.
// Ownership: as SocketStream. `socket`, `buffers` and `end_of_turn` must outlive it.
class TlsStream final : public ByteStream, private StreamEvents, private TurnWork, private UnsentRecords::Waiting {
 public:
  // `ssl` is new, of TlsServerContext::new_connection().
  TlsStream(ByteStream& socket, SslPtr ssl, TlsBuffers& buffers, EndOfTurn& end_of_turn);
  // Of a connection that another worker has served: its handshake is done.
  TlsStream(ByteStream& socket, const KernelTlsSocket& kernel, TlsBuffers& buffers, EndOfTurn& end_of_turn);
  ~TlsStream() override;

  // Sets who waits for the handshake. Must be called once, before read_start(); `events` must live until one of its
  // functions was called.
  void report_handshake_to(HandshakeEvents& events) noexcept { handshake_ = &events; }
  // Lets the kernel go on once the handshake is done, if both can: with TLS 1.3, HTTP/1 and no certificate of the
  // client. `fd` is that of the socket. Must be called before read_start(); `unsent` must outlive the stream.
  void prefer_kernel(int fd, UnsentRecords& unsent);
  // Whether it does. Valid once established.
  [[nodiscard]] bool by_kernel() const noexcept { return ssl_ == nullptr; }
  // For the ledger, when it has just begun to: what was read already and is not reported yet, the number of the record
  // that is sent next, LedgerRecords::base.
  [[nodiscard]] std::string_view unreported() const noexcept { return plain_; }
  [[nodiscard]] std::uint64_t next_record() const noexcept;
  [[nodiscard]] std::uint64_t records_base() const noexcept;
  // What the handshake has agreed on. Valid once established, as long as the stream.
  [[nodiscard]] const TlsFacts& facts() const noexcept { return facts_; }
  // After TlsFailure::plain_http: answers without encryption.
  void write_plain(std::string_view bytes);

  // ByteStream
  [[nodiscard]] bool has_input() const noexcept override;
  [[nodiscard]] SocketWait waited() const noexcept override { return socket_.waited(); }
  void write(std::string_view first, std::string_view second) override;
  void write_file(std::string_view first, std::unique_ptr<detail::FilePart> part) override;
  void write_owed(std::string_view bytes, std::unique_ptr<detail::FilePart> part) override;
  [[nodiscard]] std::uint64_t acknowledged() const noexcept override;
  void shutdown() noexcept override;

 private:
  enum class State : std::uint8_t {
    fresh,  // nothing has arrived
    handshaking,
    established,
    plain,  // the client speaks plain HTTP
    failed,
  };
  enum class Fin : std::uint8_t { open, wanted, sent };

  void start_reading() override;
  void stop_reading() noexcept override;
  void end(bool with_reset) noexcept override;
  // StreamEvents, of the socket
  void on_data(std::string_view bytes) override;
  void on_end() override;
  void on_drained() override;
  void on_error() override;
  void on_other_record() override;
  void on_closed() override { events_->on_closed(); }
  // TurnWork
  void end_turn() override;
  void next_turn() override;
  // UnsentRecords::Waiting
  void look(bool last) override;

  void take_in(std::string_view bytes);
  void shake_hands();
  void handshake_failed(TlsFailure failure);
  void decrypt();
  [[nodiscard]] int read_records(std::size_t& size);
  void input_ended(int error);
  [[nodiscard]] bool has_kept() const noexcept;
  void read_later();

  [[nodiscard]] bool kernel_may_go_on() const noexcept;
  void settle();
  void give_to_kernel(std::uint64_t arrived);
  [[nodiscard]] bool decrypt_arrived(std::uint64_t records);
  [[nodiscard]] bool send_record(std::string_view first, std::string_view second);
  void keep_rest(std::string_view first, std::string_view second, std::uint64_t sent);
  void note_sent() noexcept;
  [[nodiscard]] bool records_have_left() noexcept;
  void look_later() noexcept;
  [[nodiscard]] bool waits_by_looking() const noexcept;
  [[nodiscard]] bool has_room() const noexcept;

  void learn_facts();
  [[nodiscard]] bool must_wait() const noexcept { return queued_ != 0 || socket_.queued() != 0; }
  [[nodiscard]] bool encrypt(std::string_view first, std::string_view second);
  [[nodiscard]] bool encrypt(std::string_view bytes);
  [[nodiscard]] bool send(std::string_view first, std::string_view second);
  void send_control(const std::string& records);
  [[nodiscard]] std::size_t batch() const noexcept;
  void send_with_file(std::string_view first, std::unique_ptr<detail::FilePart> part);
  void pump();
  [[nodiscard]] bool send_piece();
  [[nodiscard]] std::string_view read_file(std::size_t most);
  void send_fin() noexcept;
  void say_close() noexcept;
  void update_queued() noexcept;
  void fail() noexcept;

  // The BIO that OpenSSL reads from and writes to.
  static BIO_METHOD* method();
  static int bio_read(BIO* bio, char* out, int size) noexcept;
  static int bio_write(BIO* bio, const char* bytes, int size) noexcept;
  static long bio_control(BIO* bio, int command, long number, void* pointer) noexcept;

  ByteStream& socket_;
  TlsBuffers& buffers_;
  EndOfTurn& end_of_turn_;
  HandshakeEvents* handshake_ = nullptr;   // null: it is over
  SslPtr ssl_;                             // null: the kernel encrypts
  std::unique_ptr<KernelRecords> kernel_;  // null: it does not, and is not to
  std::string_view input_;                 // encrypted, during a call; OpenSSL takes from its beginning
  std::string kept_;                       // encrypted, while nobody reads
  std::string plain_;                      // decrypted before that, and not reported yet
  std::string* records_ = nullptr;         // where OpenSSL writes, during a call
  std::string waiting_;  // what the protocol has written and nobody has encrypted yet, from sent_waiting_ on
  std::size_t sent_waiting_ = 0;
  std::unique_ptr<detail::FilePart> file_;   // what is left of it
  std::shared_ptr<const OpenFile> sending_;  // while the ledger names it
  std::size_t in_flight_ = 0;                // bytes of the protocol in what the socket has queued
  std::size_t control_ = 0;                  // bytes of what OpenSSL has sent by itself and the socket has queued
  std::size_t handshake_bytes_ = 0;
  TlsFacts facts_;
  State state_ = State::fresh;
  Fin fin_ = Fin::open;
  bool reading_later_ = false;  // end_turn() will be called
  bool pumping_later_ = false;  // next_turn() will be called
  bool client_ended_ = false;   // its close_notify has arrived
  bool owes_end_ = false;       // the end of the input waits until somebody reads
  bool said_close_ = false;
};

}  // namespace pronghorn::worker
