// A response whose body is made while it is sent: runs the producer and carries what it writes to the connection.
//
// Ownership: the connection, until the producer has ended or the client has left; then the context destroys it at the
// end of the turn, because its coroutine may be on the stack.
#pragma once

#include <coroutine>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "pronghorn/response.h"
#include "pronghorn/task.h"

namespace pronghorn::worker {

class Exchange;
class Http1Connection;

class StreamedResponse final : public Writer {
 public:
  StreamedResponse(Http1Connection& connection, std::unique_ptr<Response::Producer> producer, bool chunked,
                   bool ends_on_drain)
      : connection_(&connection), producer_(std::move(producer)), chunked_(chunked), ends_on_drain_(ends_on_drain) {}

  // Runs the producer up to its first suspension.
  void start(Exchange& exchange);
  // It has no end of its own: the connection ends it when the worker drains.
  [[nodiscard]] bool ends_on_drain() const noexcept { return ends_on_drain_; }
  // Destroys the producer where it is suspended. Must not be called by code that runs inside it.
  void stop() noexcept { running_.reset(); }
  // The client has left: the producer stays suspended until it is destroyed.
  void detach() noexcept { connection_ = nullptr; }
  // The connection has room again.
  void drained();
  // It had written its share of a turn, and this is the next.
  void next_turn();
  // Sends what small writes have left behind.
  void end_of_turn();
  // The end of the body: the last chunk, and what was not flushed. Nothing is sent afterwards.
  void finish();

  Task<void> write(std::string_view data) override;
  void trailer(std::string_view name, std::string_view value) override;

 private:
  class WaitForRoom;
  [[nodiscard]] Task<void> run();
  [[nodiscard]] bool has_room();
  void add(std::string_view data);
  void flush();

  Http1Connection* connection_;
  std::unique_ptr<Response::Producer> producer_;
  bool chunked_;
  bool ends_on_drain_;
  bool yielding_ = false;    // waits for the next turn
  bool registered_ = false;  // among the context's unflushed streams
  std::size_t written_this_turn_ = 0;
  std::string pending_;
  std::string trailers_;
  std::vector<WaitForRoom*> waiting_;  // the producer, or branches of it
  Task<void> running_;                 // last: destroyed first
};

}  // namespace pronghorn::worker
