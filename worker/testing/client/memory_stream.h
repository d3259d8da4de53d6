// A ByteStream without a socket: whoever has the object is the client.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "worker/net/byte_stream.h"
#include "worker/net/open_file.h"

namespace pronghorn::worker {

// Context: one thread. The functions of the client call the connection: do not call them from within it.
class MemoryStream final : public ByteStream {
 public:
  enum class Ended { no, closed, reset };

  // The client.
  void send(std::string_view bytes) { events_->on_data(bytes); }
  void finish_sending() {
    reading_ = false;
    events_->on_end();
  }
  // The connection is broken.
  void fail() { events_->on_error(); }
  // The last event, after the connection has ended.
  void report_closed() { events_->on_closed(); }
  // What the client has received since the last call.
  std::string received() { return std::exchange(received_, {}); }
  // How many bytes the "kernel" still takes before writes queue. All at first.
  void set_room(std::size_t bytes) { room_ = bytes; }
  // Takes all that is queued, and tells the connection so.
  void drain() {
    room_ = std::numeric_limits<std::size_t>::max();
    take(std::exchange(waiting_, {}));
    if (part_ != nullptr) pump_file();
    queued_ = 0;
    if (!closing_) events_->on_drained();
  }
  // The client acknowledges what it has; until it is called it acknowledges everything at once.
  void acknowledge(std::uint64_t bytes) { acknowledged_ = bytes; }
  void set_input(bool there) noexcept { has_input_ = there; }
  // What the "kernel" says of what was sent last, and how often it was asked.
  void set_wait(const SocketWait& wait) noexcept { wait_ = wait; }
  [[nodiscard]] int asked() const noexcept { return asked_; }

  // What the connection has done.
  [[nodiscard]] bool fin_sent() const noexcept { return fin_sent_; }
  [[nodiscard]] Ended ended() const noexcept { return ended_; }

  // ByteStream
  [[nodiscard]] bool has_input() const noexcept override { return has_input_; }
  [[nodiscard]] SocketWait waited() const noexcept override {
    ++asked_;
    return wait_;
  }
  void write(std::string_view first, std::string_view second) override {
    if (closing_) return;
    std::string bytes = std::string(first).append(second);
    const std::size_t now = queued_ == 0 ? std::min(room_, bytes.size()) : 0;
    room_ -= now;
    take(bytes.substr(0, now));
    waiting_.append(bytes, now);
    queued_ += bytes.size() - now;
  }
  void write_file(std::string_view first, std::unique_ptr<detail::FilePart> part) override {
    write(first, {});
    part_ = std::move(part);
    if (queued_ == 0 && part_->length <= room_) {
      pump_file();
    } else {
      ++queued_;
    }
  }
  void write_owed(std::string_view bytes, std::unique_ptr<detail::FilePart> part) override {
    part != nullptr ? write_file(bytes, std::move(part)) : write(bytes, {});
  }
  [[nodiscard]] std::uint64_t acknowledged() const noexcept override { return std::min(acknowledged_, bytes_sent_); }
  void shutdown() noexcept override { fin_sent_ = true; }

 private:
  void start_reading() override { reading_ = true; }
  void stop_reading() noexcept override { reading_ = false; }
  void end(bool with_reset) noexcept override {
    if (closing_) return;
    closing_ = true;
    ended_ = with_reset ? Ended::reset : Ended::closed;
  }
  void take(std::string_view bytes) {
    received_.append(bytes);
    bytes_sent_ += bytes.size();
  }
  void pump_file() {
    std::string bytes;
    file_was_short_ = !part_->file->append(bytes, part_->offset, static_cast<std::size_t>(part_->length));
    part_.reset();
    room_ -= bytes.size();
    take(bytes);
    if (file_was_short_) events_->on_error();
  }

  std::string received_;
  std::string waiting_;
  std::unique_ptr<detail::FilePart> part_;
  std::size_t room_ = std::numeric_limits<std::size_t>::max();
  std::uint64_t acknowledged_ = std::numeric_limits<std::uint64_t>::max();
  SocketWait wait_;
  mutable int asked_ = 0;
  bool has_input_ = false;
  bool fin_sent_ = false;
  Ended ended_ = Ended::no;
};

}  // namespace pronghorn::worker
