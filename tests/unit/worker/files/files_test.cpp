#include "worker/files/files.h"

#include <filesystem>
#include <stdexcept>
#include <string>

#include "pronghorn/pronghorn.h"
#include "pronghorn/testing.h"
#include "support/catch.h"
#include "support/eventually.h"
#include "support/no_descriptors.h"
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

TEST_CASE("compression() changes nothing of files, nor of the 304 that stands for one", "[files]") {
  const Site files;
  TestClient client([](App& app) {
    app.use(compression());
    site(app);
  });
  const auto file = client.get("/files/a.txt", {{"Accept-Encoding", "gzip"}});
  CHECK(file.header("vary").empty());
  const auto unchanged =
      client.get("/files/a.txt", {{"Accept-Encoding", "gzip"}, {"If-None-Match", "W/" + file.header("etag")}});
  CHECK(unchanged.status == 304);
  CHECK(unchanged.header("etag") == file.header("etag"));
  CHECK(unchanged.header("vary").empty());
}

TEST_CASE("a folder without its slash is redirected, never to another site", "[files]") {
  const Site files;
  TestClient client(site);
  const auto sub = client.get("/files/sub?x=1");
  CHECK(sub.status == 301);
  CHECK(sub.header("location") == "/files/sub/?x=1");
  CHECK(client.get("/files").header("location") == "/files/");
  CHECK(status_of(client, "/files/empty/") == 404);
  std::filesystem::create_directories(files.directory.path() / "public/odd/index.html");
  CHECK(status_of(client, "/files/odd/") == 404);
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

TEST_CASE("without descriptors a file is 503 and not 404", "[files]") {
  const Site files;
  TestClient client(site);
  CHECK(client.get("/files/a.txt").status == 200);
  const NoDescriptors none_left;
  const auto response = client.get("/files/sub/");
  CHECK(response.status == 503);
  CHECK(response.header("retry-after") == "1");
}

// Images of containers set the time of every file to 1, so that two releases of a file of equal size had one tag.
TEST_CASE("a file that is replaced has another tag, although size and time are the same", "[files]") {
  const Site files;
  const auto write_old = [](const std::string& path, const std::string& content) {
    write_file(path, content);
    std::filesystem::last_write_time(path, std::filesystem::file_time_type(std::chrono::seconds(1)));
  };
  const std::string path = Site::folder + "/a.txt";
  write_old(path, "first release");
  TestClient client(site);
  const std::string before = client.get("/files/a.txt").header("etag");
  write_old(Site::folder + "/next", "other release");
  std::filesystem::rename(Site::folder + "/next", path);
  CHECK(eventually(10s, [&] { return client.get("/files/a.txt").body == "other release"; }));
  CHECK(client.get("/files/a.txt").header("etag") != before);
  CHECK(status_of(client, "/files/a.txt", {{"If-None-Match", before}}) == 200);
  // The same inode with other content: only its change time tells.
  const std::string replaced = client.get("/files/a.txt").header("etag");
  write_old(path, "third release");
  CHECK(eventually(10s, [&] { return client.get("/files/a.txt").body == "third release"; }));
  CHECK(client.get("/files/a.txt").header("etag") != replaced);
}

// Those of /sys claim a page, and those of /proc nothing: the announced length was not what was sent.
TEST_CASE("files of the kernel, which do not tell their size, are not served", "[files]") {
  TestClient client([](App& app) {
    app.serve_files("/sys", "/sys/devices/system/cpu");
    app.serve_files("/proc", "/proc/self");
  });
  CHECK(status_of(client, "/sys/online") == 404);   // 4096 bytes, it says
  CHECK(status_of(client, "/proc/status") == 404);  // 0
  CHECK(status_of(client, "/proc/mem") == 404);     // 0, and cannot be read at its beginning
  CHECK(status_of(client, "/proc/limits") == 404);
}

TEST_CASE("a file that has no blocks, but the size that it tells, is served", "[files]") {
  const Site files;
  std::filesystem::resize_file(Site::folder + "/none", 100'000);
  TestClient client(site);
  CHECK(client.get("/files/none").body == std::string(100'000, '\0'));
}

// As deployments with a link `current`, and Kubernetes with volumes, switch releases.
TEST_CASE("a link that is switched to another folder is followed, even if the old folder is deleted", "[files]") {
  namespace fs = std::filesystem;
  const TempDir releases;
  static fs::path root;
  root = releases.path();
  const auto make_release = [](const std::string& name) {
    fs::create_directories(root / name);
    write_file(root / name / "page.txt", name);
    write_file(root / name / (name + ".txt"), "only here");
    fs::create_symlink("../secret.txt", root / name / "out");
  };
  const auto switch_to = [](const std::string& name) {
    fs::create_symlink(name, root / "next");
    fs::rename(root / "next", root / "current");
  };
  write_file(root / "secret.txt", "secret");
  make_release("v1");
  switch_to("v1");
  TestClient client([](App& app) { app.serve_files("/", root / "current"); });
  CHECK(client.get("/page.txt").body == "v1");

  make_release("v2");
  switch_to("v2");
  CHECK(client.get("/v2.txt").body == "only here");  // not cached: at once
  CHECK(eventually(10s, [&] { return client.get("/page.txt").body == "v2"; }));
  CHECK(status_of(client, "/v1.txt") == 404);
  fs::remove_all(root / "v1");
  CHECK(client.get("/page.txt").body == "v2");

  fs::remove_all(root / "v2");  // before the switch: nothing to serve in between
  CHECK(eventually(10s, [&] { return status_of(client, "/page.txt") == 404; }));
  make_release("v3");
  switch_to("v3");
  CHECK(client.get("/page.txt").body == "v3");
  CHECK(status_of(client, "/out") == 404);
  CHECK(status_of(client, "/../secret.txt") == 400);
}
