// Forms with files as a handler reads them.
#include "pronghorn/multipart.h"

#include <sys/stat.h>

#include <filesystem>
#include <string>

#include "pronghorn/pronghorn.h"
#include "pronghorn/testing.h"
#include "support/catch.h"
#include "support/temp_dir.h"

using namespace pronghorn;
using namespace std::chrono_literals;

namespace {

const std::string kType = "multipart/form-data; boundary=XX";

std::string field(const std::string& name, const std::string& content) {
  return "--XX\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + content + "\r\n";
}
std::string file_part(const std::string& name, const std::string& filename, const std::string& content) {
  return "--XX\r\nContent-Disposition: form-data; name=\"" + name + "\"; filename=\"" + filename +
         "\"\r\nContent-Type: text/csv\r\n\r\n" + content + "\r\n";
}
const std::string kEnd = "--XX--\r\n";

// "name(filename, type)=content;" for each part.
Task<Response> list(Request& request) {
  std::string answer;
  Multipart form = co_await request.multipart();
  while (auto part = co_await form.next()) {
    answer += part->name();
    if (part->filename()) answer += "(" + *part->filename() + ", " + part->content_type() + ")";
    const std::string content = co_await part->body();
    answer += "=" + content + ";";
  }
  co_return text(answer);
}

Task<Response> names(Request& request) {
  std::string answer;
  Multipart form = co_await request.multipart({.parts = 3, .field_bytes = 10});
  while (auto part = co_await form.next()) answer += part->name() + ";";  // contents are skipped
  co_return text(answer);
}

// What /save does with a part.
std::string save_in;
std::string keep_at;

Task<Response> save(Request& request) {
  Multipart form = co_await request.multipart();
  auto part = co_await form.next();
  if (!part) throw bad_request("a file is missing");
  TemporaryFile file = co_await part->save(save_in);
  struct stat facts{};
  ::stat(file.path().c_str(), &facts);
  if ((facts.st_mode & 0777) != 0600) throw std::runtime_error("others may read the file");
  const std::string content = test::read_file(file.path());
  if (content.size() != file.size()) throw std::runtime_error("its size is wrong");
  if (!keep_at.empty()) file.keep(keep_at);
  co_return text(content);
}

Task<Response> sink(Request& request) {
  std::string first;
  std::string second;
  Multipart form = co_await request.multipart();
  auto part = co_await form.next();
  co_await part->write_to([&first](std::string_view piece) { first += piece; });
  part = co_await form.next();
  const auto slowly = [&second](std::string_view piece) -> Task<void> {
    co_await sleep_for(1ms);
    second += piece;
  };
  co_await part->write_to(slowly);
  co_return text(first + "|" + second);
}

Task<Response> stale(Request& request) {
  Multipart form = co_await request.multipart();
  auto first = co_await form.next();
  auto second = co_await form.next();
  co_return text(co_await first->body());
}

Task<Response> small(Request& request) {
  Multipart form = co_await request.multipart();
  auto part = co_await form.next();
  co_return text(co_await part->body(4));
}

void forms(App& app) {
  app.post("/list", list);
  app.post("/names", names);
  app.post("/save", save).max_body(16_MiB);
  app.post("/sink", sink);
  app.post("/stale", stale);
  app.post("/small", small);
}

}  // namespace

TEST_CASE("a handler gets the parts of a form one by one", "[multipart]") {
  TestClient client(forms);
  const auto answer = client.post(
      "/list", field("title", "hello") + file_part("f", "../a.csv", "1,2\r\n") + field("", "") + kEnd, kType);
  CHECK(answer.status == 200);
  CHECK(answer.body == "title=hello;f(../a.csv, text/csv)=1,2\r\n;=;");
  CHECK(client.post("/list", kEnd, kType).body.empty());
}

TEST_CASE("what a handler does not read of a part is skipped", "[multipart]") {
  TestClient client(forms);
  CHECK(client
            .post("/names", field("a", "1") + file_part("b", "", std::string(200'000, 'x')) + field("c", "2") + kEnd,
                  kType)
            .body == "a;b;c;");
}

TEST_CASE("a body is answered 415, 400 or 413 if it is not a form, malformed, or too large", "[multipart]") {
  TestClient client(forms);
  CHECK(client.post("/list", "a=b", "application/x-www-form-urlencoded").status == 415);
  CHECK(client.post("/list", kEnd, "multipart/mixed; boundary=XX").status == 415);
  CHECK(client.post("/list", kEnd, "multipart/form-data").status == 400);
  CHECK(client.post("/list", kEnd, "multipart/form-data; boundary=" + std::string(71, 'X')).status == 400);
  CHECK(client.post("/list", "", kType).status == 400);
  const auto early = client.post("/list", field("a", "1"), kType);
  CHECK(early.status == 400);
  CHECK(early.body.find("the form ends before its closing boundary") != std::string::npos);
  CHECK(client.post("/list", "--XX\r\nX: y\r\n\r\n" + kEnd, kType).status == 400);
  CHECK(client.post("/names", field("a", "1") + field("b", "1") + field("c", "1") + field("d", "1") + kEnd, kType)
            .status == 413);
  CHECK(client.post("/names", field("a", std::string(11, 'x')) + kEnd, kType).status == 413);
  CHECK(client.post("/small", field("a", "1234") + kEnd, kType).body == "1234");
  CHECK(client.post("/small", field("a", "12345") + kEnd, kType).status == 413);
}

TEST_CASE("a saved part is a file until the handler lets go of it", "[multipart]") {
  const test::TempDir folder;
  TestClient client(forms);
  save_in = folder.path();
  keep_at.clear();
  const std::string content(300'000, 'x');
  CHECK(client.post("/save", file_part("f", "a", content) + kEnd, kType).body == content);
  CHECK(std::filesystem::is_empty(save_in));
  CHECK(client.post("/save", file_part("f", "a", content).substr(0, 200'000), kType).status == 400);
  CHECK(std::filesystem::is_empty(save_in));
}

TEST_CASE("a saved part that is kept stays where it was put, and only there", "[multipart]") {
  const test::TempDir folder;
  TestClient client(forms);
  save_in = folder.path();
  keep_at = folder / "kept";
  CHECK(client.post("/save", file_part("f", "a", "content") + kEnd, kType).status == 200);
  CHECK(test::read_file(keep_at) == "content");
  const std::filesystem::directory_iterator files(save_in);
  CHECK(std::distance(begin(files), end(files)) == 1);
}

TEST_CASE("a part is passed to a function, which may wait", "[multipart]") {
  TestClient client(forms);
  CHECK(client.post("/sink", field("a", "one") + field("b", "two") + kEnd, kType).body == "one|two");
}

TEST_CASE("reading a part after the next was requested is an error of the application", "[multipart]") {
  TestClient client(forms);
  CHECK(client.post("/stale", field("a", "1") + field("b", "2") + kEnd, kType).status == 500);
}
