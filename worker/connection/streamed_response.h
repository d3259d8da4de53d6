// A response whose body a producer writes while it is sent.
#pragma once

#include <coroutine>
#include <cstddef>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "pronghorn/response.h"
#include "pronghorn/task.h"
#include "worker/connection/end_of_turn.h"

namespace pronghorn::worker {

using pronghorn::detail::Exchange;

// Runs the producer and passes what it writes on to the protocol, which derives from this. Holds the producer back while the client has not
// taken what was written, and lets other clients have their turn.
//
// Context:   loop thread.
// Ownership: its owner, until the producer has ended or the client has left; then EndOfTurn, because the
//            producer's coroutine may be on the stack.
class StreamedResponse : public Writer, public TurnWork {
 public:
  struct Kind {
    bool chunked;        // written as chunks, with trailers behind the last; false: as it is
    bool ends_on_drain;  // the producer has no end of its own: the connection ends it when the worker drains
  };
  // `end_of_turn` must outlive it.
  StreamedResponse(EndOfTurn& end_of_turn, std::unique_ptr<Response::Producer> producer, Kind kind)
      : end_of_turn_(end_of_turn), producer_(std::move(producer)), kind_(kind) {}

  // Runs the producer up to its first suspension.
  void start(Exchange& exchange);
  [[nodiscard]] bool ends_on_drain() const noexcept { return kind_.ends_on_drain; }
  // Destroys the producer where it is suspended. Must not be called by code that runs inside it.
  void stop() noexcept { running_.reset(); }
  // The client has disconnected: the producer stays suspended until it is destroyed. The protocol may be gone from now
  // on.
  void detach() noexcept { attached_ = false; }
  // queued() has become less: resumes the producer.
  void drained();
  // The turn after the one in which the producer had written its share.
  void next_turn() override;
  // Sends what small writes have gathered.
  void end_turn() override;
  // Sends what has gathered and the end of the body. Nothing is sent afterwards.
  void finish();
  // The trailer fields, rendered: lines "Name: value\r\n".
  [[nodiscard]] const std::string& trailers() const noexcept { return trailers_; }

  Task<void> write(std::string_view data) override;
  void trailer(std::string_view name, std::string_view value) override;

 protected:
  // The protocol's part; called while it is attached.
  // Sends bytes of the body.
  virtual void send(std::string_view bytes) = 0;
  // The producer has ended; with an `error` if it threw.
  virtual void ended(std::exception_ptr error) = 0;
  // How many bytes of the body wait for the client. While they are many, the producer waits.
  [[nodiscard]] virtual std::size_t queued() const noexcept = 0;

 private:
  class WaitForRoom;
  [[nodiscard]] Task<void> run();
  [[nodiscard]] bool has_room();
  void add(std::string_view data);
  void flush();

  EndOfTurn& end_of_turn_;
  std::unique_ptr<Response::Producer> producer_;
  Kind kind_;
  bool attached_ = true;     // false: the client has left, or everything was sent
  bool yielding_ = false;    // waits for the next turn
  bool registered_ = false;  // end_turn() will be called at the end of this turn
  std::size_t written_this_turn_ = 0;
  std::string pending_;
  std::string trailers_;
  std::vector<WaitForRoom*> waiting_;  // suspended in write(): the producer, or branches of it
  Task<void> running_;                 // last: destroyed first
};

}  // namespace pronghorn::worker
