// Members of topics: what each is given, from where, and what happens when they come and go meanwhile.
#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "unit/worker/state/events/event_fixture.h"
#include "worker/state/events/topics/topic_member.h"

using namespace pronghorn;
using namespace pronghorn::test;
using worker::Bookmark;
using worker::EventPtr;
using worker::Gap;
using worker::Position;
using worker::TopicMember;

namespace {

class Member final : public TopicMember {
 public:
  std::string got;  // "!lost a b"
  std::vector<Position> positions;
  std::optional<Position> begins;
  std::size_t room = 1'000'000;
  std::function<void()> on_event;

 private:
  void event(const EventPtr& event) override {
    got += event->payload() + " ";
    positions.push_back(*position());
    if (room > 0) --room;
    if (auto call = on_event) call();  // it may destroy this
  }
  void gap(Gap gap) override { got += "!" + std::string(to_text(gap)) + " "; }
  void began(const Position& position) override {
    CHECK_FALSE(begins);
    begins = position;
    CHECK(this->position() == position);
  }
  bool wants() noexcept override { return room > 0; }
};

struct Fixture : EventWorker {
  std::unique_ptr<Member> join(const Bookmark& begins = {}, const std::string& topic = "t") {
    auto member = std::make_unique<Member>();
    member->join(worker.state->events.topics(), topic, begins);
    return member;
  }
  // A member that keeps the topic live.
  std::unique_ptr<Member> live(const Bookmark& begins = {}) {
    auto member = join(begins);
    REQUIRE(worker.wait([&] { return member->is_live(); }));
    return member;
  }
  bool wait_for(const Member& member, const std::string& text) {
    const bool got = worker.wait([&] { return member.got == text; });
    CHECK(member.got == text);
    return got;
  }
  // Publishes FROM to TO - 1; returns them as a member gets them.
  std::string publish_numbers(int from, int to, PublishOptions options = kKept) {
    std::string text;
    for (int i = from; i < to; ++i) {
      last = publish("t", std::to_string(i), options).id;
      ids[i] = last;
      text += std::to_string(i) + " ";
    }
    return text;
  }
  static std::string numbers(int from, int to) {
    std::string text;
    for (int i = from; i < to; ++i) text += std::to_string(i) + " ";
    return text;
  }
  [[nodiscard]] Position position_of(int number) const { return *worker::parse_position(ids.at(number)); }

  std::string last;
  std::map<int, std::string> ids;
};

}  // namespace

TEST_CASE("members of a topic get each event once, in order", "[redis][events]") {
  Fixture f;
  const auto one = f.join();
  const auto two = f.join();
  CHECK_FALSE(one->is_live());
  CHECK_FALSE(one->position());
  CHECK(one->topic() == "t");
  REQUIRE(f.worker.wait([&] { return one->is_live() && two->is_live(); }));
  CHECK(one->begins == Position());
  f.publish("t", "a");
  f.publish("t", "b");
  f.wait_for(*one, "a b ");
  const auto late = f.join();
  CHECK(late->is_live());
  f.publish("t", "c");
  f.wait_for(*one, "a b c ");
  f.wait_for(*two, "a b c ");
  f.wait_for(*late, "c ");
  CHECK_FALSE(late->begins);
  CHECK((*f.worker.row)[Count::events_delivered].load() == 7);
}

TEST_CASE("a member knows its position, and continues there", "[redis][events]") {
  Fixture f;
  f.publish_numbers(0, 10);
  const auto one = f.live();
  CHECK(one->begins == f.position_of(9));
  f.publish_numbers(10, 12);
  f.wait_for(*one, "10 11 ");
  CHECK(one->position() == f.position_of(11));
  CHECK(one->positions == std::vector<Position>{f.position_of(10), f.position_of(11)});
  const auto late = f.join();
  CHECK(late->position() == f.position_of(11));
  const Position kept = *one->position();
  one->leave();
  CHECK_FALSE(one->position());
  f.publish_numbers(12, 14);
  one->join(f.worker.state->events.topics(), "t", Bookmark(kept));
  CHECK(one->position() == kept);
  f.wait_for(*one, "10 11 12 13 ");
  CHECK(f.worker.wait([&] { return one->is_live(); }));
}

// What a ledger notes of a member must never be ahead of what that member was given.
TEST_CASE("a member that has yet to get the event is where it was", "[redis][events]") {
  Fixture f;
  f.publish_numbers(0, 1);
  const auto first = f.live();
  const auto second = f.live();
  std::vector<std::optional<Position>> seen;
  std::unique_ptr<Member> third;
  first->on_event = [&] {
    if (!third) third = f.join();
    seen = {first->position(), second->position(), third->position()};
  };
  f.publish_numbers(1, 2);
  f.wait_for(*second, "1 ");
  CHECK(seen == std::vector<std::optional<Position>>{f.position_of(1), f.position_of(0), f.position_of(1)});
  CHECK(second->position() == f.position_of(1));
  f.publish_numbers(2, 3);
  f.wait_for(*third, "2 ");
}

TEST_CASE("a member that is behind gets what it has missed, and then what is published", "[redis][events]") {
  Fixture f;
  f.publish_numbers(0, 300);
  std::unique_ptr<Member> keeps_topic;  // the topic is known to the worker, or not
  if (GENERATE(true, false)) keeps_topic = f.live();
  const int seen = GENERATE(0, 100, 235, 298, 299);
  const auto member = f.join(Bookmark(f.position_of(seen)));
  const auto other = f.join(Bookmark(f.position_of(150)));
  f.publish_numbers(300, 330);  // while it reads the history
  f.wait_for(*member, Fixture::numbers(seen + 1, 330));
  f.wait_for(*other, Fixture::numbers(151, 330));
  REQUIRE(f.worker.wait([&] { return member->is_live() && other->is_live(); }));
  CHECK(member->position() == f.position_of(329));
  for (std::size_t i = 0; i < member->positions.size(); ++i) {
    REQUIRE(member->positions[i] == f.position_of(seen + 1 + static_cast<int>(i)));
  }
  f.publish_numbers(330, 332);
  f.wait_for(*member, Fixture::numbers(seen + 1, 332));
}

TEST_CASE("many members that are behind are served by few reads of the history", "[redis][events]") {
  Fixture f;
  f.publish_numbers(0, 100);
  const auto live = f.live();
  f.redis.command({"CONFIG", "RESETSTAT"});
  std::vector<std::unique_ptr<Member>> members;
  for (int i = 0; i < 3000; ++i) members.push_back(f.join(Bookmark(f.position_of(80 + i % 15))));
  f.publish_numbers(100, 120);
  REQUIRE(f.worker.wait(
      [&] { return std::ranges::all_of(members, [](const auto& member) { return member->is_live(); }); }));
  f.wait_for(*live, Fixture::numbers(100, 120));
  for (int i = 0; i < 3000; ++i) {
    REQUIRE(members[static_cast<std::size_t>(i)]->got == Fixture::numbers(81 + i % 15, 120));
  }
  const std::string stats = f.redis.command({"INFO", "commandstats"});
  const std::string key = "cmdstat_xrange:calls=";
  REQUIRE(stats.find(key) != std::string::npos);
  CHECK(std::stoi(stats.substr(stats.find(key) + key.size())) < 60);
}

TEST_CASE("a plain number continues after that offset of the current epoch", "[redis][events]") {
  Fixture f;
  f.publish_numbers(1, 101);  // the event N has the offset N
  const auto live = GENERATE(true, false) ? f.live() : nullptr;
  const auto all = f.join(Bookmark("0"));
  const auto some = f.join(Bookmark("60"));
  const auto now = f.join(Bookmark("100"));
  const auto future = f.join(Bookmark("5000"));
  CHECK_FALSE(some->position());
  f.wait_for(*all, Fixture::numbers(1, 101));
  f.wait_for(*some, Fixture::numbers(61, 101));
  CHECK(some->begins == f.position_of(60));
  f.wait_for(*future, "!lost " + Fixture::numbers(1, 101));
  f.publish_numbers(101, 102);
  f.wait_for(*now, "101 ");
  f.wait_for(*all, Fixture::numbers(1, 102));
  f.wait_for(*future, "!lost " + Fixture::numbers(1, 102));
}

TEST_CASE("all that is kept is no gap, and what is kept no longer is one", "[redis][events]") {
  Fixture f;
  f.publish_numbers(1, 501, {.history = 10});
  const auto all = f.join(Bookmark("0"));
  const auto old = f.join(Bookmark("7"));
  REQUIRE(f.worker.wait([&] { return all->is_live() && old->is_live(); }));
  CHECK(all->got.ends_with(" 499 500 "));
  CHECK(all->got.find('!') == std::string::npos);
  CHECK(old->got == "!expired " + all->got);
}

TEST_CASE("a member is told if it cannot continue", "[redis][events]") {
  Fixture f;
  f.publish_numbers(0, 10);
  const Position seen = f.position_of(5);
  const auto live = GENERATE(true, false) ? f.live() : nullptr;
  SECTION("because the history was lost") {
    f.redis.command({"FLUSHALL"});
    f.publish_numbers(20, 23);
    if (live) f.wait_for(*live, "!lost 20 21 22 ");
    const auto member = f.join(Bookmark(seen));
    f.wait_for(*member, "!lost 20 21 22 ");
  }
  SECTION("because its event was never published") {
    const auto member = f.join(Bookmark(Position{seen.epoch, 77}));
    f.wait_for(*member, "!lost ");
    REQUIRE(f.worker.wait([&] { return member->is_live(); }));
    f.publish_numbers(10, 11);
    f.wait_for(*member, "!lost 10 ");
  }
  SECTION("because its text is no position") {
    const auto member = f.join(Bookmark(GENERATE("x", "-1", "1e3", "99999999999999999999", "0123456789abcdef-x")));
    CHECK_FALSE(member->position());
    f.wait_for(*member, "!lost ");
    CHECK(member->begins == f.position_of(9));
  }
  SECTION("because there is no history") {
    const auto member = f.join(Bookmark(seen), "plain");
    f.wait_for(*member, "!lost ");
  }
}

TEST_CASE("a member that comes from a topic without a history is told that it may have missed events",
          "[redis][events]") {
  Fixture f;
  const auto plain = f.join(Bookmark(Position()));
  CHECK(plain->position() == Position());
  f.wait_for(*plain, "!interrupted ");
  f.publish("t", "a");
  f.wait_for(*plain, "!interrupted a ");
}

TEST_CASE("a member that comes from a topic whose history has begun since gets all of it", "[redis][events]") {
  Fixture f;
  const auto live = GENERATE(true, false) ? f.live() : nullptr;
  f.publish_numbers(0, 5);
  const auto member = f.join(Bookmark(Position()));
  f.wait_for(*member, "0 1 2 3 4 ");
}

TEST_CASE("a member without room gets no more of the history until it has, and others go on", "[redis][events]") {
  Fixture f;
  f.publish_numbers(0, 200);
  const auto live = f.live();
  const auto slow = f.join(Bookmark(f.position_of(9)));
  slow->room = 3;
  const auto other = f.join(Bookmark(f.position_of(9)));
  f.wait_for(*other, Fixture::numbers(10, 200));
  CHECK(slow->got == Fixture::numbers(10, 13));
  f.publish_numbers(200, 203);
  f.wait_for(*live, Fixture::numbers(200, 203));
  CHECK(slow->got == Fixture::numbers(10, 13));
  f.publish("t", "plain");
  f.wait_for(*slow, Fixture::numbers(10, 13) + "plain ");
  slow->room = 50;
  slow->resume();
  REQUIRE(f.worker.wait([&] { return slow->room == 0; }));
  f.worker.turn(5ms);
  CHECK_FALSE(slow->is_live());
  CHECK(slow->position() == f.position_of(62));
  slow->room = 1'000'000;
  slow->resume();
  f.wait_for(*slow, Fixture::numbers(10, 13) + "plain " + Fixture::numbers(13, 203));
}

TEST_CASE("members come and go while they are called", "[redis][events]") {
  Fixture f;
  f.publish_numbers(0, 100);
  const bool behind = GENERATE(false, true);
  const Bookmark begins = behind ? Bookmark(f.position_of(49)) : Bookmark();
  const auto keeps_topic = f.live();
  std::vector<std::unique_ptr<Member>> members;
  for (int i = 0; i < 20; ++i) members.push_back(f.join(begins));
  // The first destroys the second and itself, and brings two others.
  members[0]->on_event = [&] {
    members[1].reset();
    members[2]->leave();
    members.push_back(f.join());
    members.push_back(f.join(Bookmark(f.position_of(89))));
    members[3]->leave();
    members[3]->join(f.worker.state->events.topics(), "t", Bookmark(f.position_of(97)));
    members[0].reset();
  };
  f.publish_numbers(100, 110);
  const std::string all = behind ? Fixture::numbers(50, 110) : Fixture::numbers(100, 110);
  for (std::size_t i = 4; i < 20; ++i) f.wait_for(*members[i], all);
  REQUIRE(members.size() == 22);
  f.wait_for(*members[21], Fixture::numbers(90, 110));
  CHECK((all + "x").find(members[2]->got) != std::string::npos);
  CHECK(members[3]->got.ends_with(Fixture::numbers(98, 110)));
  CHECK(Fixture::numbers(100, 110).ends_with(members[20]->got));
  f.publish_numbers(110, 111);
  f.wait_for(*members[21], Fixture::numbers(90, 111));
  CHECK(members[2]->got.find("110") == std::string::npos);
}

TEST_CASE("the last member that leaves from within a call ends the subscription", "[redis][events]") {
  Fixture f;
  f.publish_numbers(0, 3);
  const bool behind = GENERATE(false, true);
  auto member = f.live(behind ? Bookmark(f.position_of(2)) : Bookmark());
  auto other = behind ? f.join(Bookmark(f.position_of(0))) : f.join();
  int calls = 0;
  other->on_event = member->on_event = [&] {
    ++calls;
    member.reset();
    other.reset();
  };
  f.publish_numbers(3, 4);
  REQUIRE(f.worker.wait([&] { return f.redis.command({"PUBSUB", "NUMSUB", "app:e:t"}).ends_with("\n0"); }));
  CHECK(calls == 1);
  member = f.join(Bookmark("0"));
  f.wait_for(*member, Fixture::numbers(0, 4));
}

TEST_CASE("members lose nothing when Redis was away, or are told", "[redis][events]") {
  Fixture f;
  SECTION("with a history") {
    f.publish_numbers(0, 3);
    const auto member = f.live();
    f.redis.command({"CLIENT", "KILL", "TYPE", "PUBSUB"});
    const auto meanwhile = f.join(Bookmark(f.position_of(0)));
    f.publish_numbers(3, 120);
    f.wait_for(*member, Fixture::numbers(3, 120));
    f.wait_for(*meanwhile, Fixture::numbers(1, 120));
  }
  SECTION("without one") {
    const auto member = f.live();
    f.redis.restart();
    f.subscribed();
    REQUIRE(f.worker.wait([&] {
      try {
        f.publish("t", "a");
      } catch (const RedisUnavailable&) {
        f.worker.turn(10ms);
      }
      return member->got.ends_with("a ");
    }));
    CHECK(member->got.starts_with("!interrupted a "));
  }
  SECTION("when the history was lost") {
    f.publish_numbers(0, 3);
    const auto member = f.live();
    f.redis.restart();
    f.subscribed();
    REQUIRE(f.worker.wait([&] {
      try {
        f.publish("t", "a", kKept);
      } catch (const RedisUnavailable&) {
        f.worker.turn(10ms);
      }
      return member->got.ends_with("a ");
    }));
    CHECK(member->got.starts_with("!lost a "));
    CHECK(member->position()->epoch != f.position_of(2).epoch);
  }
}

TEST_CASE("a member that joins while Redis is away begins when it is back", "[redis][events]") {
  Fixture f;
  f.publish_numbers(0, 3);
  f.redis.command({"CONFIG", "SET", "save", ""});
  f.redis.stop();
  REQUIRE(f.worker.wait([&] { return !f.worker.state->redis_up(); }));
  const auto member = f.join();
  const auto numbered = f.join(Bookmark("0"));
  const auto old = f.join(Bookmark(f.position_of(1)));
  f.worker.turn(30ms);
  CHECK_FALSE(member->position());
  CHECK(old->position() == f.position_of(1));
  f.redis.restart();
  REQUIRE(f.worker.wait([&] { return member->is_live() && numbered->is_live() && old->is_live(); }));
  f.publish("t", "a", kKept);
  f.wait_for(*member, "a ");
  f.wait_for(*numbered, "a ");
  f.wait_for(*old, "!lost a ");
}

TEST_CASE("a history that is something else does not keep members from what is published", "[redis][events]") {
  Fixture f;
  const auto live = GENERATE(true, false) ? f.live() : nullptr;
  f.redis.command({"SET", "app:e:{t}", "x"});
  const auto member = f.join(Bookmark(Position{7, 7}));
  f.wait_for(*member, "!lost ");
  f.publish("t", "a");
  f.wait_for(*member, "!lost a ");
}

TEST_CASE("a member needs a valid topic", "[redis][events]") {
  Fixture f;
  Member member;
  CHECK_THROWS_AS(member.join(f.worker.state->events.topics(), "a\nb"), std::invalid_argument);
  CHECK_FALSE(member.joined());
  member.leave();
  member.resume();
}
