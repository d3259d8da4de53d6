// Where readers begin and what they have missed, without I/O.
#include <memory>
#include <string>
#include <vector>

#include "support/catch.h"
#include "worker/state/events/messages/bookmark.h"
#include "worker/state/events/messages/history.h"

using pronghorn::worker::Bookmark;
using pronghorn::worker::Gap;
using pronghorn::worker::HistoryPage;
using pronghorn::worker::Position;
using pronghorn::worker::SharedEvent;

namespace {

constexpr std::uint64_t kEpoch = 7;
constexpr Position kTopic{kEpoch, 10};

// A page of the epoch, whose last event is `last`.
HistoryPage page(std::uint64_t last, std::uint64_t from, std::uint64_t to, std::uint64_t epoch = kEpoch) {
  HistoryPage page{{epoch, last}, {}};
  for (std::uint64_t offset = from; offset <= to; ++offset) {
    page.events.push_back(std::make_shared<SharedEvent>("", Position{epoch, offset}));
  }
  return page;
}
const HistoryPage kNothing{};

struct Begins {
  Bookmark bookmark;
  Position topic;
  Gap gap;
  bool behind;
  Position position;
};

struct Turns {
  Bookmark bookmark;
  HistoryPage page;
  Gap gap;
  Position position;
};

}  // namespace

TEST_CASE("where a reader begins depends on what it has seen and where the topic is", "[events]") {
  const auto b = GENERATE(
      // From now on.
      Begins{Bookmark(), kTopic, Gap::none, false, kTopic}, Begins{Bookmark(""), {}, Gap::none, false, {}},
      // After an event.
      Begins{Bookmark("0000000000000007-4"), kTopic, Gap::none, true, {kEpoch, 4}},
      Begins{Bookmark(kTopic), kTopic, Gap::none, false, kTopic},
      Begins{Bookmark(Position{kEpoch, 12}), kTopic, Gap::none, true, {kEpoch, 12}},
      Begins{Bookmark(Position{8, 3}), kTopic, Gap::none, true, {8, 3}},
      Begins{Bookmark(Position{8, 3}), {}, Gap::lost, false, {}},
      // After nothing.
      Begins{Bookmark(Position()), kTopic, Gap::none, true, {kEpoch, 0}},
      Begins{Bookmark(Position()), {}, Gap::interrupted, false, {}},
      // After a number.
      Begins{Bookmark("4"), kTopic, Gap::none, true, {kEpoch, 4}},
      Begins{Bookmark("0"), kTopic, Gap::none, true, {kEpoch, 0}},
      Begins{Bookmark("10"), kTopic, Gap::none, false, kTopic},
      Begins{Bookmark("11"), kTopic, Gap::none, true, {kEpoch, 11}}, Begins{Bookmark("0"), {}, Gap::none, false, {}},
      Begins{Bookmark("4"), {}, Gap::lost, false, {}},
      // After what nobody knows.
      Begins{Bookmark("x"), kTopic, Gap::lost, false, kTopic}, Begins{Bookmark("-1"), kTopic, Gap::lost, false, kTopic},
      Begins{Bookmark("+1"), kTopic, Gap::lost, false, kTopic},
      Begins{Bookmark(" 1"), kTopic, Gap::lost, false, kTopic},
      Begins{Bookmark("1000000000000000"), kTopic, Gap::lost, false, kTopic},
      Begins{Bookmark("x"), {}, Gap::none, false, {}});
  Bookmark bookmark = b.bookmark;
  const Bookmark::Start start = bookmark.begin(b.topic);
  CHECK(start.gap == b.gap);
  CHECK(start.behind == b.behind);
  CHECK(bookmark.position() == b.position);
}

TEST_CASE("a page of the history tells what was missed before it", "[events]") {
  const auto t = GENERATE(Turns{Bookmark(Position{kEpoch, 4}), page(10, 5, 10), Gap::none, {kEpoch, 4}},
                          Turns{Bookmark(Position{kEpoch, 4}), page(10, 2, 10), Gap::none, {kEpoch, 4}},
                          Turns{Bookmark(Position{kEpoch, 4}), page(10, 7, 10), Gap::expired, {kEpoch, 6}},
                          Turns{Bookmark(Position{kEpoch, 4}), page(10, 1, 0), Gap::expired, kTopic},
                          Turns{Bookmark(Position{kEpoch, 10}), page(10, 1, 0), Gap::none, kTopic},
                          Turns{Bookmark(Position{kEpoch, 12}), page(10, 1, 0), Gap::lost, kTopic},
                          Turns{Bookmark(Position{kEpoch, 4}), page(9, 3, 9, 8), Gap::lost, {8, 2}},
                          Turns{Bookmark(Position{kEpoch, 4}), kNothing, Gap::lost, {}},
                          Turns{Bookmark("4"), page(10, 7, 10), Gap::expired, {kEpoch, 6}},
                          Turns{Bookmark("0"), page(10, 7, 10), Gap::none, {kEpoch, 6}},
                          Turns{Bookmark("12"), page(10, 1, 0), Gap::lost, {kEpoch, 0}},
                          Turns{Bookmark("4"), page(9, 3, 9, 8), Gap::lost, {8, 2}});
  Bookmark bookmark = t.bookmark;
  (void)bookmark.begin(kTopic);
  CHECK(bookmark.turn_to(t.page) == t.gap);
  CHECK(bookmark.position() == t.position);
}
