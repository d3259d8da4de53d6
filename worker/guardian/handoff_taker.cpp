#include "worker/guardian/handoff_taker.h"

#include <fcntl.h>
#include <unistd.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

namespace pronghorn::worker {
namespace {

constexpr int kTakesPerTurn = 256;  // about what the queue holds; then clients that are connected have their turn

// A message may bring a connection and a file.
bool has_free_descriptors(int any) noexcept {
  const int first = ::fcntl(any, F_DUPFD_CLOEXEC, 0);
  const int second = ::fcntl(any, F_DUPFD_CLOEXEC, 0);
  if (first >= 0) ::close(first);
  if (second >= 0) ::close(second);
  return second >= 0;
}

}  // namespace

HandoffTaker::HandoffTaker(uv_loop_t* loop, HandoffInbox& inbox, int queue, Taken taken)
    : inbox_(inbox), queue_(queue), taken_(std::move(taken)) {
  auto poll = std::make_unique<uv_poll_t>();
  if (const int error = uv_poll_init(loop, poll.get(), queue); error != 0) {
    throw std::runtime_error(std::string("cannot watch the handoff queue: ") + uv_strerror(error));
  }
  poll_.reset(poll.release());
  poll_->data = this;
}

HandoffTaker::~HandoffTaker() { uv_poll_stop(poll_.get()); }

void HandoffTaker::start() noexcept {
  if (uv_is_active(reinterpret_cast<const uv_handle_t*>(poll_.get())) != 0) return;
  uv_poll_start(poll_.get(), UV_READABLE,
                [](uv_poll_t* handle, int, int) { static_cast<HandoffTaker*>(handle->data)->take_waiting(); });
}

void HandoffTaker::stop() noexcept { uv_poll_stop(poll_.get()); }

void HandoffTaker::take_waiting() {
  for (int count = 0; count < kTakesPerTurn; ++count) {
    if (uv_is_active(reinterpret_cast<const uv_handle_t*>(poll_.get())) == 0) return;  // the callee has called stop()
    if (!has_free_descriptors(queue_)) return stop();
    const auto taken = inbox_.receive(queue_);
    if (!taken) return;
    taken_(*taken);
  }
}

}  // namespace pronghorn::worker
