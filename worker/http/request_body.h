// The body of one request, between the protocol that receives it and the handler that reads it.
//
// Context: loop thread. The protocol pushes; one coroutine at a time waits. Bytes that the handler has not taken stay
// here: while there are more than kBufferedBody, wants_more() is false and the protocol stops reading.
#pragma once

#include <coroutine>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace pronghorn::worker {

inline constexpr std::size_t kBufferedBody = 64 * 1024;

class RequestBody {
 public:
  RequestBody() = default;
  RequestBody(const RequestBody&) = delete;
  RequestBody& operator=(const RequestBody&) = delete;

  // Back to "no body" and no limit. Keeps the buffer's memory.
  void clear() noexcept {
    limit_ = 0;
    if (used_) forget();
  }

  // Protocol: a body follows the head. `announced` is its Content-Length; 0 for a chunked body.
  void begin(std::uint64_t announced = 0) noexcept {
    announced_ = announced;
    complete_ = false;
    used_ = true;
  }
  // Application, once the route is known and before the body is read: the largest body in bytes, 0 for any. False when
  // the announced length is larger, or what has arrived: answer 413.
  [[nodiscard]] bool set_limit(std::uint64_t bytes) noexcept {
    limit_ = bytes;
    return bytes == 0 || (announced_ <= bytes && received_ <= bytes);
  }
  // Protocol: whether `bytes` more are within the limit. When they are not, fail() with 413.
  [[nodiscard]] bool has_room_for(std::uint64_t bytes) const noexcept {
    return limit_ == 0 || received_ + bytes <= limit_;
  }

  // Protocol. Each of the three may resume the waiting coroutine, which may end the exchange.
  void push(std::string_view bytes);
  void finish();  // the last byte has been pushed
  // No more will come: `status` answers the request (413 too large, 408 too slow, 400 malformed). The waiting coroutine
  // gets it as an HttpError. `reason` is a literal.
  void fail(int status, const char* reason);

  [[nodiscard]] bool wants_more() const noexcept { return whole_ || incoming_.size() < kBufferedBody; }
  [[nodiscard]] bool complete() const noexcept { return complete_; }
  [[nodiscard]] bool failed() const noexcept { return failure_ != 0; }

  // Handler. Readable: bytes have arrived, or the end, or a failure.
  [[nodiscard]] bool readable() const noexcept { return !incoming_.empty() || complete_ || failure_ != 0; }
  // All that is buffered and was not taken yet; valid until the next take. Throws the failure.
  [[nodiscard]] std::string_view take();
  // The next take() or whole() begins with these bytes, which take() has returned.
  void put_back(std::string_view bytes) { incoming_.insert(0, bytes); }
  // Keeps everything from now on until the end, for whole().
  void keep_whole() noexcept {
    whole_ = true;
    used_ = true;
  }
  // What is buffered. Throws the failure.
  [[nodiscard]] std::string_view whole() const;

  // Awaitable: suspends until the body is readable, or, after keep_whole(), until it is complete or has failed. A
  // destroyed coroutine is not resumed.
  class Wait {
   public:
    explicit Wait(RequestBody& body) noexcept : body_(body) {}
    Wait(const Wait&) = delete;
    Wait& operator=(const Wait&) = delete;
    ~Wait() {
      if (mine_) body_.waiting_ = nullptr;
    }
    [[nodiscard]] bool await_ready() const noexcept { return body_.satisfied(); }
    // Throws std::logic_error if another coroutine waits.
    void await_suspend(std::coroutine_handle<> waiting) {
      if (body_.waiting_) throw std::logic_error("two coroutines read the body of a request at the same time");
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
  void forget() noexcept;

  std::string incoming_;  // received and not taken
  std::string taken_;     // what take() returned last
  std::uint64_t announced_ = 0;
  std::uint64_t received_ = 0;
  std::uint64_t limit_ = 0;  // 0: none
  bool complete_ = true;
  bool whole_ = false;
  bool used_ = false;  // since clear(): most requests have no body
  int failure_ = 0;
  const char* reason_ = "";
  std::coroutine_handle<> waiting_;
};

}  // namespace pronghorn::worker
