// Receives the body of one request at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "worker/exchange/exchange.h"
#include "worker/http1/parser/chunked_decoder.h"
#include "worker/net/ledger/ledger_notes.h"

namespace pronghorn::worker {

// Ends a body where its framing says (RFC 9112 section 6.3), passes it to the exchange that reads it, and drops what
// nobody reads: a handler may answer without reading, and the next request follows the body.
//
// Context: loop thread; one per connection, reused for each message.
class BodyReceiver {
 public:
  // Of a body that nobody reads, up to this much is read and dropped to keep the connection.
  static constexpr std::uint64_t kMaxDropped = 256 * 1024;

  enum class Outcome : std::uint8_t {
    more,       // the body continues, or is complete
    too_large,  // the data exceed the request's limit, and were not delivered, or the chunks' overhead exceeds its own
    malformed,  // the chunked framing is broken: what follows cannot be framed
    unwanted,   // more than kMaxDropped was dropped
  };
  struct Taken {
    std::size_t bytes;  // of the input, which are used up
    Outcome outcome;
  };

  // The body of `exchange`, whose head has been parsed and announces one, is next.
  void begin(Exchange& exchange) noexcept;
  // Takes bytes of the body from the beginning of `bytes`. May resume the handler, which may answer and end the
  // exchange: so `notes` learn first that the bytes are consumed. Noted later, they would outlive the worker as the
  // beginning of another request.
  Taken take(std::string_view bytes, LedgerNotes& notes);

  // The client was told to continue ("100 Continue"). False if it did not wait for that.
  bool continue_now() noexcept;
  // The exchange reads no more, because it was answered: the rest is dropped.
  void drop_rest() noexcept;
  // The rest cannot be framed, or is refused: whatever follows on the connection is dropped.
  void give_up() noexcept;
  // The client sends no more.
  void abandon() noexcept { end(); }

  // Whether bytes of a body are next on the connection.
  [[nodiscard]] bool expected() const noexcept { return state_ != State::none; }
  // Whether the exchange waits for bytes that the client can send now.
  [[nodiscard]] bool receiving() const noexcept { return state_ == State::receiving; }
  // Whether the client waits for "100 Continue" and may never send the body.
  [[nodiscard]] bool awaits_continue() const noexcept { return state_ == State::awaiting_continue; }
  // Whether to stop reading from the client while the request is being answered: the handler has not taken what came,
  // or enough was dropped.
  [[nodiscard]] bool holds_back() const noexcept;
  // Whether so much is still announced that ending the connection is cheaper than dropping it.
  [[nodiscard]] bool too_much_left() const noexcept {
    return expected() && !body_->chunked && body_->left > kMaxDropped;
  }

 private:
  enum class State : std::uint8_t { none, awaiting_continue, receiving, dropping, broken };

  Taken take_chunk(std::string_view bytes, LedgerNotes& notes);
  Outcome deliver(std::string_view data);
  Outcome drop(std::size_t bytes) noexcept;
  void finish();
  void end() noexcept;

  // What there is of the body. Apart, because most connections wait for a request, and have none.
  struct Body {
    Exchange* reader = nullptr;  // null: it is dropped
    std::uint64_t left = 0;      // if it has a length
    bool chunked = false;
    std::uint64_t dropped = 0;
    ChunkedDecoder decoder = {};
  };
  std::unique_ptr<Body> body_;  // null: none is expected
  State state_ = State::none;
};

}  // namespace pronghorn::worker
