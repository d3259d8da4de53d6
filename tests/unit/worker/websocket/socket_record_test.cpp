#include "worker/websocket/socket_record.h"

#include <random>
#include <string>

#include "pronghorn/websocket.h"
#include "support/catch.h"

using namespace pronghorn;
using namespace pronghorn::worker;

namespace {

SocketRecord full_record() {
  SocketRecord record;
  record.id = "0123456789abcdef01234567";
  record.route = "/rooms/{room}";
  record.subprotocol = "chat.v2";
  record.attachment = std::string("{\"user\":7}\0\xff", 12);
  record.compressed = true;
  record.window_bits = 12;
  record.sent_close = 1001;
  record.topics.push_back({.name = "room:a", .member = "Ada", .history = 50, .present = true});
  record.topics.push_back({.name = "room:b", .member = "", .after = "1234", .history = 0, .present = false});
  return record;
}

std::string bytes_of(const SocketRecord& record) {
  std::string bytes;
  write_record(record, bytes);
  return bytes;
}

}  // namespace

TEST_CASE("a socket's record is read as it was written", "[websocket][record]") {
  const SocketRecord record = full_record();
  const auto read = read_record(bytes_of(record));
  REQUIRE(read);
  CHECK(read->id == record.id);
  CHECK(read->route == record.route);
  CHECK(read->subprotocol == record.subprotocol);
  CHECK(read->attachment == record.attachment);
  CHECK(read->compressed);
  CHECK(read->window_bits == 12);
  CHECK(read->sent_close == 1001);
  REQUIRE(read->topics.size() == 2);
  CHECK(read->topics[0].name == "room:a");
  CHECK(read->topics[0].member == "Ada");
  CHECK(read->topics[0].history == 50);
  CHECK(read->topics[0].present);
  CHECK(read->topics[0].after.empty());
  CHECK(read->topics[1].name == "room:b");
  CHECK(read->topics[1].after == "1234");
  CHECK_FALSE(read->topics[1].present);
}

TEST_CASE("the largest record that a socket can have is read", "[websocket][record]") {
  SocketRecord record = full_record();
  record.attachment = std::string(kMaxSocketAttachment, 'a');
  record.topics.assign(kMaxSocketTopics, {.name = std::string(256, 't'), .member = std::string(256, 'm')});
  const auto read = read_record(bytes_of(record));
  REQUIRE(read);
  CHECK(read->topics.size() == kMaxSocketTopics);
}

TEST_CASE("a record that ends early or late is none", "[websocket][record]") {
  const std::string bytes = bytes_of(full_record());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    INFO(size);
    CHECK_FALSE(read_record(bytes.substr(0, size)));
  }
  CHECK_FALSE(read_record(bytes + '\0'));
}

TEST_CASE("a record with values that nothing writes is none", "[websocket][record]") {
  const auto refused = [](auto change) {
    SocketRecord record = full_record();
    change(record);
    return !read_record(bytes_of(record));
  };
  CHECK(refused([](SocketRecord& record) { record.id.pop_back(); }));
  CHECK(refused([](SocketRecord& record) { record.window_bits = 8; }));
  CHECK(refused([](SocketRecord& record) { record.window_bits = 16; }));
  CHECK(refused([](SocketRecord& record) { record.window_bits = 255; }));
  CHECK(refused([](SocketRecord& record) { record.attachment = std::string(kMaxSocketAttachment + 1, 'a'); }));
  CHECK(refused([](SocketRecord& record) { record.topics[0].name = ""; }));
  CHECK(refused([](SocketRecord& record) { record.topics[0].name = "a\nb"; }));
  CHECK(refused([](SocketRecord& record) { record.topics[0].member = std::string(257, 'm'); }));
  CHECK(refused([](SocketRecord& record) { record.topics[0].after = std::string(kMaxSocketAfter + 1, '1'); }));
  CHECK(refused([](SocketRecord& record) { record.topics[0].history = kMaxEventHistory + 1; }));
  CHECK(refused([](SocketRecord& record) { record.topics.assign(kMaxSocketTopics + 1, {.name = "t"}); }));
  CHECK_FALSE(refused([](SocketRecord& record) { record.compressed = false, record.window_bits = 0; }));
}

TEST_CASE("a record with any byte changed is read or refused, without harm", "[websocket][record][hostile]") {
  const std::string bytes = bytes_of(full_record());
  std::size_t refused = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    for (int value = 0; value < 256; ++value) {
      std::string changed = bytes;
      changed[i] = static_cast<char>(value);
      const auto read = read_record(changed);
      refused += read ? 0 : 1;
      if (read && read->compressed) CHECK((read->window_bits >= 9 && read->window_bits <= 15));
    }
  }
  CHECK(refused > bytes.size());  // lengths, at least
  std::mt19937 random(7);
  for (int i = 0; i < 20'000; ++i) {
    std::string noise(random() % 200, '\0');
    for (char& byte : noise) byte = static_cast<char>(random());
    if (!noise.empty()) noise[0] = 1;
    CHECK_FALSE(read_record(noise));
  }
}
