#include "worker/http1/parser/head_guard.h"

#include <string>

#include "support/catch.h"

using pronghorn::worker::HeadScan;
using pronghorn::worker::scan_head;
using State = HeadScan::State;
using namespace std::string_view_literals;

namespace {

constexpr std::size_t kNone = std::string_view::npos;

HeadScan scan_whole(std::string_view bytes) { return scan_head(bytes, 0, kNone); }

// As from a slow client: scans every prefix in turn, each scan continuing where the last one stopped.
HeadScan scan_byte_by_byte(std::string_view bytes) {
  HeadScan scan{State::incomplete, 0, kNone};
  for (std::size_t size = 1; size <= bytes.size() && scan.state == State::incomplete; ++size) {
    scan = scan_head(bytes.substr(0, size), scan.position, scan.first_line);
  }
  return scan;
}

}  // namespace

TEST_CASE("a head ends after its empty line, wherever reads cut it", "[http][guard]") {
  const std::string head = "GET / HTTP/1.1\r\nHost: a\r\nX-Long: " + std::string(100, 'x') + "\tb\r\n\r\n";
  const std::string bytes = head + "GET /next";
  for (const HeadScan& scan : {scan_whole(bytes), scan_byte_by_byte(bytes)}) {
    CHECK(scan.state == State::complete);
    CHECK(scan.position == head.size());
    CHECK(scan.first_line == 14);
  }
}

TEST_CASE("a head without its empty line is incomplete", "[http][guard]") {
  for (const std::string_view bytes : {"G", "GET / HTTP/1.1", "GET / HTTP/1.1\r", "GET / HTTP/1.1\r\n",
                                       "GET / HTTP/1.1\r\nHost: a\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r"}) {
    CAPTURE(bytes);
    CHECK(scan_whole(bytes).state == State::incomplete);
  }
}

TEST_CASE("what could end a line for somebody else is malformed", "[http][guard]") {
  for (const std::string_view line_end : {"\n"sv, "\r"sv, "\r\r\n"sv, "\n\r"sv, "\0"sv, "\v"sv, "\f"sv, "\x7f"sv}) {
    for (const std::string& bytes :
         {"GET / HTTP/1.1" + std::string(line_end) + "Host: a\r\n\r\n",
          "GET / HTTP/1.1\r\nHost: a" + std::string(line_end) + "X: b\r\n\r\n",
          "GET / HTTP/1.1\r\nHost: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" + std::string(line_end) + "\r\n\r\n"}) {
      CAPTURE(bytes);
      CHECK(scan_whole(bytes).state == State::malformed);
      CHECK(scan_byte_by_byte(bytes).state == State::malformed);
    }
  }
}

TEST_CASE("a folded line is malformed", "[http][guard]") {
  CHECK(scan_whole("GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n").state == State::malformed);
  CHECK(scan_whole("GET / HTTP/1.1\r\n\tHost: a\r\n\r\n").state == State::malformed);
}
