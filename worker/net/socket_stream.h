// A client's TCP or Unix socket on the loop.
#pragma once

#include <uv.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "worker/net/byte_stream.h"
#include "worker/net/open_file.h"

namespace pronghorn::worker {

// Context:   loop thread.
// Ownership: libuv uses the handle's memory from the constructor until StreamEvents::on_closed(): the stream must not
//            be destroyed earlier.
class SocketStream final : public ByteStream {
 public:
  using ReadBuffer = std::span<char, Ledger::kReadBuffer>;

  // Takes ownership of `fd`, a connected, non-blocking stream socket. `read_buffer` is shared by all streams of the
  // loop: each read is reported before the next begins. `sent`: how much another worker has
  // written to it; then no bytes are reported before read_start() returns. `shared`: other processes may hold copies of
  // `fd`, so closing ours need not end the connection.
  SocketStream(uv_loop_t* loop, int fd, ReadBuffer read_buffer, std::optional<std::uint64_t> sent = {},
               bool shared = false) noexcept;
  ~SocketStream() = default;

  [[nodiscard]] int descriptor() const noexcept { return fd_; }

  // ByteStream
  [[nodiscard]] bool has_input() const noexcept override;
  [[nodiscard]] SocketWait waited() const noexcept override { return wait_of(fd_); }
  void write(std::string_view first, std::string_view second) override;
  void write_file(std::string_view first, std::unique_ptr<detail::FilePart> part) override;
  void write_owed(std::string_view bytes, std::unique_ptr<detail::FilePart> part) override;
  [[nodiscard]] std::uint64_t acknowledged() const noexcept override;
  void shutdown() noexcept override;

 private:
  struct PendingWrite;
  enum class Fin : std::uint8_t { open, wanted, sent };

  void start_reading() override;
  void stop_reading() noexcept override;
  void end(bool with_reset) noexcept override;

  [[nodiscard]] uv_stream_t* stream() noexcept { return reinterpret_cast<uv_stream_t*>(&handle_); }
  [[nodiscard]] const uv_stream_t* stream() const noexcept { return reinterpret_cast<const uv_stream_t*>(&handle_); }
  [[nodiscard]] bool watch();
  [[nodiscard]] std::size_t read_size() const noexcept;
  void read_now();
  void received(ssize_t size, const char* bytes);
  [[nodiscard]] bool send(std::string_view first, std::string_view second, bool more);
  void queue_rest(std::string_view first, std::string_view second, std::size_t sent);
  void send_file(std::string_view first, std::unique_ptr<detail::FilePart> part);
  [[nodiscard]] ssize_t try_write(std::string_view first, std::string_view second, bool more) noexcept;
  void queue_write(std::string bytes);
  void write_finished(int status);
  void pump_file();
  void queue_file_piece();
  void send_fin() noexcept;
  void fail() noexcept;
  void end_connection(bool with_reset) const noexcept;

  Fin fin_ = Fin::open;
  int fd_;
  std::uint32_t pending_writes_ = 0;
  uv_tcp_t handle_;  // for Unix sockets too: libuv treats all stream sockets alike
  ReadBuffer read_buffer_;
  std::unique_ptr<detail::FilePart> file_;  // what is left of it
  bool watched_ = false;                    // libuv has the descriptor, and closes it
  bool read_before_;                        // the first read does not wait for the loop
  bool failed_ = false;
  bool shared_;
};

}  // namespace pronghorn::worker
