// Work that is deferred to the end of the loop's turn.
#pragma once

#include <memory>
#include <vector>

#include "worker/exchange/exchange_pool.h"

namespace pronghorn::worker {

// Something that has work at the end of a turn.
class TurnWork {
 public:
  TurnWork() = default;
  TurnWork(const TurnWork&) = delete;
  TurnWork& operator=(const TurnWork&) = delete;
  virtual ~TurnWork() = default;

  // The turn ends: see EndOfTurn::flush().
  virtual void end_turn() = 0;
  // See EndOfTurn::resume_next_turn().
  virtual void next_turn() {}
};

// A coroutine that ends, or whose client disconnects, may be on the stack at that moment: its owner passes it to
// EndOfTurn, which destroys it when no code of the application is running. Streams and sockets also gather small writes
// until then, and streams yield to other clients here.
//
// Context: loop thread; run() and resume() must be called from the loop itself.
class EndOfTurn {
 public:
  // `exchanges` must outlive it.
  explicit EndOfTurn(ExchangePool& exchanges) noexcept;
  EndOfTurn(const EndOfTurn&) = delete;
  EndOfTurn& operator=(const EndOfTurn&) = delete;
  ~EndOfTurn();

  void close(Exchange& exchange) { ended_exchanges_.push_back(&exchange); }
  void destroy(std::unique_ptr<TurnWork> work);
  // Calls work.end_turn() at the end of this turn, once per call of this.
  void flush(TurnWork& work) { unflushed_.push_back(&work); }
  // Calls work.next_turn() in the next turn.
  void resume_next_turn(TurnWork& work) { yielding_.push_back(&work); }
  // Takes both back. Call it before `work` is destroyed, unless destroy() does that.
  void forget(TurnWork& work) noexcept;

  // Flushes, then destroys. Destructors of the application may end more exchanges; those are destroyed too.
  void run();
  // Whether work waits for the next turn: the loop must not block for events.
  [[nodiscard]] bool work_waits() const noexcept { return !yielding_.empty(); }
  void resume();

 private:
  ExchangePool& exchanges_;
  std::vector<Exchange*> ended_exchanges_;
  std::vector<std::unique_ptr<TurnWork>> ended_work_;
  std::vector<TurnWork*> unflushed_;  // null: was forgotten
  std::vector<TurnWork*> yielding_;   // the same
  std::vector<TurnWork*>* resuming_ = nullptr;
};

}  // namespace pronghorn::worker
