// The bytes that pass between a client and the protocol it speaks.
//
// SocketStream is the implementation that serves clients. Tests use one that keeps everything in memory, so that a
// connection runs without a socket, a loop or a clock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "pronghorn/response.h"
#include "worker/net/ledger/ledger_notes.h"
#include "worker/net/socket/socket_positions.h"

namespace pronghorn::worker {

// What a stream reports to its protocol. After close() or reset() the only call is on_closed().
class StreamEvents {
 public:
  // Bytes have arrived. They are valid during the call.
  virtual void on_data(std::string_view bytes) = 0;
  // The client has sent its FIN. It may still read.
  virtual void on_end() = 0;
  // queued() has become 0. Called on a later turn of the loop than the write.
  virtual void on_drained() = 0;
  // The connection is broken: close() it. May be called from within write() and write_file().
  virtual void on_error() = 0;
  // Of a socket that the kernel decrypts: the next record is none of data. Nothing more is read.
  virtual void on_other_record() { on_error(); }
  // The last call: the stream may be destroyed.
  virtual void on_closed() = 0;

 protected:
  ~StreamEvents() = default;
};

// Context: loop thread.
//
// Writing: a write is tried at once. What the client does not take is copied and sent later; queued() tells how much
// that is. A producer with more to send waits for StreamEvents::on_drained().
class ByteStream {
 public:
  ByteStream(const ByteStream&) = delete;
  ByteStream& operator=(const ByteStream&) = delete;

  // Sets the receiver of events. Must be called once, before anything else; `events` must outlive the stream.
  void report_to(StreamEvents& events) noexcept { events_ = &events; }

  // The first call reports bytes that have already arrived before it returns, so it must come from the loop itself.
  // Without effect while reading.
  void read_start() {
    if (!reading_ && !closing_) start_reading();
  }
  void read_stop() noexcept {
    if (reading_ && !closing_) stop_reading();
  }
  [[nodiscard]] bool reading() const noexcept { return reading_; }
  // Whether bytes have arrived that were not reported yet.
  [[nodiscard]] virtual bool has_input() const noexcept = 0;
  // How long the bytes that were reported last have waited, and whether the client is still there. A system call.
  [[nodiscard]] virtual SocketWait waited() const noexcept = 0;

  // Sends both, in order.
  virtual void write(std::string_view first, std::string_view second = {}) = 0;
  // Sends `first` and part of a file. Nothing may be written until queued() is 0 again. When the file turns out to be
  // shorter than the part, on_error() is called and file_was_short() is true.
  virtual void write_file(std::string_view first, std::unique_ptr<detail::FilePart> part) = 0;
  // Sends what another worker owed the client and the ledger has already: bytes, then part of a file unless `part` is
  // null. To be called before anything is written; otherwise like write_file().
  virtual void write_owed(std::string_view bytes, std::unique_ptr<detail::FilePart> part) = 0;
  // Bytes that wait for the client; the rest of a file counts as one.
  [[nodiscard]] std::size_t queued() const noexcept { return queued_; }
  [[nodiscard]] bool file_was_short() const noexcept { return file_was_short_; }
  // Bytes given to the kernel since the connection was opened.
  [[nodiscard]] std::uint64_t bytes_sent() const noexcept { return bytes_sent_; }
  // Bytes that the client has acknowledged: below bytes_sent() while some are under way. A system call. On a Unix
  // socket it only approximates, but changes whenever the client reads.
  [[nodiscard]] virtual std::uint64_t acknowledged() const noexcept = 0;

  // Sends a FIN after everything that is queued. The client can still send.
  virtual void shutdown() noexcept = 0;
  // Discards what is queued. Bytes that the kernel has still reach the client, unless the client sends more.
  void close() noexcept { end(false); }
  // The same with a TCP reset, so that the client cannot mistake what it has received for the whole. A Unix socket has
  // no such signal: it is closed.
  void reset() noexcept { end(true); }
  [[nodiscard]] bool closing() const noexcept { return closing_; }

  // Whether its bytes are those of another connection, which counts them.
  [[nodiscard]] bool nested() const noexcept { return nested_; }

  // For whoever takes the connection up when this worker dies.
  [[nodiscard]] LedgerNotes& notes() noexcept { return notes_; }
  [[nodiscard]] const LedgerNotes& notes() const noexcept { return notes_; }

 protected:
  ByteStream() = default;
  ~ByteStream() = default;

  virtual void start_reading() = 0;
  virtual void stop_reading() noexcept = 0;
  virtual void end(bool with_reset) noexcept = 0;

  StreamEvents* events_ = nullptr;
  std::uint64_t bytes_sent_ = 0;
  std::size_t queued_ = 0;
  [[no_unique_address]] LedgerNotes notes_;  // its padding has what follows
  bool reading_ = false;
  bool closing_ = false;
  bool file_was_short_ = false;
  bool nested_ = false;
};

}  // namespace pronghorn::worker
