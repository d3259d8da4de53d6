#include "worker/state/quarantine/quarantine_gate.h"

#include "pronghorn/app.h"
#include "support/catch.h"
#include "worker/exchange/running.h"
#include "worker/http/response_access.h"
#include "worker/http1/parser/head_parser.h"
#include "worker/routing/served_app.h"

using namespace pronghorn;
using namespace pronghorn::worker;

namespace {

int handled = 0;

void shop(App& app) {
  app.use([](Request&) -> std::optional<Response> {
    ++handled;
    return std::nullopt;
  });
  app.use([](Request&, Response& response) { response.set("X-Shop", "open"); });
  app.get("/users/{id}", [](Request&) { return text("a user"); });
  app.get("/files/{path...}", [](Request&) { return text("a file"); });
  app.on_error([](Request&, const ErrorAnswer& error) { return text("sorry: " + error.detail, error.status); });
}

struct Answer final : ExchangeOwner {
  void respond(Exchange& exchange, Response&& response) override {
    exchange.responded = true;
    last = std::move(response);
  }
  void want_body(Exchange&) override {}
  Response last;
};

// A worker with `shop` and a table that a test fills.
struct Served {
  Scoreboard board = Scoreboard::create();
  WorkerRow& row = board.worker(0, 0);
  Config config;
  ServedApp application{config, row, shop};
  QuarantineGate gate{board.quarantine(), row};

  Served() { application.use_quarantine(gate); }

  QuarantineRow& quarantine(const QuarantinedRequest& request, std::uint64_t for_ms = 60'000) {
    QuarantineRow& entry = board.quarantine().rows[board.quarantine().count.load()];
    entry.request.set(to_text(request));
    entry.until_ms.store(monotonic_ms() + for_ms);
    board.quarantine().count.fetch_add(1);
    board.quarantine().version.fetch_add(1);
    return entry;
  }
  // Identifies a request from the line that the scoreboard records.
  QuarantinedRequest identified(std::string_view method, std::string_view path) {
    path = path.substr(0, kMaxRunningPath);
    return identify(method, application.route_of(method, path), path);
  }
  Response get(const std::string& path) {
    const std::string head = "GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n";
    Answer answer;
    Exchange exchange;
    exchange.owner = &answer;
    REQUIRE(parse_head(head, head.find('\r'), config.http, exchange.head).status == 0);
    application.handle(exchange);
    return std::move(answer.last);
  }
};

}  // namespace

TEST_CASE("requests are the same by method, route and shape", "[quarantine]") {
  const auto first = identify("GET", "/users/{id}", "/users/17");
  CHECK(first.id.size() == QuarantinedRequest::kIdSize);
  CHECK(first.route == "/users/{id}");
  CHECK(first.shape == "/users/N");
  CHECK(identify("GET", "/users/{id}", "/users/4711").id == first.id);
  CHECK(identify("HEAD", "/users/{id}", "/users/17").id != first.id);
  CHECK(identify("GET", "/{any}/{id}", "/users/17").id != first.id);
  CHECK(identify("GET", "/users/{id}", "/users/ada").id != first.id);
  CHECK(identify("GET", "", "/nowhere").route == "-");
}

TEST_CASE("the text that identifies a request is bounded", "[quarantine]") {
  const std::string path = "/" + std::string(189, '\x7f');
  const auto request = identify("PROPPATCHPROPPATCH", std::string(300, '{'), path);
  CHECK(to_text(request).size() <= 200);
  CHECK(parse_quarantined_request(to_text(request)));
  // The part that is truncated in the text still counts.
  CHECK(identify("GET", "/a", path + "x").id != identify("GET", "/a", path).id);
}

TEST_CASE("a quarantined request is refused before middleware and handler, through the error hook", "[quarantine]") {
  Served served;
  QuarantineRow& entry = served.quarantine(served.identified("GET", "/users/17"));
  handled = 0;
  Response refused = served.get("/users/4711");
  CHECK(refused.status() == 503);
  CHECK(ResponseAccess::body(refused) == "sorry: this request cannot be handled at the moment");
  CHECK(refused.header("X-Shop") == "open");
  CHECK(std::stoi(std::string(refused.header("Retry-After").value())) >= 58);
  CHECK(handled == 0);
  CHECK(entry.refused.load() == 1);
  CHECK(served.row[Count::quarantined].load() == 1);
  CHECK(served.get("/users/ada").status() == 200);
  CHECK(served.get("/files/17").status() == 200);
  CHECK(served.row[Count::quarantined].load() == 1);
}

TEST_CASE("a quarantined request that keeps killing is refused without any code of the application", "[quarantine]") {
  Served served;
  QuarantineRow& entry = served.quarantine(served.identified("GET", "/users/17"));
  entry.kills.store(3);
  CHECK(served.get("/users/17").header("X-Shop") == "open");
  entry.kills.store(4);
  Response refused = served.get("/users/17");
  CHECK(refused.status() == 503);
  CHECK(refused.content_type() == "application/problem+json");
  CHECK(ResponseAccess::body(refused).find("worker") == std::string::npos);
  CHECK_FALSE(refused.header("X-Shop"));
  CHECK(refused.header("Retry-After"));
}

TEST_CASE("a released request is handled again, and a new entry in its row takes effect", "[quarantine]") {
  Served served;
  QuarantineTable& table = served.board.quarantine();
  QuarantineRow& entry = served.quarantine(served.identified("GET", "/users/17"));
  CHECK(served.get("/users/17").status() == 503);
  entry.until_ms.store(0);
  table.count.store(0);
  table.version.fetch_add(1);
  CHECK(served.get("/users/17").status() == 200);
  served.quarantine(served.identified("GET", "/users/ada"));
  CHECK(served.get("/users/17").status() == 200);
  CHECK(served.get("/users/ada").status() == 503);
}

TEST_CASE("a path longer than the scoreboard records is quarantined too", "[quarantine]") {
  Served served;
  const std::string long_path = "/files/" + std::string(100, 'x') + "/" + std::string(300, 'y');
  served.quarantine(served.identified("GET", long_path));
  CHECK(served.get(long_path).status() == 503);
  CHECK(served.get(long_path.substr(0, 150)).status() == 200);
  // Truncated, it matches another route.
  const std::string user = "/users/" + std::string(300, 'c');
  served.quarantine(served.identified("GET", user));
  CHECK(served.get(user).status() == 503);
}

TEST_CASE("a request without a route is quarantined too, because the error hook may crash", "[quarantine]") {
  Served served;
  served.quarantine(served.identified("GET", "/nowhere"));
  Response refused = served.get("/nowhere");
  CHECK(refused.status() == 503);
  CHECK_FALSE(refused.header("X-Shop"));
}
