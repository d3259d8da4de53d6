#include "worker/guardian/handoff/handoff_taker.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "worker/net/open_file.h"

namespace pronghorn::worker {
namespace {

constexpr int kTakesPerTurn = 256;  // about what the queue holds; then clients that are connected have their turn

// A message may bring a connection and two files.
bool has_free_descriptors(int any) noexcept {
  std::array<int, kMaxHandedDescriptors> free{};
  for (int& fd : free) fd = ::fcntl(any, F_DUPFD_CLOEXEC, 0);
  for (const int fd : free) {
    if (fd >= 0) ::close(fd);
  }
  return free.back() >= 0;
}

void read_messages(HandoffInbox::Taken& taken, const OpenFile& file, std::string& messages) {
  if (file.append(messages, 0, taken.record.messages_bytes)) {
    taken.handed.unanswered = messages;
  } else {
    taken.record.truncated = 1;
    taken.record.answered += taken.record.messages_bytes;
  }
}

// A queue of a WebSocket that was too long for a message. It is memory again, as it was before: so it counts whole, and
// what is sent later is noted behind it. False if it cannot be read.
bool read_queue(HandoffInbox::Taken& taken, const OpenFile& file, std::string& queue) {
  queue = taken.handed.unsent;
  taken.handed.file = -1;
  if (!file.append(queue, taken.record.file_offset, std::exchange(taken.record.file_bytes, 0))) return false;
  taken.handed.unsent = queue;
  return true;
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
    auto taken = inbox_.receive(queue_);
    if (!taken) return;
    // Open until the connection is noted: if this worker dies before that, its guardian passes the files on.
    const OpenFile file(taken->handed.messages);
    std::string messages;
    if (taken->handed.messages >= 0) read_messages(*taken, file, messages);
    const OpenFile queue_file(taken->record.socket != 0 ? taken->handed.file : -1);
    std::string queue;
    if (queue_file.fd() >= 0 && !read_queue(*taken, queue_file, queue)) {  // its frames would be cut
      ::close(taken->handed.connection);
      inbox_.done();
      continue;
    }
    taken_(*taken);
  }
}

}  // namespace pronghorn::worker
