// Streams whose producers do what examples do not: give up a write, send one large piece.
#include <pronghorn/pronghorn.h>

#include <chrono>
#include <string>

using namespace pronghorn;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t kMuch = 16 * 1024 * 1024;  // more than any socket buffer takes

Response impatient(Request&) {
  return stream("text/plain", [](Writer& out) -> Task<void> {
    co_await out.write(std::string(kMuch, 'a'));
    bool gave_up = false;
    try {
      co_await with_deadline(50ms, out.write(std::string(kMuch, 'b')));
    } catch (const DeadlineExceeded&) {
      gave_up = true;
    }
    co_await sleep_for(300ms);  // meanwhile there is room again
    co_await out.write(gave_up ? "\ngave up\n" : "\nwaited\n");
  });
}

}  // namespace

PRONGHORN_APP(app) { app.get("/impatient", impatient); }
