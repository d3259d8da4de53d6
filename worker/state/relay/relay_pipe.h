// One end of the stream of records between a worker and the relay.
#pragma once

#include <uv.h>

#include <cstddef>
#include <deque>
#include <memory>
#include <string>

#include "common/uv_ptr.h"
#include "worker/state/relay/relay_record.h"

namespace pronghorn::worker {

// Writes the first record of a loop's turn at once, and what follows it in that turn together at its end.
//
// Context:   loop thread. The process must ignore SIGPIPE.
// Ownership: may be destroyed at any time, also from within its owner's functions. The loop must turn once more to free
//            the handles.
class RelayPipe {
 public:
  // Called from the loop, never from within send().
  class Owner {
   public:
    virtual void pipe_record(RelayPipe& pipe, const RelayRecord& record) = 0;
    // The other side is gone, or sends what is no record. Once; then the pipe can only be destroyed.
    virtual void pipe_ended(RelayPipe& pipe) = 0;

   protected:
    ~Owner() = default;
  };

  using Bytes = std::shared_ptr<const std::string>;  // shared by the pipes of all who get the record

  // Takes ownership of `fd`, a connected stream that does not block. Throws std::runtime_error if the loop cannot watch
  // it.
  RelayPipe(uv_loop_t* loop, int fd, Owner& owner);
  RelayPipe(const RelayPipe&) = delete;
  RelayPipe& operator=(const RelayPipe&) = delete;
  ~RelayPipe();

  void send(Bytes record);
  void send(const RelayRecord& record) { send(std::make_shared<const std::string>(encode(record))); }
  [[nodiscard]] std::size_t queued() const noexcept { return queued_; }  // bytes
  // Forgets what is queued, but for a record of which the other side has got a part.
  void drop_queued();

 private:
  void ready(int status, int events);
  [[nodiscard]] bool read_some();
  [[nodiscard]] bool take_records();
  void flush();
  void write_queued();
  void watch();
  void ended();

  uv_loop_t* loop_;
  int fd_;
  Owner& owner_;
  RelayReader reader_;
  std::deque<Bytes> queue_;
  std::size_t written_ = 0;  // bytes of the first of them
  std::size_t queued_ = 0;
  bool gathers_ = false;  // until the end of the turn
  bool blocked_ = false;  // the socket takes no more
  bool over_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // false when a callback has destroyed us
  UvPtr<uv_poll_t> poll_;
  UvPtr<uv_prepare_t> prepare_;
};

}  // namespace pronghorn::worker
