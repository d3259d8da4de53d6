// Compressed files next to the original ("a.js.br").
#include <filesystem>
#include <string>

#include "pronghorn/pronghorn.h"
#include "pronghorn/testing.h"
#include "support/catch.h"
#include "unit/worker/files/site.h"

using namespace pronghorn;
using namespace pronghorn::test;
using namespace std::chrono_literals;

TEST_CASE("a precompressed variant is served to clients that accept it", "[files][coding]") {
  const Site files;
  write_file(Site::folder + "/app.js", "plain script");
  write_file(Site::folder + "/app.js.gz", "as gzip");
  write_file(Site::folder + "/app.js.br", "as brotli");
  write_file(Site::folder + "/old.css", "plain style");
  write_file(Site::folder + "/old.css.gz", "of an earlier style");
  make_older(Site::folder + "/old.css.gz", 60s);
  write_file(Site::folder + "/a.txt.br", "as brotli");
  std::filesystem::create_symlink("../../secret.txt", Site::folder + "/sub/index.html.gz");
  TestClient client(site);

  const auto plain = client.get("/files/app.js");
  CHECK(plain.body == "plain script");
  CHECK(plain.header("vary") == "Accept-Encoding");
  CHECK(plain.header("content-encoding").empty());
  const auto brotli = client.get("/files/app.js", {{"Accept-Encoding", "gzip, br"}});
  CHECK(brotli.body == "as brotli");
  CHECK(brotli.header("content-encoding") == "br");
  CHECK(brotli.header("content-type") == "text/javascript; charset=utf-8");
  CHECK(brotli.header("vary") == "Accept-Encoding");
  CHECK(client.get("/files/app.js", {{"Accept-Encoding", "gzip, br;q=0.9"}}).body == "as gzip");
  CHECK(client.get("/files/app.js", {{"Accept-Encoding", "zstd"}}).body == "plain script");
  CHECK(client.request("HEAD", "/files/app.js", {}, {{"Accept-Encoding", "br"}}).header("content-length") == "9");

  // Each is a representation of its own.
  CHECK(brotli.header("etag") != plain.header("etag"));
  const auto cached =
      client.get("/files/app.js", {{"Accept-Encoding", "br"}, {"If-None-Match", brotli.header("etag")}});
  CHECK(cached.status == 304);
  CHECK(cached.header("vary") == "Accept-Encoding");
  CHECK(status_of(client, "/files/app.js", {{"If-None-Match", brotli.header("etag")}}) == 200);
  CHECK(client.get("/files/app.js", {{"Accept-Encoding", "br"}, {"Range", "bytes=3-"}}).body == "brotli");

  CHECK(client.get("/files/old.css", {{"Accept-Encoding", "gzip"}}).body == "plain style");
  CHECK(client.get("/files/sub/", {{"Accept-Encoding", "gzip"}}).body == "<h1>sub</h1>");
  CHECK(client.get("/files/inside.html").header("vary").empty());
}
