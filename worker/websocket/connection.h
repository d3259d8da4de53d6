// One client that speaks the WebSocket protocol (RFC 6455).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>

#include "pronghorn/websocket.h"
#include "worker/connection/client_progress.h"
#include "worker/connection/connection.h"
#include "worker/connection/end_of_turn.h"
#include "worker/connection/http_context.h"
#include "worker/net/byte_stream.h"
#include "worker/state/events/topics/topic_member.h"
#include "worker/websocket/frame_rate.h"
#include "worker/websocket/protocol/frame_reader.h"
#include "worker/websocket/socket.h"

namespace pronghorn::worker {

// Reads frames and gives their messages to the application, one at a time and in order; while a handler waits, messages
// gather up to a limit, and pings are still answered. What is sent within a turn of the loop is written at its end, in
// one write.
//
// The ledger learns of everything just before it is written: which message was handled, how the socket has changed, and
// which event of each topic the client gets with it. So a worker that takes the socket up goes on exactly there.
//
// It ends in one of three ways: the client's close frame is answered; the server's is sent and answered, or not in time;
// or the connection breaks. Then the close handler runs, and only when that has ended is the descriptor closed, so that
// another worker runs the handler if this one dies.
//
// Context: loop thread. In two files: connection.cpp (messages), connection_life.cpp (waiting, ending, moving).
class SocketConnection final : public Connection, public TurnWork {
 public:
  // Bytes that may wait for the client before nothing more is read from it, and before SocketRoom waits.
  static constexpr std::size_t kRoom = 64 * 1024;

  // All references outlive it.
  SocketConnection(HttpContext& context, ConnectionOwner& owner, ByteStream& stream, Peer peer);
  ~SocketConnection() override;

  // The handshake was answered. `upgrade` is that of the response, `unparsed` what the client has sent after it.
  void start(std::unique_ptr<detail::Upgrade> upgrade, std::string unparsed);
  // Goes on with a socket that another worker has served. `handed` must be valid during the call, and has no file.
  void resume(const HandoffRecord& record, const Handed& handed);

  // Connection
  void timed_out() override;
  void check_deadline(std::chrono::steady_clock::time_point now) override;
  void drain(bool close_idle) override;
  [[nodiscard]] bool can_move() const noexcept override;
  [[nodiscard]] HandoffSent hand_over(Ledger& ledger, int queue) noexcept override;
  void moved() noexcept override;
  [[nodiscard]] LedgerNotes& notes() noexcept override { return stream_.notes(); }
  // The close handler does not run.
  void close() noexcept override { end(false); }

  // --- For the socket -----------------------------------------------------------------------------------------------
  void send(std::string_view payload, bool is_text);
  void send_frames(std::string_view frames);
  // Appends the frame of a message to this socket's client.
  static void append_message(std::string& out, Socket& socket, std::string_view payload, bool is_text);
  void deliver(const std::string& topic, const EventPtr& event);
  void deliver_gap(const std::string& topic);
  // Sends a close frame and waits for that of the client.
  void begin_close(std::uint16_t code, std::string_view reason);
  [[nodiscard]] bool closing() const noexcept { return state_ != State::open; }
  [[nodiscard]] bool has_room() const noexcept { return closing() || queued() < kRoom; }
  // Writes what has gathered, and notes what has changed, at the end of this turn.
  void flush_later();

  // --- For the list of what is in progress --------------------------------------------------------------------------
  [[nodiscard]] std::size_t queued() const noexcept { return out_.size() + stream_.queued(); }
  [[nodiscard]] const Socket& socket() const noexcept { return *socket_; }
  [[nodiscard]] std::uint64_t opened_ms() const noexcept { return opened_ms_; }

 private:
  enum class State : std::uint8_t {
    open,
    leaving,  // the client sends nothing more: what it has sent is still handled
    closing,  // the server's close frame was sent: the client's is waited for
    failed,   // the same, but nothing of what the client still sends is read
    ended,    // the client is gone, or has answered: the close handler is due, runs or has ended
  };
  enum class CloseHandler : std::uint8_t { due, running, ended };
  struct Arrived {  // a message that waits for its turn
    std::string payload;
    std::uint64_t from;
    std::uint64_t until;
    bool is_text;
  };

  // StreamEvents
  void on_data(std::string_view bytes) override;
  void on_end() override;
  void on_drained() override;
  void on_error() override;
  void on_closed() override { owner_.closed(*this); }
  // TurnWork
  void end_turn() override;
  void next_turn() override;

  void take_in(std::string_view bytes);
  std::size_t parse(std::string_view bytes);
  void note_handled() noexcept;
  [[nodiscard]] bool take_fragments(const FrameStep& step);
  void take_frame(const FrameStep& step);
  void take_message(std::string_view payload, bool is_text);
  [[nodiscard]] bool holds_back() const noexcept;
  void go_on();
  void handle(std::string_view payload, std::uint64_t from, std::uint64_t until, bool is_text);
  Exchange& open_exchange();
  template <class Function, class... Args>
  void run(const Function& function, void (SocketConnection::*ended)(bool), Args... args);
  template <class Function, class... Args>
  [[nodiscard]] Task<void> run_task(const Function& function, void (SocketConnection::*ended)(bool), Args... args);
  void handler_failed(const Exchange& exchange, std::exception_ptr error);
  void close_exchange() noexcept;
  void message_ended(bool failed);
  void close_handler_ended(bool failed);

  void write_out();
  void write_notes();
  [[nodiscard]] bool is_full() const noexcept;
  void too_slow();
  void fail(std::uint16_t code, std::string_view reason);
  void send_close(std::uint16_t code, std::string_view reason);
  void leave();
  void finish();
  void run_close_handler();
  void close_if_done();
  void end(bool moves) noexcept;
  void begin(std::unique_ptr<Socket> socket);
  void settle();
  void update_waiting();
  void count_bytes() noexcept;

  HttpContext& context_;
  ConnectionOwner& owner_;
  ByteStream& stream_;
  Peer peer_;
  std::unique_ptr<Socket> socket_;
  FrameReader reader_;
  FrameRate rate_;
  ClientProgress progress_;
  Exchange* exchange_ = nullptr;                  // of the handler that runs
  std::unique_ptr<std::deque<Arrived>> arrived_;  // null: none waits
  std::size_t arrived_bytes_ = 0;
  std::string unparsed_;
  std::string out_;  // frames that are written at the end of the turn
  std::string reason_;
  std::uint64_t counted_;         // bytes sent, as far as the scoreboard has them
  std::uint64_t row_queued_ = 0;  // bytes queued, the same
  std::uint64_t opened_ms_;
  std::uint64_t position_ = 0;      // of the next byte to parse
  std::uint64_t message_from_ = 0;  // where the message that is being received begins
  std::uint64_t handling_until_ = 0;
  std::uint64_t begun_until_ = 0;  // what another worker had done of messages that begin before this …
  Begun begun_ = Begun::no;        // … is this
  std::uint16_t code_ = kCloseAbnormal;
  State state_ = State::open;
  CloseHandler close_handler_ = CloseHandler::due;
  bool client_gone_ = false;    // it sends nothing more
  bool answers_close_ = false;  // its close frame has to be answered
  bool broken_ = false;         // nothing reaches it
  bool pinged_ = false;         // and nothing has arrived since
  bool flushing_ = false;       // end_turn() will be called
  bool resuming_ = false;       // next_turn() will be called
  bool parsing_ = false;
};

}  // namespace pronghorn::worker
