#include "worker/files/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "pronghorn/pronghorn.h"
#include "pronghorn/testing.h"
#include "support/catch.h"
#include "support/eventually.h"
#include "support/temp_dir.h"
#include "worker/fields/http_date.h"
#include "worker/files/folder.h"

using namespace pronghorn;
using namespace std::chrono_literals;
using pronghorn::test::eventually;
using pronghorn::test::TempDir;
using pronghorn::test::write_file;

namespace {

// public/: what is served, at /files and at /. Beside it: what must never be.
struct Site {
  Site() {
    const auto& root = directory.path();
    std::filesystem::create_directories(root / "public/sub/deep");
    std::filesystem::create_directories(root / "public/empty");
    std::filesystem::create_directories(root / "public/.git");
    std::filesystem::create_directories(root / "public-not");
    write_file(root / "secret.txt", "secret");
    write_file(root / "public-not/secret.txt", "secret");
    write_file(root / "public/index.html", "<h1>root</h1>");
    write_file(root / "public/a.txt", "0123456789");
    write_file(root / "public/a b.css", "body{}");
    write_file(root / "public/none", "");
    write_file(root / "public/.env", "secret");
    write_file(root / "public/.git/config", "secret");
    write_file(root / "public/sub/index.html", "<h1>sub</h1>");
    write_file(root / "public/sub/deep/page.HTML", "deep");
    std::filesystem::create_symlink("../secret.txt", root / "public/out");
    std::filesystem::create_symlink("..", root / "public/up");
    std::filesystem::create_symlink((root / "secret.txt").native(), root / "public/absolute");
    std::filesystem::create_symlink("/proc/self", root / "public/proc");
    std::filesystem::create_symlink("sub/index.html", root / "public/inside.html");
    std::filesystem::create_symlink("loop", root / "public/loop");
    ::mkfifo((root / "public/fifo").c_str(), 0600);
    folder = root / "public";
  }
  TempDir directory;
  static inline std::string folder;
};

void site(App& app) {
  app.serve_files("/files", Site::folder);
  app.serve_files("/", Site::folder);
}

void make_older(const std::string& path, std::chrono::seconds by) {
  std::filesystem::last_write_time(path, std::filesystem::last_write_time(path) - by);
}

int status_of(TestClient& client, std::string_view target, const TestClient::Headers& headers = {}) {
  return client.get(target, headers).status;
}

}  // namespace

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

TEST_CASE("nothing leads out of the folder, and dotfiles are not there", "[files]") {
  const Site files;
  TestClient client(site);
  for (const char* target : {"/files/../secret.txt",
                             "/files/..%2fsecret.txt",
                             "/files/%2e%2e/secret.txt",
                             "/files/%2e%2e%2fsecret.txt",
                             "/files/sub/../../secret.txt",
                             "/files/.",
                             "/files/..",
                             "/files/a.txt%00.html",
                             "/files/%00",
                             "/files/%5c..%5csecret.txt",
                             "/files/..%5csecret.txt",
                             "/files//etc/passwd",
                             "/files/%2fetc%2fpasswd",
                             "/files/%2Fetc/passwd",
                             "/files/../public-not/secret.txt",
                             "/files/%252e%252e/secret.txt",
                             "/files/out",
                             "/files/up/secret.txt",
                             "/files/absolute",
                             "/files/proc/environ",
                             "/files/loop",
                             "/files/.env",
                             "/files/%2eenv",
                             "/files/.git/config",
                             "/files/.git/",
                             "/files/fifo",
                             "/files/a.txt/",
                             "/files/a.txt/b",
                             "/files/sub%2findex.html",
                             "/files/sub//index.html",
                             "/files/missing"}) {
    INFO(target);
    const auto response = client.get(target);
    CHECK((response.status == 404 || response.status == 400));
    CHECK(response.body.find("secret\"") == std::string::npos);
    CHECK(response.body != "secret");
  }
  CHECK(status_of(client, "/files/" + std::string(5000, 'x')) == 404);
  CHECK(status_of(client, "/files/" + std::string(300, 'x')) == 404);
}

TEST_CASE("without openat2 files are still served and no link is followed", "[files]") {
  const Site files;
  const int root = ::open(Site::folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  const auto opens = [root](const std::string& path) {
    const int fd = worker::open_step_by_step(root, path);
    if (fd >= 0) ::close(fd);
    return fd >= 0;
  };
  CHECK(opens("a.txt"));
  CHECK(opens("sub/deep/page.HTML"));
  CHECK(opens("sub"));
  for (const char* path : {"out", "up/secret.txt", "absolute", "proc/environ", "loop", "inside.html", "missing",
                           "sub/missing/x", "a.txt/b"}) {
    INFO(path);
    CHECK_FALSE(opens(path));
  }
  ::close(root);
}

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
  // If-None-Match wins over If-Modified-Since.
  CHECK(status_of(client, "/files/a.txt", {{"If-None-Match", "\"other\""}, {"If-Modified-Since", modified}}) == 200);
  CHECK(status_of(client, "/files/a.txt", {{"If-Match", "\"other\""}}) == 412);
  CHECK(status_of(client, "/files/a.txt", {{"If-Match", etag}}) == 200);
  CHECK(status_of(client, "/files/a.txt", {{"If-Unmodified-Since", "Sun, 06 Nov 1994 08:49:37 GMT"}}) == 412);
  CHECK(client.request("HEAD", "/files/a.txt", {}, {{"If-None-Match", etag}}).status == 304);

  write_file(Site::folder + "/a.txt", "changed content");
  CHECK(eventually(3s, [&] { return status_of(client, "/files/a.txt", {{"If-None-Match", etag}}) == 200; }));
}

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
           // Several that come to one: they overlap, or all others lie outside.
           Case{"bytes=2-5, 4-7", 206, "234567", "bytes 2-7/10"},
           Case{"bytes=5-7,1-5,0-1", 206, "01234567", "bytes 0-7/10"},
           Case{"bytes=,3-3, ,50-60,-0", 206, "3", "bytes 3-3/10"},
           Case{"bytes=10-11,-0", 416, nullptr, "bytes */10"},
           // Not understood, so the whole file.
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
  CHECK(client.request("HEAD", "/files/a.txt", {}, {{"Range", "bytes=0-1"}}).status == 200);
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
  // A file that has changed this second may do so again: its date does not tell.
  CHECK(ranged(first.header("last-modified")) == 200);
  make_older(Site::folder + "/a.txt", 60s);
  CHECK(eventually(3s, [&] { return ranged(client.get("/files/a.txt").header("last-modified")) == 206; }));
}

TEST_CASE("dates are read in the three forms of RFC 9110, and only if they can be", "[http_date]") {
  CHECK(worker::http_date(784111777) == "Sun, 06 Nov 1994 08:49:37 GMT");
  for (const char* text : {"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
                           "Sun Nov  6 08:49:37 1994", "Sun Nov 06 08:49:37 1994"}) {
    INFO(text);
    CHECK(worker::parse_http_date(text) == 784111777);
  }
  CHECK(worker::parse_http_date("Wednesday, 01-Jan-31 00:00:00 GMT") == 1924992000);
  for (const char* text :
       {"", "Sunday, 06-Nov-94 08:49:37 CET", "Sun Nov  6 08:49:37 1994 GMT", "Sun, 06 Nov 1994 08:49:37 CET",
        "Sun Foo  6 08:49:37 1994", "Sunday, 6-Nov-94 08:49:37 GMT", ", 06-Nov-94 08-49-37 GMT", ",",
        "Sun, 00 Nov 1994 08:49:37 GMT", "Sun, 06 Foo 1994 08:49:37 GMT", "Sun, 06 Nov 1994 25:49:37 GMT",
        "Sun, -6 Nov 1994 08:49:37 GMT"}) {
    INFO(text);
    CHECK_FALSE(worker::parse_http_date(text));
  }
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
  // The tag does not repeat, so that nobody can put it into a file beforehand.
  CHECK(client.get("/files/a.txt", {{"Range", "bytes=0-1,7-"}}).header("content-type") != type);
}

TEST_CASE("a compressed neighbour answers for a file to those who accept it", "[files][coding]") {
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
  CHECK(eventually(3s, [&] { return client.get("/files/a.txt").body == "another"; }));
  std::filesystem::remove(Site::folder + "/a.txt");
  CHECK(eventually(3s, [&] { return status_of(client, "/files/a.txt") == 404; }));
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
