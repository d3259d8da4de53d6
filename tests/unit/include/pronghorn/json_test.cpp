#include "pronghorn/json.h"

#include <cstdint>
#include <string>
#include <vector>

#include "pronghorn/app.h"
#include "pronghorn/testing.h"
#include "support/catch.h"

using json = nlohmann::json;  // beside the using-directive below, as in many applications
using namespace pronghorn;

namespace shop {

struct Order {
  std::string item;
  int count = 0;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Order, item, count)

enum class Size : std::uint8_t { small, medium, large };
enum class Colour { red, green };
NLOHMANN_JSON_SERIALIZE_ENUM(Colour, {{Colour::red, "red"}, {Colour::green, 5'000'000'000}})

Task<Response> echo(Request& request) {
  const json body = co_await json_body(request);
  co_return json_response(body);
}
Task<Response> missing_in_const(Request& request) {
  const auto body = co_await json_body(request);
  co_return text(body["item"].get<std::string>());
}
Task<Response> missing_in_mutable(Request& request) {
  auto body = co_await json_body(request);
  co_return text(body["item"].get<std::string>());
}
Task<Response> missing_with_at(Request& request) {
  const auto body = co_await json_body(request);
  co_return text(body.at("item").get<std::string>());
}
Task<Response> missing_below(Request& request) {
  const auto body = co_await json_body(request);
  co_return text(body["order"]["item"]["name"].get<std::string>());
}
Task<Response> element(Request& request) {
  const auto body = co_await json_body(request);
  co_return text(body.at("items").at(0).get<std::string>());
}
Task<Response> first(Request& request) {
  const auto body = co_await json_body(request);
  co_return text(body.at("items").front().get<std::string>());
}
Task<Response> last(Request& request) {
  const auto body = co_await json_body(request);
  const auto& items = body.at("items");
  co_return text(items.at(items.size() - 1).get<std::string>());
}
template <class Enum>
Task<Response> enumerator(Request& request) {
  const json body = co_await json_body(request);
  co_return text(std::to_string(static_cast<int>(body.at("n").get<Enum>())));
}
template <class Number>
Task<Response> number(Request& request) {
  const json body = co_await json_body(request);
  const Number value = body.at("n").get<Number>();
  co_return json_response({{"n", value}});
}
Task<Response> numbers(Request& request) {
  const auto values = co_await json_body<std::vector<short>>(request);
  co_return json_response(values);
}
Task<Response> typed(Request& request) {
  const auto order = co_await json_body<Order>(request);
  co_return text(order.item + " x" + std::to_string(order.count));
}
Task<Response> own_mistake(Request& request) {
  static_cast<void>(co_await json_body(request));
  throw std::out_of_range("a mistake of the application");
}
Response not_of_the_client(Request&) { return text(json::object().at("x").get<std::string>()); }

void setup(App& app) {
  app.post("/echo", echo);
  app.post("/const", missing_in_const);
  app.post("/mutable", missing_in_mutable);
  app.post("/at", missing_with_at);
  app.post("/below", missing_below);
  app.post("/element", element);
  app.post("/first", first);
  app.post("/last", last);
  app.post("/int", number<int>);
  app.post("/unsigned", number<unsigned>);
  app.post("/int64", number<std::int64_t>);
  app.post("/uint64", number<std::uint64_t>);
  app.post("/char", number<signed char>);
  app.post("/float", number<float>);
  app.post("/double", number<double>);
  app.post("/size", enumerator<Size>);
  app.post("/colour", enumerator<Colour>);
  app.post("/numbers", numbers);
  app.post("/typed", typed);
  app.post("/own-mistake", own_mistake);
  app.post("/not-of-the-client", not_of_the_client);
}

}  // namespace shop

namespace {

std::string detail_of(const TestResponse& response) {
  CHECK(response.status == 400);
  return json::parse(response.body).value("detail", "");
}

std::string nested(std::size_t depth, char open, char close) {
  return std::string(depth, open) + std::string(depth, close);
}

}  // namespace

TEST_CASE("a JSON body comes through as it was sent", "[json]") {
  TestClient client(shop::setup);
  for (const char* body : {"null", "true", "-7", "18446744073709551615", "1.5", R"("\u00e9\n")", "[]", "{}", " [1] ",
                           R"([1,[2,{"a":[]}],{"b":{"c":null}}])", R"({"a":{"b":[1,2]},"c":"d"})"}) {
    INFO(body);
    const auto response = client.post("/echo", body);
    CHECK(response.status == 200);
    CHECK(json::parse(response.body) == json::parse(body));
  }
  CHECK(client.post("/echo", R"({"a":[1,2],"a":{"b":3}})").body == R"({"a":{"b":3}})");  // the last one counts
}

TEST_CASE("a body that is not JSON is 400 and says where", "[json]") {
  TestClient client(shop::setup);
  CHECK(detail_of(client.post("/echo", "{\"a\":}")) == "the body is not valid JSON: error at byte 6");
  for (const char* body : {"", "{", "[1,]", "{\"a\" 1}", "[1] 2", "nul", "\"\xff\"", "{\"a\":1,}", "'a'"}) {
    INFO(body);
    CHECK_THAT(detail_of(client.post("/echo", body)), Catch::StartsWith("the body is not valid JSON"));
  }
  // The parser takes NUL for the end of the text.
  for (const auto body : {std::string_view("[1]\0", 4), std::string_view("[1]\0x", 5)}) {
    CHECK(detail_of(client.post("/echo", body)) == "the body is not valid JSON: error at byte 4");
  }
  CHECK(detail_of(client.post("/echo", "[1e999]")) == "the JSON body has a number that is out of range");
}

TEST_CASE("JSON may be nested 128 levels deep and no deeper", "[json]") {
  TestClient client(shop::setup);
  CHECK(client.post("/echo", nested(128, '[', ']')).status == 200);
  CHECK(detail_of(client.post("/echo", nested(129, '[', ']'))) == "the JSON body is nested deeper than 128 levels");
  CHECK(client.post("/echo", std::string(500'000, '[')).status == 400);
}

// A missing member ended the worker with SIGABRT, or was undefined behaviour in a release build.
TEST_CASE("a handler that uses a member that the client omitted answers 400", "[json]") {
  TestClient client(shop::setup);
  CHECK(detail_of(client.post("/const", "{}")) == "the JSON body lacks a member that is required");
  CHECK(detail_of(client.post("/mutable", "{}")) == "the JSON body: type must be string, but is null");
  CHECK(detail_of(client.post("/at", "{}")) == "the JSON body: key 'item' not found");
  CHECK(detail_of(client.post("/below", "{}")) == "the JSON body lacks a member that is required");
  CHECK(detail_of(client.post("/below", R"({"order":{"item":[]}})")) ==
        "the JSON body: cannot use operator[] with a string argument with array");
  CHECK(detail_of(client.post("/element", R"({"items":[]})")) == "the JSON body: array index 0 is out of range");
  for (const char* path : {"/const", "/mutable", "/at", "/below", "/element"}) {
    for (const char* body : {"[]", "7", "null", "\"text\"", R"({"item":7,"order":7,"items":{}})"}) {
      INFO(path << " " << body);
      CHECK(client.post(path, body).status == 400);
    }
  }
  CHECK(client.post("/const", R"({"item":"hat"})").body == "hat");
}

TEST_CASE("json_body<T> reads a type of the application's, or answers 400", "[json]") {
  TestClient client(shop::setup);
  CHECK(client.post("/typed", R"({"item":"hat","count":2})").body == "hat x2");
  CHECK(detail_of(client.post("/typed", R"({"item":"hat"})")) == "the JSON body: key 'count' not found");
  CHECK(detail_of(client.post("/typed", R"({"item":"hat","count":"two"})")) ==
        "the JSON body: type must be number, but is string");
  CHECK(client.post("/typed", "[]").status == 400);
}

TEST_CASE("a handler that takes the first or last element of an empty array answers 400", "[json]") {
  TestClient client(shop::setup);
  for (const char* path : {"/first", "/last"}) {
    CHECK(client.post(path, R"({"items":[]})").status == 400);
    CHECK(client.post(path, R"({"items":["hat"]})").body == "hat");
  }
}

// 4294967297 was 1.
TEST_CASE("a number that the handler's type cannot hold is 400, and the largest that it can is not", "[json]") {
  TestClient client(shop::setup);
  const auto status = [&](const std::string& path, const std::string& value) {
    return client.post(path, R"({"n":)" + value + "}").status;
  };
  CHECK(detail_of(client.post("/int", R"({"n":4294967297})")) == "the JSON body: number 4294967297 is out of range");
  for (const char* value : {"2147483648", "-2147483649", "9223372036854775808", "2147483648.0", "-1e10", "1e300"}) {
    INFO(value);
    CHECK(status("/int", value) == 400);
  }
  for (const char* value : {"2147483647", "-2147483648", "2147483647.0", "0", "-0.0", "1e3"}) {
    INFO(value);
    CHECK(status("/int", value) == 200);
  }
  CHECK(status("/unsigned", "-1") == 400);
  CHECK(status("/unsigned", "4294967295") == 200);
  CHECK(status("/unsigned", "4294967296") == 400);
  CHECK(status("/int64", "9223372036854775807") == 200);
  CHECK(status("/int64", "9223372036854775808") == 400);
  CHECK(status("/int64", "9223372036854775808.0") == 400);
  CHECK(status("/uint64", "18446744073709551615") == 200);
  CHECK(status("/uint64", "-1") == 400);
  CHECK(status("/uint64", "18446744073709551616") == 400);
  CHECK(status("/char", "127") == 200);
  CHECK(status("/char", "128") == 400);
  CHECK(status("/float", "1e38") == 200);
  CHECK(status("/float", "1e39") == 400);
  CHECK(status("/double", "1e308") == 200);
  CHECK(client.post("/numbers", "[1,32767]").status == 200);
  CHECK(client.post("/numbers", "[1,32768]").status == 400);
  CHECK(client.post("/typed", R"({"item":"hat","count":4294967297})").status == 400);
}

// 1.5 was 1, and true was 1.
TEST_CASE("what is no whole number is no integer, and a boolean is no number", "[json]") {
  TestClient client(shop::setup);
  CHECK(detail_of(client.post("/int", R"({"n":1.5})")) == "the JSON body: number 1.5 is not a whole number");
  CHECK(detail_of(client.post("/int", R"({"n":true})")) == "the JSON body: type must be number, but is boolean");
  for (const char* path : {"/int", "/unsigned", "/int64", "/uint64", "/char"}) {
    for (const char* body : {R"({"n":0.5})", R"({"n":-0.5})", R"({"n":1e-300})", R"({"n":false})"}) {
      INFO(path << " " << body);
      CHECK(client.post(path, body).status == 400);
    }
    CHECK(client.post(path, R"({"n":2.0})").body == R"({"n":2})");
  }
  CHECK(client.post("/double", R"({"n":1.5})").body == R"({"n":1.5})");
  CHECK(client.post("/double", R"({"n":true})").status == 400);
  CHECK(client.post("/numbers", "[1,2.5]").status == 400);
  CHECK(client.post("/typed", R"({"item":"hat","count":1.5})").status == 400);
}

// 258 was Size::large.
TEST_CASE("a number that an enumeration's type cannot hold is 400", "[json]") {
  TestClient client(shop::setup);
  CHECK(detail_of(client.post("/size", R"({"n":258})")) == "the JSON body: number 258 is out of range");
  for (const char* body : {R"({"n":-1})", R"({"n":1.5})", R"({"n":true})", R"({"n":"2"})"}) {
    INFO(body);
    CHECK(client.post("/size", body).status == 400);
  }
  CHECK(client.post("/size", R"({"n":2})").body == "2");
  CHECK(client.post("/colour", R"({"n":"red"})").body == "0");
  CHECK(client.post("/colour", R"({"n":5000000000})").body == "1");
}

TEST_CASE("an exception that does not concern the client's JSON stays a 500", "[json]") {
  TestClient client(shop::setup);
  CHECK(client.post("/own-mistake", "{}").status == 500);
  CHECK(client.post("/not-of-the-client", "{}").status == 500);
}

TEST_CASE("an object of plain values is written as nlohmann-json writes it", "[json]") {
  const std::string name = "name", text = "a \"b\" \\ \n \x7f \xc3\xa9 \xff";
  const auto written = [](const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); };
  CHECK(json_response({{"b", 1}, {"a", true}, {name, std::string_view("x")}, {"", text}}).body() ==
        written({{"b", 1}, {"a", true}, {name, "x"}, {"", text}}));
  CHECK(json_response({{text, INT64_MIN}, {"max", UINT64_MAX}, {"small", std::int8_t{-1}}, {"no", false}}).body() ==
        written({{text, INT64_MIN}, {"max", UINT64_MAX}, {"small", std::int8_t{-1}}, {"no", false}}));
  CHECK(json_response({{"same", 1}, {"same", 2}}).body() == written({{"same", 1}, {"same", 2}}));
  CHECK(json_response({}).body() == written({}));
  CHECK(json_response({{"id", 7}}, 201).status() == 201);
  CHECK(json_response({{"id", 7}}).header("Content-Type") == "application/json");
}

TEST_CASE("what is no object of plain values is left to nlohmann-json", "[json]") {
  CHECK(json_response({{"tags", {"a", "b"}}, {"n", 1}}).body() == R"({"n":1,"tags":["a","b"]})");
  CHECK(json_response({{"one", {1}}}).body() == R"({"one":[1]})");
  CHECK(json_response({{"half", 0.5}, {"n", 1}}).body() == R"({"half":0.5,"n":1})");
  CHECK(json_response({{"null", nullptr}}).body() == R"({"null":null})");
  CHECK(json_response({{"value", json("text")}}).body() == R"({"value":"text"})");
  CHECK(json_response({{0, 1}, {2, 3}}).body() == "[[0,1],[2,3]]");
  CHECK(json_response({"a", "b"}).body() == R"(["a","b"])");
}

TEST_CASE("text that is not UTF-8 is sent with replacement characters", "[json]") {
  CHECK(json_response({{"a", "\xff"}}).body() == "{\"a\":\"\xEF\xBF\xBD\"}");
  CHECK(json_response({1, 2}, 201).status() == 201);
}
