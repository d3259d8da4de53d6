// Routes with cached(), with a real Redis.
#include <cstdlib>
#include <ctime>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "pronghorn/pronghorn.h"
#include "pronghorn/testing.h"
#include "support/catch.h"
#include "support/eventually.h"
#include "support/processes/redis_process.h"
#include "worker/fields/http_date.h"

using namespace pronghorn;
using namespace std::chrono_literals;
using pronghorn::test::RedisProcess;

namespace {

using Fields = std::vector<std::pair<std::string, std::string>>;

// An application with one cached route, whose responses are numbered, and the fields that they have.
class Site {
 public:
  explicit Site(CachedOptions options = {}) : options_(std::move(options)), client_(make()) {}

  TestResponse get(const std::string& target = "/page", const Fields& headers = {}) {
    return client_->get(target, headers);
  }
  TestResponse head(const std::string& target = "/page", const Fields& headers = {}) {
    return client_->request("HEAD", target, {}, headers);
  }
  // Whether the second of two requests is answered from the cache.
  bool keeps(const Fields& first = {}, const Fields& second = {}) {
    const std::string target = "/page?" + std::to_string(++targets_);
    const std::string body = get(target, first).body;
    return get(target, second).body == body;
  }
  // The same for responses with these fields.
  bool keeps_with(Fields response_fields, const Fields& request_fields = {}) {
    fields = std::move(response_fields);
    return keeps(request_fields, request_fields);
  }
  std::unique_ptr<TestClient> other_worker() { return make(); }

  const RedisProcess redis;
  Fields fields = {{"Cache-Control", "max-age=100"}};
  int status = 200;
  int runs = 0;
  std::function<void(Response&)> change = [](Response&) {};
  std::function<void(App&)> more = [](App&) {};

 private:
  std::unique_ptr<TestClient> make() {
    return std::make_unique<TestClient>(
        [this](App& app) {
          app.use([](Request&, Response& response) { response.set("X-After", "yes"); });
          app.get("/page", [this](Request& request) { return answer(request); }).cached(options_);
          app.get("/visits",
                  [this](Request& request) -> Task<Response> {
                    Session session = co_await request.session();
                    co_return answer(request);
                  })
              .cached(options_);
          app.get("/items/{id}", [this](Request& request) { return answer(request); }).cached(options_);
          for (const char* const method : {"POST", "PUT", "DELETE", "PATCH", "PURGE"}) {
            app.route(method, "/items/{name}", [](Request& request) {
              if (request.header("X-Throw")) throw bad_request("thrown");
              return Response(request.query<int>("s").value_or(204));
            });
          }
          app.post("/forget", [](Request& request) -> Task<Response> {
            co_await request.cache().invalidate_tag("pages");
            co_return no_content();
          });
        },
        TestOptions{.redis = redis.url()});
  }
  Response answer(Request& request) {
    ++runs;
    if (status == 0) throw not_found("thrown");
    Response response = text(std::to_string(runs) + " " + std::string(request.header("X-Kind").value_or("")), status);
    for (const auto& [name, value] : fields) response.append(name, value);
    change(response);
    return response;
  }

  CachedOptions options_;
  int targets_ = 0;
  std::unique_ptr<TestClient> client_;
};

}  // namespace

TEST_CASE("a cached route runs its handler once and says how old its response is", "[cache]") {
  Site site;
  const TestResponse first = site.get();
  CHECK(first.status == 200);
  CHECK(first.header("Age").empty());
  const TestResponse second = site.get();
  CHECK(second.body == first.body);
  CHECK(second.header("Age") == "0");
  CHECK(second.header("Cache-Control") == "max-age=100");
  CHECK(second.header("Content-Type") == "text/plain; charset=utf-8");
  CHECK(second.header("X-After") == "yes");
  CHECK(second.header("ETag") == first.header("ETag"));
  CHECK(site.other_worker()->get("/page").body == first.body);
  CHECK(site.get("/page?other").body != first.body);
  CHECK(site.runs == 2);
}

// It had the date on which it was sent again, so for other caches Expires came too early.
TEST_CASE("what comes from the cache has the date on which it was made", "[cache]") {
  Site site({.ttl = 100s});
  site.fields = {};
  site.get();
  const std::string key = site.redis.command({"KEYS", "test:c:r:*"});
  CHECK(site.redis.command({"PEXPIRE", key, "40000"}) == "1");
  const TestResponse kept = site.get();
  const std::time_t now = std::time(nullptr);
  const long age = std::stol(kept.header("Age"));
  CHECK(age >= 50);
  CHECK(std::abs(now - age - worker::parse_http_date(kept.header("Date")).value()) <= 2);

  const std::string date = worker::http_date(now - 10);
  site.fields = {{"Date", date}};
  site.get("/page?own");
  const TestResponse own = site.get("/page?own");
  CHECK(own.header("Date") == date);
  CHECK(std::stol(own.header("Age")) >= 10);
  CHECK_FALSE(site.keeps_with({{"Date", worker::http_date(now - 20)}, {"Cache-Control", "max-age=15"}}));
}

TEST_CASE("the options say how long a response is fresh that does not say it itself", "[cache]") {
  Site by_default({.ttl = 100s});
  CHECK(by_default.keeps_with({}));
  CHECK_FALSE(by_default.keeps_with({{"Cache-Control", "max-age=0"}}));
  Site by_fields;
  CHECK_FALSE(by_fields.keeps_with({}));
  CHECK(by_fields.keeps_with({{"Cache-Control", "max-age=0, s-maxage=10"}}));
  CHECK_FALSE(by_fields.keeps_with({{"Cache-Control", "max-age=10, s-maxage=0"}}));
  CHECK(by_fields.keeps_with({{"Expires", "Fri, 01 Jan 2100 00:00:00 GMT"}}));
  CHECK_FALSE(by_fields.keeps_with({{"Expires", "Sun, 06 Nov 1994 08:49:37 GMT"}}));
  CHECK_FALSE(by_fields.keeps_with({{"Expires", "0"}}));
  CHECK_FALSE(by_fields.keeps_with({{"Cache-Control", "max-age=0"}, {"Expires", "Fri, 01 Jan 2100 00:00:00 GMT"}}));
  CHECK_FALSE(by_fields.keeps_with({{"Cache-Control", "max-age=10"}, {"Age", "10"}}));
  // Of several fields the first counts.
  CHECK_FALSE(by_fields.keeps_with({{"Expires", "0"}, {"Expires", "Fri, 01 Jan 2100 00:00:00 GMT"}}));
  CHECK_FALSE(by_fields.keeps_with({{"Cache-Control", "max-age=10"}, {"Age", "10"}, {"Age", "0"}}));
  CHECK_FALSE(by_fields.keeps_with({{"Cache-Control", "max-age=10"}, {"Age", "10, 0"}}));
}

TEST_CASE("responses that a shared cache may not store are not stored", "[cache]") {
  Site site({.ttl = 100s});
  CHECK_FALSE(site.keeps_with({{"Cache-Control", "no-store"}}));
  CHECK_FALSE(site.keeps_with({{"Cache-Control", "max-age=9, no-cache"}}));
  CHECK_FALSE(site.keeps_with({{"Cache-Control", "private, max-age=9"}}));
  CHECK_FALSE(site.keeps_with({{"Cache-Control", "public"}, {"Set-Cookie", "a=b"}}));
  CHECK_FALSE(site.keeps_with({{"Cache-Control", "max-age=9, ext=\"a, no-store"}}));
  CHECK_FALSE(site.keeps_with({{"Vary", "*"}}));
  CHECK_FALSE(site.keeps_with({}, {{"Cache-Control", "no-store"}}));
  CHECK(site.keeps_with({}));
}

TEST_CASE("responses to requests with Authorization are only stored if they are public", "[cache]") {
  const Fields authorized = {{"Authorization", "Bearer x"}};
  Site site({.ttl = 100s});
  CHECK_FALSE(site.keeps_with({}, authorized));
  CHECK(site.keeps_with({{"Cache-Control", "public"}}, authorized));
  CHECK(site.keeps_with({{"Cache-Control", "s-maxage=9"}}, authorized));
  site.fields = {};
  CHECK_FALSE(site.keeps({}, authorized));
  CHECK_FALSE(site.keeps(authorized, {}));
  site.get("/page?both", authorized);  // does not switch off the cache for the others
  const std::string body = site.get("/page?both").body;
  CHECK(site.get("/page?both").body == body);
}

TEST_CASE("a response for which the session was read is not stored, unless it is public", "[cache]") {
  Site site({.ttl = 100s});
  site.fields = {};
  CHECK(site.get("/visits").body != site.get("/visits").body);
  site.fields = {{"Cache-Control", "public"}};
  CHECK(site.get("/visits?a").body == site.get("/visits?a").body);
}

TEST_CASE("only statuses that are cacheable by default are stored", "[cache]") {
  Site site({.ttl = 100s});
  for (const int status : {200, 203, 300, 301, 308, 404, 405, 410, 414, 501}) {
    site.status = status;
    CAPTURE(status);
    CHECK(site.keeps());
  }
  for (const int status : {201, 302, 303, 307, 400, 403, 429, 500, 503}) {
    site.status = status;
    CAPTURE(status);
    CHECK_FALSE(site.keeps());
  }
  site.status = 0;
  const int before = site.runs;
  CHECK(site.get("/page?thrown").status == 404);
  CHECK(site.get("/page?thrown").status == 404);
  CHECK(site.runs == before + 2);
}

TEST_CASE("streams, files and large bodies are sent and not stored", "[cache]") {
  Site site({.ttl = 100s, .max_body = 100});
  site.change = [](Response& response) { response.body(std::string(100, 'x')); };
  site.get("/page?fits");
  site.get("/page?fits");
  CHECK(site.runs == 1);
  site.change = [](Response& response) { response.body(std::string(101, 'x')); };
  CHECK(site.get("/page?large").body.size() == 101);
  CHECK(site.get("/page?large").body.size() == 101);
  CHECK(site.runs == 3);
  site.change = [](Response& response) {
    response = stream("text/plain", [](Writer& out) -> Task<void> { co_await out.write("streamed"); });
  };
  CHECK(site.get("/page?stream").body == "streamed");
  CHECK(site.get("/page?stream").body == "streamed");
  CHECK(site.runs == 5);
}

TEST_CASE("a resource that varies has a response for each kind of request", "[cache]") {
  Site site({.ttl = 100s});
  site.fields = {{"Vary", "X-Kind"}, {"Vary", "x-other"}};
  const auto body = [&](const std::string& kind) { return site.get("/page", {{"X-Kind", kind}}).body; };
  body("a");
  const std::string a = body("a");
  const std::string b = body("b");
  CHECK(a.ends_with(" a"));
  CHECK(b.ends_with(" b"));
  CHECK(body("a") == a);
  CHECK(body("b") == b);
  CHECK(site.get("/page", {{"X-Kind", "a"}, {"X-Other", "1"}}).body != a);
  CHECK(site.get("/page").body != a);
  CHECK(site.other_worker()->get("/page", {{"X-Kind", "a"}}).body == a);
  // A value cannot be made to look like two fields.
  CHECK(body("a\tx-other") != a);
}

// It was only learnt from the first response that the resource varies, and the second one ran the handler again.
TEST_CASE("the first response of a resource that varies is stored, too", "[cache]") {
  Site site({.ttl = 100s, .tags = {"pages"}});
  site.fields = {{"Vary", "X-Kind"}};
  const Fields kind = {{"X-Kind", "a"}};
  const std::string first = site.get("/page", kind).body;
  CHECK(site.get("/page", kind).body == first);
  CHECK(site.other_worker()->get("/page", kind).header("Age") == "0");
  CHECK(site.runs == 1);
  CHECK(site.get("/page", {{"X-Kind", "b"}}).body != first);
}

TEST_CASE("what is invalidated while the first response of a resource that varies is made is not stored", "[cache]") {
  Site site({.ttl = 100s, .tags = {"pages"}});
  site.fields = {{"Vary", "X-Kind"}};
  site.get("/page?other");  // the tag has a version
  auto other = site.other_worker();
  site.change = [&](Response&) {
    CHECK(site.redis.command({"DEL", "test:c:t:pages"}) == "1");
    site.change = [](Response&) {};
  };
  const std::string old = site.get().body;
  CHECK(site.get().body != old);
}

// RFC 9111 section 4.4. What PUT had changed was answered from the cache until its time was over.
TEST_CASE("a request with an unsafe method ends the responses for its URL, variants too", "[cache]") {
  Site site({.ttl = 100s});
  const Fields kind = {{"X-Kind", "a"}};
  for (const char* const method : {"POST", "PUT", "DELETE", "PATCH", "PURGE"}) {
    CAPTURE(method);
    site.fields = {{"Cache-Control", "max-age=100, public"}};
    const std::string plain = site.get("/items/1").body;
    const std::string authorized = site.get("/items/1", {{"Authorization", "Basic x"}}).body;
    const std::string other = site.get("/items/2").body;
    const std::string query = site.get("/items/1?q").body;
    site.fields = {{"Vary", "X-Kind"}};
    const std::string varied = site.get("/items/3", kind).body;
    REQUIRE(site.get("/items/1").body == plain);
    REQUIRE(site.get("/items/3", kind).body == varied);
    for (const char* const target : {"http://localhost/items/1", "/items/3"}) {  // the first as clients of proxies do
      CHECK(site.other_worker()->request(method, target).status == 204);
    }
    CHECK(site.get("/items/1").body != plain);
    CHECK(site.get("/items/1", {{"Authorization", "Basic x"}}).body != authorized);
    CHECK(site.get("/items/3", kind).body != varied);
    CHECK(site.get("/items/2").body == other);
    CHECK(site.get("/items/1?q").body == query);
    site.redis.command({"FLUSHALL"});
  }
}

TEST_CASE("a request with an unsafe method that fails, and one that is safe, ends nothing", "[cache]") {
  Site site({.ttl = 100s});
  const std::string body = site.get("/items/1").body;
  auto other = site.other_worker();
  CHECK(other->request("PUT", "/items/1?s=409").status == 409);
  CHECK(other->request("PUT", "/items/1", {}, {{"X-Throw", "1"}}).status == 400);
  CHECK(other->request("OPTIONS", "/items/1").status == 204);
  CHECK(site.get("/items/1").body == body);
}

// The version of the URL must not end before the response.
TEST_CASE("a response that stays fresh for longer than the route says is kept for that long", "[cache]") {
  Site site;
  site.fields = {{"Cache-Control", "max-age=100000"}};
  const std::string body = site.get("/items/1").body;
  CHECK(site.get("/items/1").body == body);
  const std::string version = site.redis.command({"KEYS", "test:c:u:*"});
  REQUIRE_FALSE(version.empty());
  CHECK(test::eventually(5s, [&] { return std::stol(site.redis.command({"PTTL", version})) > 89'000'000; }));
}

TEST_CASE("a resource that comes to vary otherwise is learnt anew", "[cache]") {
  Site site({.ttl = 100s});
  site.fields = {{"Vary", "X-Kind"}};
  site.get("/page", {{"X-Kind", "a"}});
  site.fields = {{"Vary", "Accept"}};
  site.get("/page", {{"X-Kind", "b"}});
  site.get("/page", {{"X-Kind", "c"}});
  const std::string body = site.get("/page", {{"X-Kind", "d"}}).body;
  CHECK(site.get("/page", {{"X-Kind", "e"}}).body == body);
}

TEST_CASE("a client that has the response already gets 304", "[cache]") {
  Site site({.ttl = 100s});
  site.fields = {{"Cache-Control", "max-age=100"}, {"Content-Language", "en"}, {"X-Own", "1"}};
  const std::string etag = site.get().header("ETag");
  CHECK(etag.size() == 34);
  for (const std::string& list : {etag, "W/" + etag, "\"other\", " + etag, std::string("*")}) {
    const TestResponse response = site.get("/page", {{"If-None-Match", list}});
    CHECK(response.status == 304);
    CHECK(response.body.empty());
    CHECK(response.header("ETag") == etag);
    CHECK(response.header("Cache-Control") == "max-age=100");
    CHECK(response.header("Age") == "0");
    CHECK(response.header("Content-Language").empty());
    CHECK(response.header("Content-Type").empty());
  }
  CHECK(site.get("/page", {{"If-None-Match", "\"other\""}}).status == 200);
  CHECK(site.runs == 1);

  site.fields = {{"ETag", "W/\"own\""}, {"Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT"}};
  CHECK(site.get("/page?a", {{"If-None-Match", "\"own\""}}).status == 304);  // also the response that is stored
  CHECK(site.get("/page?a").header("ETag") == "W/\"own\"");
  CHECK(site.get("/page?a", {{"If-None-Match", "\"own\""}}).status == 304);
  CHECK(site.get("/page?a", {{"If-Modified-Since", "Sun, 06 Nov 1994 08:49:37 GMT"}}).status == 304);
  CHECK(site.get("/page?a", {{"If-Modified-Since", "Sun, 06 Nov 1994 08:49:36 GMT"}}).status == 200);
  CHECK(site.get("/page?a", {{"If-Modified-Since", "Sun, 06 Nov 1994 08:49:37 GMT"}, {"If-Modified-Since", "x"}})
            .status == 200);
  const Fields both = {{"If-None-Match", "\"x\""}, {"If-Modified-Since", "Sun, 06 Nov 1994 08:49:37 GMT"}};
  CHECK(site.get("/page?a", both).status == 200);
}

TEST_CASE("the Cache-Control of a request is obeyed", "[cache]") {
  Site site({.ttl = 100s});
  const std::string first = site.get().body;
  CHECK(site.get("/page", {{"Cache-Control", "max-age=60"}}).body == first);
  CHECK(site.get("/page", {{"Cache-Control", "min-fresh=50"}}).body == first);
  CHECK(site.get("/page", {{"Cache-Control", "only-if-cached"}}).body == first);
  const std::string second = site.get("/page", {{"Cache-Control", "no-cache"}}).body;
  CHECK(second != first);
  CHECK(site.get().body == second);
  const std::string third = site.get("/page", {{"Cache-Control", "min-fresh=200"}}).body;
  CHECK(third != second);
  CHECK(site.get().body == third);
  CHECK(site.get("/page", {{"Cache-Control", "no-store"}}).body != third);
  CHECK(site.get().body == third);
  CHECK(site.get("/page?unknown", {{"Cache-Control", "only-if-cached"}}).status == 504);
  CHECK(site.get("/page", {{"Cache-Control", "only-if-cached, no-store"}}).status == 504);
  CHECK(site.get("/page", {{"Cache-Control", "only-if-cached"}, {"Range", "bytes=0-1"}}).status == 504);
}

TEST_CASE("the max-age of a request counts the age that a response came with", "[cache]") {
  Site site({.ttl = 100s});
  site.fields = {{"Cache-Control", "max-age=200"}, {"Age", "100"}};
  const std::string first = site.get().body;
  CHECK(site.get("/page", {{"Cache-Control", "max-age=150"}}).body == first);
  CHECK(site.get("/page", {{"Cache-Control", "max-age=50, only-if-cached"}}).status == 504);
  CHECK(site.get("/page", {{"Cache-Control", "max-age=50"}}).body != first);
  CHECK(site.get().body == first);
}

TEST_CASE("HEAD is answered from what GET has stored, and stores nothing itself", "[cache]") {
  Site site({.ttl = 100s});
  site.head();
  CHECK(site.runs == 1);
  const TestResponse got = site.get();
  CHECK(site.runs == 2);
  const TestResponse head = site.head();
  CHECK(head.status == 200);
  CHECK(head.header("ETag") == got.header("ETag"));
  CHECK(head.header("Age") == "0");
  CHECK(site.head("/page", {{"If-None-Match", got.header("ETag")}}).status == 304);
  CHECK(site.runs == 2);
}

TEST_CASE("requests for parts run the handler and leave the stored response alone", "[cache]") {
  Site site({.ttl = 100s});
  const std::string body = site.get().body;
  CHECK(site.get("/page", {{"Range", "bytes=0-0"}}).body != body);
  CHECK(site.get("/page", {{"If-Match", "\"a\""}}).body != body);
  CHECK(site.get().body == body);
}

TEST_CASE("a tag of the options invalidates the stored responses, variants too", "[cache]") {
  Site site({.ttl = 100s, .tags = {"pages"}});
  auto other = site.other_worker();
  const std::string plain = site.get().body;
  site.fields = {{"Vary", "X-Kind"}};
  site.get("/page?v");
  const std::string varied = site.get("/page?v").body;
  CHECK(site.get("/page?v").body == varied);
  CHECK(other->post("/forget").status == 204);
  CHECK(site.get().body != plain);
  CHECK(site.get("/page?v").body != varied);
}

TEST_CASE("the option key separates what the URL does not", "[cache]") {
  Site site({.ttl = 100s, .key = [](Request& request) { return std::string(request.header("X-Kind").value_or("")); }});
  const std::string a = site.get("/page", {{"X-Kind", "a"}}).body;
  CHECK(site.get("/page", {{"X-Kind", "b"}}).body != a);
  CHECK(site.get("/page", {{"X-Kind", "a"}}).body == a);
}

TEST_CASE("a key that reads like another key with a variant is a key of its own", "[cache]") {
  Site site({.ttl = 100s, .key = [](Request& request) {
               return std::string(request.header("X-Kind") == "evil" ? "a\nx-a\n=1\n" : "a");
             }});
  site.fields = {{"Vary", "X-A"}};
  const std::string a = site.get("/page", {{"X-A", "1"}}).body;
  CHECK(site.get("/page", {{"X-A", "1"}}).body == a);
  CHECK(site.get("/page", {{"X-Kind", "evil"}}).body != a);
}

TEST_CASE("past its time a response is used for all but the one that runs the handler", "[cache]") {
  Site site({.ttl = 100s, .stale = 50s});
  const std::string old = site.get().body;
  const std::string key = site.redis.command({"KEYS", "test:c:r:*"});
  CHECK(site.redis.command({"PEXPIRE", key, "49000"}) == "1");
  CHECK(site.get("/page", {{"Cache-Control", "only-if-cached"}}).body == old);
  CHECK(site.redis.command({"SET", key + ":l", "elsewhere:1:1/1", "PX", "60000"}) == "OK");  // another one runs it
  CHECK(site.get().body == old);
  CHECK(site.redis.command({"DEL", key + ":l"}) == "1");
  const std::string renewed = site.get().body;
  CHECK(renewed != old);
  CHECK(site.get().body == renewed);
  site.fields = {{"Cache-Control", "max-age=100, must-revalidate"}};
  site.get("/page?strict");
  CHECK(std::stol(site.redis.command({"PTTL", key})) > 100'000);
  bool found = false;
  for (const std::string& line : {site.redis.command({"KEYS", "test:c:r:*"})}) found = found || !line.empty();
  CHECK(found);
}

TEST_CASE("without Redis every request of a cached route runs its handler", "[cache]") {
  TestClient client([](App& app) {
    app.get("/page", [runs = 0](Request&) mutable { return text(std::to_string(++runs)); }).cached({.ttl = 10s});
  });
  CHECK(client.get("/page").body == "1");
  CHECK(client.get("/page").body == "2");
}

TEST_CASE("data of another form in Redis is replaced", "[cache]") {
  Site site({.ttl = 100s});
  const std::string first = site.get().body;
  const std::string key = site.redis.command({"KEYS", "test:c:r:*"});
  CHECK(site.redis.command({"SET", key, "nonsense"}) == "OK");
  const std::string second = site.get().body;
  CHECK(second != first);
  CHECK(site.get().body == second);
  CHECK(site.redis.command({"DEL", key}) == "1");
  CHECK(site.redis.command({"LPUSH", key, "x"}) == "1");
  const std::string third = site.get().body;
  CHECK(site.get().body == third);
}

TEST_CASE("cached() is for GET and refuses options out of range", "[cache]") {
  const auto refuses = [](const std::function<void(App&)>& setup) {
    CHECK_THROWS_AS(TestClient(setup), std::invalid_argument);
  };
  const auto page = [](Request&) { return text("x"); };
  refuses([&](App& app) { app.post("/x", page).cached({.ttl = 1s}); });
  refuses([&](App& app) { app.get("/x", page).cached({.ttl = -1s}); });
  refuses([&](App& app) { app.get("/x", page).cached({.ttl = 1s, .tags = {"t", ""}}); });
  refuses([&](App& app) { app.get("/x", page).cached({.ttl = 1s, .tags = {std::string(1025, 't')}}); });
  refuses([&](App& app) { app.get("/x", page).cached({.stale = 367 * 24h}); });
  refuses([&](App& app) { app.get("/x", page).cached({.tags = std::vector<std::string>(9, "t")}); });
}
