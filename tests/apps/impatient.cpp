// A stream whose producer abandons a write that the client does not receive.
#include <pronghorn/pronghorn.h>

#include <chrono>
#include <string>

using namespace pronghorn;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t kMuch = 16 * 1024 * 1024;  // more than any socket buffer takes

int given_up = 0;

Response impatient(Request&) {
  return stream("text/plain", [](Writer& out) -> Task<void> {
    try {
      co_await with_deadline(50ms, out.write(std::string(kMuch, 'a')));
    } catch (const DeadlineExceeded&) {
      ++given_up;
    }
    co_await sleep_for(300ms);  // meanwhile the client reads, and there is room again
    co_await out.write("\nend\n");
  });
}

}  // namespace

PRONGHORN_APP(app) {
  app.get("/impatient", impatient);
  app.get("/given-up", [](Request&) { return text(std::to_string(given_up)); });
}
