// The body of one request, between the protocol that receives it and the handler that reads it.
//
// Context: loop thread. The protocol pushes; coroutines of one exchange wait. Bytes that the handler has not taken stay
// here: while there are more than kBufferedBody, wants_more() is false and the protocol stops reading.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "worker/runtime/waiting_list.h"

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

  // Protocol. Each of the three may resume those that wait, which may end the exchange.
  void push(std::string_view bytes);
  void finish();  // the last byte has been pushed
  // No more will come: `status` answers the request (413 too large, 408 too slow, 400 malformed). Who waits gets it
  // as an HttpError. `reason` is a literal.
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

  // Readable, or, after keep_whole(), complete or failed.
  [[nodiscard]] bool satisfied() const noexcept { return whole_ ? complete_ || failure_ != 0 : readable(); }
  // co_await it while the body is not satisfied(). Another coroutine that waits may have taken what came: look again.
  [[nodiscard]] WaitingList::Wait wait() noexcept { return waiting_.wait(); }

 private:
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
  WaitingList waiting_;
};

}  // namespace pronghorn::worker
