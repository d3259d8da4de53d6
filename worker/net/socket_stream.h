// The bytes of one client: a TCP or Unix socket on the loop.
//
// Context:   loop thread.
// Ownership: a member of its connection. libuv owns the handle's memory from the constructor until on_closed(), so the
// connection
//            is destroyed then and not earlier.
// Writing:   tried at once; what the socket does not take is copied and sent later. queued() tells how much that is: a
//            producer that has more waits for on_drained().
#pragma once

#include <uv.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "pronghorn/response.h"
#include "worker/net/open_file.h"

namespace pronghorn::worker {

// What a stream tells its protocol. After close() only on_closed() is called.
class StreamEvents {
 public:
  virtual void on_data(std::string_view bytes) = 0;  // valid during the call
  virtual void on_end() = 0;                         // the client has shut its side down
  virtual void on_drained() = 0;                     // queued() has become 0, on a later turn than the write
  virtual void on_error() = 0;   // the connection is broken: close() it; may come from within write()
  virtual void on_closed() = 0;  // the last call

 protected:
  ~StreamEvents() = default;
};

class SocketStream {
 public:
  // Takes `fd` over. `read_buffer` is shared by all streams of the loop: reads are handed on before the next begins.
  // When ok() is false afterwards, only close() may be called.
  SocketStream(uv_loop_t* loop, int fd, bool is_unix, std::string& read_buffer, StreamEvents& events) noexcept;
  SocketStream(const SocketStream&) = delete;
  SocketStream& operator=(const SocketStream&) = delete;
  ~SocketStream() = default;

  [[nodiscard]] bool ok() const noexcept { return ok_; }
  void read_start() noexcept;
  void read_stop() noexcept;
  [[nodiscard]] bool reading() const noexcept { return reading_; }
  // Whether bytes have come that were not handed on yet.
  [[nodiscard]] bool has_input() const noexcept;

  // Sends both, in order.
  void write(std::string_view first, std::string_view second = {});
  // Sends part of a file after everything written before. Nothing may be written while queued() is not 0.
  void write_file(std::unique_ptr<detail::FilePart> part);
  // Bytes that wait for the socket. The rest of a file counts as one. Not libuv's own count: what it has written is
  // kept until it has called back, on a later turn. To a client that keeps up a whole response would gather here.
  [[nodiscard]] std::size_t queued() const noexcept { return pending_bytes_ + (file_ != nullptr ? 1 : 0); }
  // Changes whenever the socket takes something of what is queued: so a slow client is told from a dead one.
  [[nodiscard]] std::uint64_t progress() const noexcept;

  // Tells the client that nothing more will be sent, after all that is queued.
  void shutdown() noexcept;
  // Drops what is queued. Later calls do nothing.
  void close() noexcept;
  [[nodiscard]] bool closing() const noexcept { return closing_; }

  [[nodiscard]] std::uint64_t bytes_sent() const noexcept { return bytes_sent_; }

 private:
  struct PendingWrite;

  [[nodiscard]] uv_stream_t* stream() noexcept { return reinterpret_cast<uv_stream_t*>(&handle_); }
  [[nodiscard]] const uv_stream_t* stream() const noexcept { return reinterpret_cast<const uv_stream_t*>(&handle_); }
  void received(ssize_t size, const char* bytes);
  void queue_write(std::string bytes);
  void write_finished(int status);
  void pump_file();
  void fail() noexcept;

  union {
    uv_handle_t handle;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
  } handle_;
  std::string& read_buffer_;
  StreamEvents& events_;
  std::unique_ptr<detail::FilePart> file_;  // what is left of it
  std::uint64_t bytes_sent_ = 0;
  std::size_t pending_bytes_ = 0;  // of queued writes that have not called back
  std::uint32_t pending_writes_ = 0;
  bool ok_ = false;
  bool closing_ = false;
  bool failed_ = false;
  bool reading_ = false;
};

}  // namespace pronghorn::worker
