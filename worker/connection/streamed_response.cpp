#include "worker/connection/streamed_response.h"

#include <charconv>
#include <exception>
#include <utility>

#include "worker/http/response_access.h"

namespace pronghorn::worker {
namespace {

constexpr std::size_t kFlushSize = 16 * 1024;  // small writes gather up to this
constexpr std::size_t kRoom = 64 * 1024;       // bytes that may wait for the client before write() suspends
constexpr std::size_t kPerTurn = 256 * 1024;   // bytes of one stream before other clients have their turn

}  // namespace

struct StreamedResponse::WaitForRoom {
  StreamedResponse& stream;
  std::coroutine_handle<> coroutine = {};

  explicit WaitForRoom(StreamedResponse& written) noexcept : stream(written) {}
  WaitForRoom(const WaitForRoom&) = delete;
  WaitForRoom& operator=(const WaitForRoom&) = delete;
  ~WaitForRoom() { std::erase(stream.waiting_, this); }

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiting) {
    coroutine = waiting;
    stream.waiting_.push_back(this);
  }
  void await_resume() const noexcept {}
};

void StreamedResponse::start(Exchange& exchange) {
  running_ = run();
  // Its log lines, and a crash in it, name its request.
  Exchange* const before = detail::set_running(&exchange);
  running_.start();
  detail::set_running(before);
}

Task<void> StreamedResponse::run() {
  std::exception_ptr error;
  try {
    co_await (*producer_)(*this);
  } catch (...) {
    error = std::current_exception();
  }
  detail::set_running(nullptr);  // whoever resumed it last: the producer's code has ended
  if (attached_) ended(error);
}

Task<void> StreamedResponse::write(std::string_view data) {
  if (attached_ && !data.empty()) {
    add(data);
    if (pending_.size() >= kFlushSize) flush();
  }
  written_this_turn_ += data.size();
  // Once the client has disconnected nothing resumes this: the coroutine is destroyed here.
  while (!has_room()) {
    WaitForRoom room(*this);
    co_await room;
  }
}

void StreamedResponse::trailer(std::string_view name, std::string_view value) {
  trailers_.append(render_trailer(name, value));
}

bool StreamedResponse::has_room() {
  if (!attached_ || queued() > kRoom) return false;
  if (written_this_turn_ < kPerTurn) return true;
  // Otherwise a client that reads as fast as the producer writes would monopolise the loop.
  if (!yielding_) end_of_turn_.resume_next_turn(*this);
  yielding_ = true;
  return false;
}

void StreamedResponse::next_turn() {
  yielding_ = false;
  written_this_turn_ = 0;
  drained();
}

void StreamedResponse::add(std::string_view data) {
  if (kind_.chunked) {
    char size[18];
    const auto end = std::to_chars(size, size + 16, data.size(), 16).ptr;
    pending_.append(size, end).append("\r\n").append(data).append("\r\n");
  } else {
    pending_.append(data);
  }
  if (!registered_) {
    registered_ = true;
    end_of_turn_.flush(*this);
  }
}

void StreamedResponse::end_turn() {
  registered_ = false;
  flush();
}

void StreamedResponse::flush() {
  if (!attached_) return;
  const std::string bytes = std::exchange(pending_, {});
  if (!bytes.empty()) send(bytes);
}

void StreamedResponse::finish() {
  if (kind_.chunked) pending_.append("0\r\n").append(trailers_).append("\r\n");
  flush();
  attached_ = false;
}

// Resumes each waiting write at most once: a resumed one may wait again, and may destroy others. If there is room for
// only one of them, the next call begins with the next one.
void StreamedResponse::drained() {
  for (std::size_t left = waiting_.size(); left > 0 && !waiting_.empty(); --left) {
    if (!attached_ || queued() > kRoom) return;
    WaitForRoom* const first = waiting_.front();
    waiting_.erase(waiting_.begin());
    first->coroutine.resume();
  }
}

}  // namespace pronghorn::worker
