#include "server/options/values/values.h"

#include <string>

#include "support/catch.h"

using namespace pronghorn;
using namespace pronghorn::server;
using namespace std::chrono_literals;

namespace {

template <class Function>
std::string refusal(Function&& function) {
  try {
    function();
  } catch (const BadValue& error) {
    return error.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("a duration is a number with a unit", "[values]") {
  CHECK(parse_duration("500ms") == 500ms);
  CHECK(parse_duration("30s") == 30s);
  CHECK(parse_duration("5m") == 5min);
  CHECK(parse_duration("2h") == 2h);
  CHECK(parse_duration("1d") == 24h);
  CHECK(parse_duration("0") == 0ms);
  CHECK(parse_duration("0s") == 0ms);
}

TEST_CASE("a bare number is no duration, and the message names the units", "[values]") {
  CHECK(refusal([] { (void)parse_duration("30"); }) ==
        "\"30\" is not a duration; use a number with a unit such as 500ms, 30s or 5m");
  for (const char* text : {"", "s", "-5s", "+5s", "1.5s", "5 s", " 5s", "5s ", "5S", "5sec", "0x5s",
                           "99999999999999999999s", "9223372036854775807d"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(parse_duration(text), BadValue);
  }
}

TEST_CASE("a duration is shown in its largest exact unit", "[values]") {
  CHECK(format_duration(0ms) == "0");
  CHECK(format_duration(1500ms) == "1500ms");
  CHECK(format_duration(65s) == "65s");
  CHECK(format_duration(60s) == "1m");
  CHECK(format_duration(24h) == "1d");
}

TEST_CASE("a size is bytes or a number with a binary unit", "[values]") {
  CHECK(parse_size("0") == 0);
  CHECK(parse_size("1234") == 1234);
  CHECK(parse_size("64KiB") == 65'536);
  CHECK(parse_size("1MiB") == 1'048'576);
  CHECK(parse_size("1GiB") == 1'073'741'824);
  for (const char* text : {"", "KiB", "1KB", "1k", "-1", "1.5MiB", "1 MiB", "99999999999TiB", "99999999999999999999"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(parse_size(text), BadValue);
  }
  CHECK(format_size(1'048'576) == "1MiB");
  CHECK(format_size(1'000) == "1000B");
  CHECK(format_size(0) == "0");
}

TEST_CASE("the addresses of the contract are accepted", "[values]") {
  for (const char* text : {"127.0.0.1:8080", "0.0.0.0:0", "[::1]:8080", "[::]:80", ":8080", "unix:/run/x.sock",
                           "unix:x", "localhost:8080", "my-host.example:65535"}) {
    CAPTURE(text);
    CHECK_NOTHROW(check_address(text));
  }
}

TEST_CASE("text that is not an address is refused with a valid example", "[values]") {
  for (const std::string text :
       {"", "8080", "localhost", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:80x",
        "127.0.0.300:80", "::1:80", "[::1]", "[::1", "[]:80", "[1.2.3.4]:80", "unix:", "http://x:80", "a b:80"}) {
    CAPTURE(text);
    const std::string message = refusal([&] { check_address(text); });
    CHECK(message.find("use 127.0.0.1:8080") != std::string::npos);
  }
  const std::string long_path = "unix:/" + std::string(99, 'x');
  CHECK(refusal([&] { check_address(long_path); }).find("at most 99") != std::string::npos);
  CHECK_NOTHROW(check_address(long_path.substr(0, long_path.size() - 1)));
  // The system's own word for them was "Invalid argument".
  CHECK(refusal([] { check_address("[::ffff:127.0.0.1]:80"); }).find("write only its last four") != std::string::npos);
  CHECK(refusal([] { check_address("[fe80::1]:80"); }).find("link-local") != std::string::npos);
  CHECK(refusal([] { check_address("239.1.1.1:80"); }).find("multicast") != std::string::npos);
  CHECK(refusal([] { check_address("[ff02::1]:80"); }).find("multicast") != std::string::npos);
}

TEST_CASE("an address of listen may ask for TLS, others may not", "[values]") {
  for (const char* text : {"https://:443", "https://127.0.0.1:0", "https://[::1]:8443", "https://localhost:1", ":80",
                           "unix:/run/x.sock"}) {
    CAPTURE(text);
    CHECK_NOTHROW(check_listen(text));
  }
  for (const std::string text : {"https://", "https://example.org", "https://unix:/run/x", "https://:443/",
                                 "https://[::1]", "https://https://:443", "HTTPS://:443", "http://:80"}) {
    CAPTURE(text);
    CHECK(refusal([&] { check_listen(text); }) != "accepted");
  }
  CHECK(refusal([] { check_listen("https://example.org"); }).find("use https://0.0.0.0:443") != std::string::npos);
  CHECK(refusal([] { check_address("https://:443"); }).find("only addresses of listen") != std::string::npos);
}

TEST_CASE("a network is an address with a prefix length that fits it", "[values]") {
  for (const char* text : {"10.0.0.0/8", "::1/128", "192.0.2.7", "::1", "0.0.0.0/0"})
    CHECK_NOTHROW(check_network(text));
  for (const char* text : {"", "10.0.0.0/33", "::1/129", "10.0.0.0/", "10.0.0.0/x", "x/8", "10.0.0/8"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(check_network(text), BadValue);
  }
}

TEST_CASE("peers are networks, or all peers on Unix sockets", "[values]") {
  for (const char* text : {"10.0.0.0/8", "::1", "unix"}) CHECK_NOTHROW(check_peers(text));
  for (const char* text : {"", "Unix", "unix:/run/x", "10.0.0.0/33", "localhost"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(check_peers(text), BadValue);
  }
}

TEST_CASE("a file mode is octal", "[values]") {
  CHECK(parse_file_mode("0660") == 0660);
  CHECK(parse_file_mode("0777") == 0777);
  CHECK(parse_file_mode("0o620") == 0620);  // as TOML writes it
  for (const char* text :
       {"", "0", "0000", "0668", "1777", "660", "432", "-066", "rw", "0o66", "0o0660", "0o000", "00660"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(parse_file_mode(text), BadValue);
  }
}

TEST_CASE("workers are auto, a number or a range", "[values]") {
  CHECK(parse_workers("auto").max == 0);
  CHECK(parse_workers("4").min == 4);
  CHECK(parse_workers("4").max == 4);
  CHECK(parse_workers("2..8").min == 2);
  CHECK(parse_workers("2..8").max == 8);
  CHECK(parse_workers("255").max == 255);
  for (const char* text : {"", "0", "256", "-1", "two", "8..2", "2..", "..8", "0..4", "1..256", "2...8", "4 "}) {
    CAPTURE(text);
    CHECK_THROWS_AS(parse_workers(text), BadValue);
  }
}

TEST_CASE("a message cannot carry control characters to the terminal", "[values]") {
  CHECK(printable("a\nb\x1b[31m\x7f") == "a\\nb\\x1b[31m\\x7f");
  CHECK(printable("caf\xC3\xA9 \xFF \xC2\x9B") == "caf\xC3\xA9 \\xff \\xc2\\x9b");
  CHECK(printable("gpj.\xE2\x80\xAE"
                  "exe \xF0\x9F\x98\x80") ==
        "gpj.\\xe2\\x80\\xae"
        "exe \xF0\x9F\x98\x80");
  CHECK(in_quotes(std::string(500, 'x')).size() < 120);
}
