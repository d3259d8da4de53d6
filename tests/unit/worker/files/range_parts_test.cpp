// How ranges are served. How they are parsed is in byte_ranges_test.cpp.
#include "worker/files/range_parts.h"

#include <string>

#include "pronghorn/pronghorn.h"
#include "pronghorn/testing.h"
#include "support/catch.h"
#include "unit/worker/files/site.h"

using namespace pronghorn;
using namespace pronghorn::test;
using namespace std::chrono_literals;

TEST_CASE("one range of a file is served", "[files][range]") {
  const Site files;
  TestClient client(site);
  struct Case {
    const char* range;
    int status;
    const char* body;
    const char* content_range;
  };
  for (const auto& [range, status, body, content_range] : {
           Case{"bytes=0-3", 206, "0123", "bytes 0-3/10"},
           Case{"bytes=4-", 206, "456789", "bytes 4-9/10"},
           Case{"bytes=-3", 206, "789", "bytes 7-9/10"},
           Case{"bytes=9-9", 206, "9", "bytes 9-9/10"},
           Case{"bytes=5-99", 206, "56789", "bytes 5-9/10"},
           Case{"bytes=-99", 206, "0123456789", "bytes 0-9/10"},
           Case{"bytes=0-99999999999999999999999", 206, "0123456789", "bytes 0-9/10"},
           Case{"BYTES=0-0", 206, "0", "bytes 0-0/10"},
           Case{"bytes=10-", 416, nullptr, "bytes */10"},
           Case{"bytes=99999999999999999999999-", 416, nullptr, "bytes */10"},
           Case{"bytes=-0", 416, nullptr, "bytes */10"},
           // Several that result in one: they overlap, or the others lie outside.
           Case{"bytes=2-5, 4-7", 206, "234567", "bytes 2-7/10"},
           Case{"bytes=5-7,1-5,0-1", 206, "01234567", "bytes 0-7/10"},
           Case{"bytes=,3-3, ,50-60,-0", 206, "3", "bytes 3-3/10"},
           Case{"bytes=10-11,-0", 416, nullptr, "bytes */10"},
           // Malformed or unknown: ignored.
           Case{"bytes=3-1", 200, "0123456789", ""},
           Case{"bytes=0-1,x", 200, "0123456789", ""},
           Case{"bytes=0-1;2-3", 200, "0123456789", ""},
           Case{"bytes=", 200, "0123456789", ""},
           Case{"bytes=-", 200, "0123456789", ""},
           Case{"bytes=a-b", 200, "0123456789", ""},
           Case{"bytes=+1-2", 200, "0123456789", ""},
           Case{"items=0-1", 200, "0123456789", ""},
       }) {
    INFO(range);
    const auto response = client.get("/files/a.txt", {{"Range", range}});
    CHECK(response.status == status);
    if (body) CHECK(response.body == body);
    CHECK(response.header("content-range") == content_range);
  }
  CHECK(client.get("/files/none", {{"Range", "bytes=0-"}}).status == 416);
  const auto suffix_of_nothing = client.get("/files/none", {{"Range", "bytes=-5"}});
  CHECK(suffix_of_nothing.status == 200);
  CHECK(suffix_of_nothing.header("content-length") == "0");
  CHECK(client.request("HEAD", "/files/a.txt", {}, {{"Range", "bytes=0-1"}}).status == 200);
}

TEST_CASE("several ranges of a file come as the parts of one answer", "[files][range]") {
  const Site files;
  TestClient client(site);
  const auto response = client.get("/files/a.txt", {{"Range", "bytes=0-1, 7-, 4-4"}});
  CHECK(response.status == 206);
  const std::string type = response.header("content-type");
  const std::string prefix = "multipart/byteranges; boundary=";
  REQUIRE(type.starts_with(prefix));
  const std::string boundary = type.substr(prefix.size());
  const auto part = [&boundary](const std::string& range, const std::string& bytes) {
    return "\r\n--" + boundary + "\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Range: bytes " + range +
           "\r\n\r\n" + bytes;
  };
  CHECK(response.body ==
        part("0-1/10", "01") + part("7-9/10", "789") + part("4-4/10", "4") + "\r\n--" + boundary + "--\r\n");
  CHECK(response.header("content-range").empty());
  CHECK_FALSE(response.header("etag").empty());
  // The boundary differs each time, so that nobody can put it into a file beforehand.
  CHECK(client.get("/files/a.txt", {{"Range", "bytes=0-1,7-"}}).header("content-type") != type);
}
