// Connections that wait for the kernel, which encrypts for them, and that nothing tells when it is ready.
#pragma once

#include <list>

namespace pronghorn::worker {

// The kernel takes a record for which TCP has no room yet, and drops it when the connection is closed, or shut down for
// writing; so the end waits until it has left. And after the client's close_notify libuv does not tell when there is
// room to write. Both are looked at each tick.
//
// Context: loop thread.
class UnsentRecords {
 public:
  class Waiting {
   public:
    // May leave. `last`: there is no time left.
    virtual void look(bool last) = 0;

   protected:
    ~Waiting() = default;
  };
  using Place = std::list<Waiting*>::iterator;

  // The place is valid until leave().
  [[nodiscard]] Place wait(Waiting& waiting) { return waiting_.insert(waiting_.end(), &waiting); }
  void leave(Place place) noexcept { waiting_.erase(place); }

  void tick() { look(false); }
  // Nobody waits any longer.
  void give_up() { look(true); }

 private:
  void look(bool last) {
    for (auto each = waiting_.begin(); each != waiting_.end();) (*each++)->look(last);
  }

  std::list<Waiting*> waiting_;
};

}  // namespace pronghorn::worker
