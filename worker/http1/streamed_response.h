// A response whose body a producer writes while it is sent.
#pragma once

#include <coroutine>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "pronghorn/response.h"
#include "pronghorn/task.h"

namespace pronghorn::worker {

class EndOfTurn;
using pronghorn::detail::Exchange;
class Http1Connection;

// Runs the producer and passes what it writes on to the connection. Holds the producer back while the client has not
// taken what was written, and lets other clients have their turn.
//
// Context:   loop thread.
// Ownership: the connection, until the producer has ended or the client has left; then EndOfTurn, because the
//            producer's coroutine may be on the stack.
class StreamedResponse final : public Writer {
 public:
  struct Kind {
    bool chunked;        // false: the end of the connection ends the body
    bool ends_on_drain;  // the producer has no end of its own: the connection ends it when the worker drains
  };
  // `connection` must outlive it, or detach() it. `end_of_turn` must outlive it.
  StreamedResponse(Http1Connection& connection, EndOfTurn& end_of_turn, std::unique_ptr<Response::Producer> producer,
                   Kind kind)
      : connection_(&connection), end_of_turn_(end_of_turn), producer_(std::move(producer)), kind_(kind) {}

  // Runs the producer up to its first suspension.
  void start(Exchange& exchange);
  [[nodiscard]] bool ends_on_drain() const noexcept { return kind_.ends_on_drain; }
  // Destroys the producer where it is suspended. Must not be called by code that runs inside it.
  void stop() noexcept { running_.reset(); }
  // The client has disconnected: the producer stays suspended until it is destroyed.
  void detach() noexcept { connection_ = nullptr; }
  // The connection has room again: resumes the producer.
  void drained();
  // The turn after the one in which the producer had written its share.
  void next_turn();
  // Sends what small writes have gathered.
  void flush_writes();
  // Sends what has gathered and the end of the body. Nothing is sent afterwards.
  void finish();

  Task<void> write(std::string_view data) override;
  void trailer(std::string_view name, std::string_view value) override;

 private:
  class WaitForRoom;
  [[nodiscard]] Task<void> run();
  [[nodiscard]] bool has_room();
  void add(std::string_view data);
  void flush();

  Http1Connection* connection_;  // null: the client has left, or everything was sent
  EndOfTurn& end_of_turn_;
  std::unique_ptr<Response::Producer> producer_;
  Kind kind_;
  bool yielding_ = false;    // waits for the next turn
  bool registered_ = false;  // flush_writes() will be called at the end of this turn
  std::size_t written_this_turn_ = 0;
  std::string pending_;
  std::string trailers_;
  std::vector<WaitForRoom*> waiting_;  // suspended in write(): the producer, or branches of it
  Task<void> running_;                 // last: destroyed first
};

}  // namespace pronghorn::worker
