// Records between workers and the relay.
#include "worker/state/relay/relay_record.h"

#include <cstring>
#include <string>
#include <vector>

#include "support/catch.h"

using namespace pronghorn;
using worker::encode;
using worker::RelayKind;
using worker::RelayReader;
using worker::RelayRecord;

namespace {

struct Read {
  std::vector<std::string> records;  // "4 channel payload"
  bool malformed = false;
};

void feed(RelayReader& reader, std::string_view bytes, Read& read) {
  reader.feed(bytes);
  RelayRecord record;
  for (;;) {
    const RelayReader::Next next = reader.next(record);
    if (next == RelayReader::Next::malformed) read.malformed = true;
    if (next != RelayReader::Next::record) return;
    read.records.push_back(std::to_string(static_cast<int>(record.kind)) + " " + std::string(record.channel) + " " +
                           std::string(record.payload));
  }
}

}  // namespace

TEST_CASE("records that arrive in pieces of any size are the same", "[relay]") {
  const std::string large(3000, 'x');
  std::string bytes;
  for (const RelayRecord& record :
       {RelayRecord{RelayKind::subscribe, "a", {}}, RelayRecord{RelayKind::message, "b", std::string_view("1\0002", 3)},
        RelayRecord{RelayKind::lost, {}, {}}, RelayRecord{RelayKind::message, "b", large}}) {
    bytes += encode(record);
  }
  const std::vector<std::string> expected{"1 a ", std::string("4 b 1\0002", 7), "5  ", "4 b " + large};
  for (const std::size_t size : {std::size_t{1}, std::size_t{2}, std::size_t{7}, std::size_t{8}, std::size_t{9},
                                 std::size_t{40}, bytes.size()}) {
    CAPTURE(size);
    RelayReader reader;
    Read read;
    for (std::size_t i = 0; i < bytes.size(); i += size) feed(reader, std::string_view(bytes).substr(i, size), read);
    CHECK(read.records == expected);
    CHECK_FALSE(read.malformed);
  }
}

TEST_CASE("a record that claims more than the limits is refused", "[relay]") {
  std::string bytes = encode({RelayKind::message, "c", "p"});
  SECTION("payload") {
    const auto size = static_cast<std::uint32_t>(worker::kMaxRelayPayload + 1);
    std::memcpy(bytes.data(), &size, sizeof size);
  }
  SECTION("channel") {
    const auto size = static_cast<std::uint16_t>(worker::kMaxRelayChannel + 1);
    std::memcpy(bytes.data() + 4, &size, sizeof size);
  }
  RelayReader reader;
  Read read;
  feed(reader, bytes, read);
  CHECK(read.malformed);
  CHECK(read.records.empty());
}
