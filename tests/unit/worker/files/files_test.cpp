#include "worker/files/files.h"

#include <filesystem>
#include <stdexcept>
#include <string>

#include "pronghorn/pronghorn.h"
#include "pronghorn/testing.h"
#include "support/catch.h"
#include "support/eventually.h"
#include "unit/worker/files/site.h"

using namespace pronghorn;
using namespace pronghorn::test;
using namespace std::chrono_literals;

TEST_CASE("files are served with their type, and folders by their index.html", "[files]") {
  const Site files;
  TestClient client(site);
  const auto text_file = client.get("/files/a.txt");
  CHECK(text_file.status == 200);
  CHECK(text_file.body == "0123456789");
  CHECK(text_file.header("content-type") == "text/plain; charset=utf-8");
  CHECK(text_file.header("accept-ranges") == "bytes");
  CHECK(text_file.header("content-length") == "10");
  CHECK(client.get("/files/a%20b.css").header("content-type") == "text/css; charset=utf-8");
  CHECK(client.get("/files/none").header("content-type") == "application/octet-stream");
  CHECK(client.get("/files/none").header("content-length") == "0");
  CHECK(client.get("/files/sub/deep/page.HTML").header("content-type") == "text/html; charset=utf-8");
  CHECK(client.get("/files/").body == "<h1>root</h1>");
  CHECK(client.get("/files/sub/").body == "<h1>sub</h1>");
  CHECK(client.get("/").body == "<h1>root</h1>");
  CHECK(client.get("/a.txt").body == "0123456789");
  CHECK(client.get("/files/inside.html").body == "<h1>sub</h1>");
  const auto head = client.request("HEAD", "/files/a.txt");
  CHECK(head.status == 200);
  CHECK(head.body.empty());
  CHECK(head.header("content-length") == "10");
  CHECK(client.post("/files/a.txt").status == 405);
}

TEST_CASE("a folder without its slash is redirected, never to another site", "[files]") {
  const Site files;
  TestClient client(site);
  const auto sub = client.get("/files/sub?x=1");
  CHECK(sub.status == 301);
  CHECK(sub.header("location") == "/files/sub/?x=1");
  CHECK(client.get("/files").header("location") == "/files/");
  CHECK(status_of(client, "/files/empty/") == 404);
  CHECK(status_of(client, "//sub") == 404);
  CHECK(status_of(client, "/%2Fsub") == 404);
}

TEST_CASE("Cache-Control and dotfiles are served when the application says so", "[files]") {
  const Site files;
  TestClient client(
      [](App& app) { app.serve_files("/", Site::folder, {.cache_control = "public, max-age=60", .dotfiles = true}); });
  const auto response = client.get("/a.txt");
  CHECK(response.header("cache-control") == "public, max-age=60");
  CHECK(client.get("/a.txt", {{"If-None-Match", response.header("etag")}}).header("cache-control") ==
        "public, max-age=60");
  CHECK(client.get("/.env").body == "secret");
  CHECK(client.get("/.git/config").body == "secret");
  CHECK(client.get("/missing").header("cache-control").empty());
  for (const char* target : {"/..", "/.", "/%2e%2e/secret.txt", "/..%2fsecret.txt", "/.%00", "/.git/..%2f.."}) {
    INFO(target);
    const int status = status_of(client, target);
    CHECK((status == 404 || status == 400));
  }
  CHECK_THROWS_AS(TestClient([](App& app) { app.serve_files("/", Site::folder, {.cache_control = "a\r\nb"}); }),
                  std::invalid_argument);
}

TEST_CASE("a file that is replaced or removed is noticed within a second or so", "[files]") {
  const Site files;
  TestClient client(site);
  CHECK(client.get("/files/a.txt").body == "0123456789");
  write_file(Site::folder + "/new", "another");
  std::filesystem::rename(Site::folder + "/new", Site::folder + "/a.txt");
  CHECK(eventually(10s, [&] { return client.get("/files/a.txt").body == "another"; }));
  std::filesystem::remove(Site::folder + "/a.txt");
  CHECK(eventually(10s, [&] { return status_of(client, "/files/a.txt") == 404; }));
}

TEST_CASE("a file that is too large for the memory is served whole and in ranges", "[files][range]") {
  const Site files;
  std::string large;
  for (int i = 0; large.size() < 300'000; ++i) large += std::to_string(i) + "\n";
  write_file(Site::folder + "/large.txt", large);
  TestClient client(site);
  for (int i = 0; i < 2; ++i) {  // from the disk, from the cache
    CHECK(client.get("/files/large.txt").body == large);
    CHECK(client.get("/files/large.txt", {{"Range", "bytes=1000-200999"}}).body == large.substr(1000, 200'000));
    const auto parts = client.get("/files/large.txt", {{"Range", "bytes=1000-200999,250000-"}});
    CHECK(parts.body.find("\r\n\r\n" + large.substr(1000, 200'000) + "\r\n--") != std::string::npos);
    CHECK(parts.body.find("\r\n\r\n" + large.substr(250'000) + "\r\n--") != std::string::npos);
  }
}
