// The body of one request between the protocol that receives it and the handler that reads it.
//
// Context: loop thread. The protocol pushes; one coroutine at a time waits. What is not read stays here; above
// kBufferedBody bytes wants_more() is false and the protocol stops reading from the socket.
#pragma once

#include <coroutine>
#include <cstdint>
#include <string>
#include <string_view>

namespace pronghorn::worker {

inline constexpr std::size_t kBufferedBody = 64 * 1024;

class RequestBody {
 public:
  RequestBody() = default;
  RequestBody(const RequestBody&) = delete;
  RequestBody& operator=(const RequestBody&) = delete;

  // Back to "no body". Keeps the buffer's memory.
  void clear() noexcept;

  // Protocol.
  void begin() noexcept { complete_ = false; }  // a body follows the head
  void push(std::string_view bytes);            // may resume the waiting coroutine
  void finish();                                // the last byte has been pushed; the same
  // No more will come: `status` answers the request (413 too large, 408 too slow, 400 malformed). The waiting coroutine
  // gets it as an HttpError.
  void fail(int status, const char* reason);
  [[nodiscard]] bool wants_more() const noexcept { return whole_ || incoming_.size() < kBufferedBody; }
  [[nodiscard]] bool complete() const noexcept { return complete_; }
  [[nodiscard]] bool failed() const noexcept { return failure_ != 0; }
  [[nodiscard]] bool waited_for() const noexcept { return waiting_ != nullptr; }

  // Handler. Readable: bytes are there, or the end, or a failure.
  [[nodiscard]] bool readable() const noexcept { return !incoming_.empty() || complete_ || failure_ != 0; }
  // All that is buffered and was not taken yet; valid until the next take. Throws the failure.
  [[nodiscard]] std::string_view take();
  // From now on everything is kept until the end, for body().
  void keep_whole() noexcept { whole_ = true; }
  [[nodiscard]] std::string_view whole() const;  // what is buffered; throws the failure

  // Suspends until readable (or, after keep_whole(), until complete or failed). The destructor forgets the waiter.
  class Wait {
   public:
    explicit Wait(RequestBody& body) noexcept : body_(body) {}
    Wait(const Wait&) = delete;
    Wait& operator=(const Wait&) = delete;
    ~Wait() {
      if (mine_) body_.waiting_ = nullptr;
    }
    [[nodiscard]] bool await_ready() const noexcept { return body_.satisfied(); }
    void await_suspend(std::coroutine_handle<> waiting) noexcept {
      body_.waiting_ = waiting;
      mine_ = true;
    }
    void await_resume() noexcept { mine_ = false; }

   private:
    RequestBody& body_;
    bool mine_ = false;
  };

 private:
  [[nodiscard]] bool satisfied() const noexcept { return whole_ ? complete_ || failure_ != 0 : readable(); }
  void wake();

  std::string incoming_;  // received, not taken
  std::string taken_;     // what take() gave out last
  bool complete_ = true;
  bool whole_ = false;
  int failure_ = 0;
  const char* reason_ = "";
  std::coroutine_handle<> waiting_;
};

}  // namespace pronghorn::worker
