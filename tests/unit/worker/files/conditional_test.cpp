#include "worker/files/conditional.h"

#include <string>

#include "pronghorn/pronghorn.h"
#include "pronghorn/testing.h"
#include "support/catch.h"
#include "support/eventually.h"
#include "unit/worker/files/site.h"
#include "worker/fields/http_date.h"

using namespace pronghorn;
using namespace pronghorn::test;
using namespace std::chrono_literals;

TEST_CASE("conditional requests are answered 304 when the client has the file", "[files][conditional]") {
  const Site files;
  TestClient client(site);
  const auto first = client.get("/files/a.txt");
  const std::string etag = first.header("etag");
  const std::string modified = first.header("last-modified");
  REQUIRE(etag.size() > 2);
  CHECK(worker::http_date(worker::parse_http_date(modified).value()) == modified);

  const auto cached = client.get("/files/a.txt", {{"If-None-Match", etag}});
  CHECK(cached.status == 304);
  CHECK(cached.body.empty());
  CHECK(cached.header("etag") == etag);
  CHECK(cached.header("content-length").empty());
  CHECK(status_of(client, "/files/a.txt", {{"If-None-Match", "\"other\", W/" + etag}}) == 304);
  CHECK(status_of(client, "/files/a.txt", {{"If-None-Match", "*"}}) == 304);
  CHECK(status_of(client, "/files/a.txt", {{"If-None-Match", "\"other\""}}) == 200);
  CHECK(status_of(client, "/files/a.txt", {{"If-None-Match", "\"unterminated"}}) == 200);
  CHECK(status_of(client, "/files/a.txt", {{"If-Modified-Since", modified}}) == 304);
  CHECK(status_of(client, "/files/a.txt", {{"If-Modified-Since", "Sun, 06 Nov 1994 08:49:37 GMT"}}) == 200);
  CHECK(status_of(client, "/files/a.txt", {{"If-Modified-Since", "yesterday"}}) == 200);
  CHECK(status_of(client, "/files/a.txt", {{"If-Modified-Since", modified}, {"If-Modified-Since", modified}}) == 200);
  // If-None-Match wins over If-Modified-Since.
  CHECK(status_of(client, "/files/a.txt", {{"If-None-Match", "\"other\""}, {"If-Modified-Since", modified}}) == 200);
  CHECK(status_of(client, "/files/a.txt", {{"If-Match", "\"other\""}}) == 412);
  CHECK(status_of(client, "/files/a.txt", {{"If-Match", etag}}) == 200);
  CHECK(status_of(client, "/files/a.txt", {{"If-Unmodified-Since", "Sun, 06 Nov 1994 08:49:37 GMT"}}) == 412);
  CHECK(client.request("HEAD", "/files/a.txt", {}, {{"If-None-Match", etag}}).status == 304);

  write_file(Site::folder + "/a.txt", "changed content");
  CHECK(eventually(10s, [&] { return status_of(client, "/files/a.txt", {{"If-None-Match", etag}}) == 200; }));
}

// Range has one value: what two of them mean, nobody knows.
TEST_CASE("of a request with two Range fields all is sent", "[files][range]") {
  const Site files;
  TestClient client(site);
  const std::string etag = client.get("/files/a.txt").header("etag");
  CHECK(status_of(client, "/files/a.txt", {{"Range", "bytes=0-1"}}) == 206);
  CHECK(status_of(client, "/files/a.txt", {{"Range", "bytes=0-1"}, {"Range", "bytes=2-3"}}) == 200);
  CHECK(status_of(client, "/files/a.txt", {{"Range", "bytes=0-1"}, {"range", "bytes=0-1"}}) == 200);
  CHECK(status_of(client, "/files/a.txt", {{"Range", "bytes=0-1"}, {"If-Range", etag}, {"If-Range", "\"x\""}}) == 200);
}

TEST_CASE("a range applies only while the file is the one that the client knows", "[files][range]") {
  const Site files;
  TestClient client(site);
  const auto first = client.get("/files/a.txt");
  const auto ranged = [&](const std::string& if_range) {
    return status_of(client, "/files/a.txt", {{"Range", "bytes=0-1"}, {"If-Range", if_range}});
  };
  CHECK(ranged(first.header("etag")) == 206);
  CHECK(ranged("\"other\"") == 200);
  CHECK(ranged("W/" + first.header("etag")) == 200);
  CHECK(ranged("Sun, 06 Nov 1994 08:49:37 GMT") == 200);
  CHECK(ranged("0123") == 200);
  // The date of a file that changed within this second is a weak validator: it may change again.
  CHECK(ranged(first.header("last-modified")) == 200);
  make_older(Site::folder + "/a.txt", 60s);
  CHECK(eventually(10s, [&] { return ranged(client.get("/files/a.txt").header("last-modified")) == 206; }));
}
