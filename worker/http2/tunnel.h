// A stream of HTTP/2 that carries another protocol (RFC 8441).
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <string_view>

#include "pronghorn/response.h"
#include "worker/connection/connection.h"
#include "worker/connection/end_of_turn.h"
#include "worker/net/byte_stream.h"

namespace pronghorn::worker {

class Http2Connection;
class Http2Stream;

// The bytes in the DATA frames of one stream, for the connection that speaks the protocol in them. END_STREAM stands for
// the FIN of either side, RST_STREAM for a reset.
//
// What the protocol does not read stays within the client's window, and is kept here. What it writes waits here for the
// window of the stream, and leaves with the frames of all other streams. New data, its end and errors are told while
// nghttp2 reports them, everything else at the end of the turn or in the next one.
//
// Context:   loop thread.
// Ownership: its Http2Connection, from the head of the request until that is refused or the protocol has ended. It may
//            outlive its stream, because the protocol has work to do when its client has left.
class Http2Tunnel final : public ByteStream, private ConnectionOwner, private TurnWork {
 public:
  // Both must outlive it, the stream until stream_ended().
  Http2Tunnel(Http2Connection& connection, Http2Stream& stream) noexcept;
  ~Http2Tunnel() override;

  // --- For the stream -----------------------------------------------------------------------------------------------

  // The request was accepted: the protocol begins at the end of this turn.
  void begin(std::unique_ptr<detail::Upgrade> to);
  // Bytes have arrived, also before begin(). May run code of the application.
  void receive(std::string_view bytes);
  // END_STREAM has arrived.
  void finish();
  // Moves `size` bytes of those that are queued.
  void take(std::string& out, std::size_t size);
  // The stream has ended; `in_order`: both sides have sent END_STREAM. A tunnel that has not begun is destroyed.
  void stream_ended(bool in_order) noexcept;

  // --- For the connection -------------------------------------------------------------------------------------------

  // See Connection::drain() and Connection::close().
  void drain(bool close_idle);
  void close_protocol() noexcept;
  // Where it is in its connection's list.
  std::list<Http2Tunnel>::iterator self;

  // ByteStream
  [[nodiscard]] bool has_input() const noexcept override { return !received_.empty() || owes_end_; }
  [[nodiscard]] SocketWait waited() const noexcept override { return {}; }  // unknown
  void write(std::string_view first, std::string_view second) override;
  // Reads the whole part into memory.
  void write_file(std::string_view first, std::unique_ptr<detail::FilePart> part) override;
  void write_owed(std::string_view bytes, std::unique_ptr<detail::FilePart> part) override;
  // The client acknowledges by its window.
  [[nodiscard]] std::uint64_t acknowledged() const noexcept override { return bytes_sent_; }
  void shutdown() noexcept override;

 private:
  void start_reading() override;
  void stop_reading() noexcept override { reading_ = false; }
  void end(bool with_reset) noexcept override;
  // ConnectionOwner
  void closed(Connection& connection) noexcept override;
  void upgraded() override {}
  // TurnWork
  void end_turn() override;
  void next_turn() override;

  [[nodiscard]] bool begin_protocol();
  void deliver();
  void forget_bytes() noexcept;
  void act_at_end_of_turn();
  void act_in_next_turn();

  Http2Connection& connection_;
  Http2Stream* stream_;                   // null: it has ended, or is of no interest any more
  std::unique_ptr<detail::Upgrade> to_;   // until the protocol begins
  std::unique_ptr<Connection> protocol_;  // from then on
  std::string received_;                  // what nobody has read yet
  std::string out_;                       // what waits for the client, from taken_ on
  std::size_t taken_ = 0;
  bool owes_end_ = false;     // the end of the input waits until somebody reads
  bool shut_ = false;         // nothing is written any more
  bool acts_at_end_ = false;  // end_turn() will be called
  bool acts_next_ = false;    // next_turn() will be called
};

}  // namespace pronghorn::worker
