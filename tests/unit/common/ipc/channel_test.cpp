#include "common/ipc/channel.h"

#include <string>
#include <vector>

#include "support/catch.h"
#include "unit/worker/runtime/test_loop.h"

using namespace pronghorn;

// A worker that could not start said why and ended; the supervisor, a moment later, found only that it had ended.
TEST_CASE("what a process has said is heard although it has ended and has not read everything", "[channel]") {
  worker::TestLoop loop;
  const auto [ours, theirs] = make_channel_pair();
  std::vector<std::string> heard;
  bool closed = false;
  Channel channel(loop.loop(), ours,
                  {.on_message = [&](const ChannelMessage& message, int) { heard.push_back(message.text); },
                   .on_closed = [&] { closed = true; }});
  {
    Channel other(loop.loop(), theirs, {});
    CHECK(channel.send({MessageKind::drain, 0, {}}));
    CHECK(other.send({MessageKind::failed, 0, "one"}));
    CHECK(other.send({MessageKind::failed, 0, "two"}));
  }
  loop.run_until([&] { return closed; });
  CHECK(heard == std::vector<std::string>{"one", "two"});
}
