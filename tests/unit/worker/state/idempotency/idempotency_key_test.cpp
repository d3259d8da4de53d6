#include "worker/state/idempotency/idempotency_key.h"

#include "support/catch.h"
#include "worker/exchange/exchange.h"

using namespace pronghorn;
using namespace pronghorn::worker;

namespace {

// A request with these fields, which must outlive it.
class FieldsOnly {
 public:
  FieldsOnly(std::string_view path, std::string_view query, std::initializer_list<Header> fields) {
    exchange_.head.clear();
    exchange_.head.path = path;
    exchange_.head.query = query;
    for (const Header& field : fields) exchange_.head.fields[exchange_.head.field_count++] = field;
  }
  [[nodiscard]] const Request& request() const noexcept { return exchange_.request; }

 private:
  Exchange exchange_;
};

std::string print_of(std::string_view path, std::string_view query, std::string_view type, std::string_view body) {
  return request_fingerprint(FieldsOnly(path, query, {{"Content-Type", type}}).request(), body);
}

std::string owner_of(std::initializer_list<Header> fields) {
  return credentials_of(FieldsOnly("/", "", fields).request(), "session");
}

}  // namespace

TEST_CASE("a key is the same text with and without quotation marks", "[idempotency]") {
  CHECK(parse_idempotency_key(R"("8e03978e-40d5-43dd-bc93-6894a57f9324")") == "8e03978e-40d5-43dd-bc93-6894a57f9324");
  CHECK(parse_idempotency_key("8e03978e-40d5-43dd-bc93-6894a57f9324") == "8e03978e-40d5-43dd-bc93-6894a57f9324");
  CHECK(parse_idempotency_key(" \"a\" ") == "a");
  CHECK(parse_idempotency_key(R"("a b,c;\"\\")") == R"(a b,c;"\)");
  CHECK(parse_idempotency_key(R"("a"; later=1)") == "a");
  CHECK(parse_idempotency_key("pay:7/8=+_") == "pay:7/8=+_");
  CHECK(parse_idempotency_key(std::string(255, 'k')) == std::string(255, 'k'));
  CHECK(parse_idempotency_key('"' + std::string(255, 'k') + '"') == std::string(255, 'k'));
}

TEST_CASE("malformed keys are refused", "[idempotency]") {
  for (const char* value :
       {"",         " ",        R"("")",    R"(")",         R"("a)",     R"(a")",       R"("a"b)",
        R"("a" b)", R"("a\b")", "\"a\\",    "a b",          "a,b",       "a;b",         R"(a\b)",
        "\"a\tb\"", "a\tb",     "\xc3\xa9", "\"\xc3\xa9\"", "\"a\x7f\"", R"("a", "b")", "\"\x01\""}) {
    CAPTURE(value);
    CHECK_FALSE(parse_idempotency_key(value));
  }
  CHECK_FALSE(parse_idempotency_key(std::string(256, 'k')));
  CHECK_FALSE(parse_idempotency_key('"' + std::string(256, 'k') + '"'));
  CHECK_FALSE(parse_idempotency_key(std::string_view("a\0b", 3)));
}

TEST_CASE("several keys in one request are refused", "[idempotency]") {
  const FieldsOnly none("/", "", {});
  CHECK_FALSE(idempotency_key(none.request()));
  const FieldsOnly one("/", "", {{"IDEMPOTENCY-KEY", "a"}});
  CHECK(idempotency_key(one.request()) == "a");
  const FieldsOnly two("/", "", {{"Idempotency-Key", "a"}, {"Idempotency-Key", "a"}});
  CHECK_THROWS_AS(idempotency_key(two.request()), HttpError);
}

TEST_CASE("fingerprints differ by target, media type and body, and in nothing else", "[idempotency]") {
  const std::string print = print_of("/orders", "a=1", "application/json", "{}");
  CHECK(print.size() == 64);
  CHECK(print == print_of("/orders", "a=1", "application/json", "{}"));
  CHECK(print != print_of("/orders/", "a=1", "application/json", "{}"));
  CHECK(print != print_of("/orders", "a=2", "application/json", "{}"));
  CHECK(print != print_of("/orders", "a=1", "text/plain", "{}"));
  CHECK(print != print_of("/orders", "a=1", "application/json", "{} "));
  // What is moved from one part to the next is not the same.
  CHECK(print_of("/a", "b", "", "c") != print_of("/ab", "", "", "c"));
  CHECK(print_of("/a", "", "b", "c") != print_of("/a", "", "", "bc"));
}

TEST_CASE("credentials are the Authorization fields and the session cookies", "[idempotency]") {
  CHECK(owner_of({}) == "-");
  CHECK(owner_of({{"Accept", "*/*"}, {"Cookie", "theme=dark"}}) == "-");
  const std::string ada = owner_of({{"Authorization", "Bearer a"}});
  CHECK(ada.size() == 32);
  CHECK(ada == owner_of({{"Accept", "*/*"}, {"authorization", "Bearer a"}}));
  CHECK(ada != owner_of({{"Authorization", "Bearer b"}}));
  CHECK(ada != owner_of({{"Authorization", "Bearer a"}, {"Cookie", "session=x"}}));
  CHECK(owner_of({{"Cookie", "session=x"}}) == owner_of({{"Cookie", "theme=dark; session=x"}}));
  CHECK(owner_of({{"Cookie", "session=x"}}) != owner_of({{"Cookie", "session=y"}}));
}
