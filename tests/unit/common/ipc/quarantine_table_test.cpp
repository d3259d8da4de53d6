#include "common/ipc/quarantine_table.h"

#include "support/catch.h"

using namespace pronghorn;

TEST_CASE("a quarantined request is one line of text", "[quarantine]") {
  const QuarantinedRequest request{"0123456789abcdef", "GET", "/users/{id}", "/users/N"};
  CHECK(to_text(request) == "0123456789abcdef GET /users/{id} /users/N");
  const auto parsed = parse_quarantined_request(to_text(request));
  REQUIRE(parsed);
  CHECK(to_text(*parsed) == to_text(request));
  const auto notice = parse_quarantine_notice(to_text(QuarantineNotice{request, 1'700'000'000, 3}));
  REQUIRE(notice);
  CHECK(notice->since_at == 1'700'000'000);
  CHECK(notice->kills == 3);
  CHECK(notice->request.shape == "/users/N");
}

TEST_CASE("invalid text is not taken for a quarantined request", "[quarantine]") {
  const std::string id = "0123456789abcdef";
  for (const std::string& text : std::vector<std::string>{
           "", " ", id, id + " GET", id + " GET /a", id + " GET  /a", id + " GET /a /b c", "0123456789ABCDEF GET /a /b",
           "0123 GET /a /b", id + " GET /a /b\n", id + " GET /a\x1b /b", id + " GET /a " + std::string(97, 'a'),
           id + " GET " + std::string(65, 'a') + " /b"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_quarantined_request(text));
  }
  CHECK_FALSE(parse_quarantine_notice("-1 2 " + id + " GET /a /b"));
  CHECK_FALSE(parse_quarantine_notice("1 99999999999 " + id + " GET /a /b"));
  CHECK_FALSE(parse_quarantine_notice("1 " + id + " GET /a /b"));
}
