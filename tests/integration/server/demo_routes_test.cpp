// Each route of examples/demo that needs no state, as a client sees it.
#include "support/catch.h"
#include "support/paths.h"
#include "support/processes/server_process.h"

using namespace pronghorn::test;

TEST_CASE("GET /hello answers text with the fields that every response has", "[demo]") {
  const ServerProcess server({.workers = 1});
  const HttpResponse response = get(server.address(), "/hello");
  CHECK(response.status == 200);
  CHECK(response.reason == "OK");
  CHECK(response.version == "HTTP/1.1");
  CHECK(response.body == "Hello, World!");
  CHECK(response.header("Content-Type") == "text/plain; charset=utf-8");
  CHECK(response.header("Content-Length") == "13");
  CHECK(response.header("Date").ends_with(" GMT"));
  CHECK(response.has("Server"));
}

TEST_CASE("JSON, parameters and bodies are read and written", "[demo]") {
  const ServerProcess server({.workers = 1});
  HttpConnection connection(server.address());
  const HttpResponse json = connection.get("/json");
  CHECK(json.json() == nlohmann::json{{"message", "Hello, World!"}});
  CHECK(json.header("Content-Type").starts_with("application/json"));
  CHECK(connection.get("/users/7").json() == nlohmann::json{{"id", 7}});
  CHECK(connection.get("/users/-7").json() == nlohmann::json{{"id", -7}});
  const HttpResponse echo = connection.request("POST", "/echo", {{"Content-Type", "text/x-mine"}}, "what was sent");
  CHECK(echo.body == "what was sent");
  CHECK(echo.header("Content-Type") == "text/x-mine");
  const std::string binary("\0\r\n\xff", 4);
  CHECK(connection.request("POST", "/echo", {}, binary).body == binary);
}

TEST_CASE("JSON with a number that no double holds is answered 400", "[demo]") {
  const ServerProcess server({.workers = 1});
  const Headers json{{"Content-Type", "application/json"}};
  CHECK(post(server.address(), "/login", R"({"user":1e999})", json).status == 400);
}

TEST_CASE("a parameter that is not a number is answered 400 by name", "[demo]") {
  const ServerProcess server({.workers = 1});
  for (const char* bad :
       {"/users/x", "/users/7x", "/users/99999999999999999999", "/users/%2B7", "/users/1.5", "/users/%ff",
        "/users/a%c3%a9a%c3%a9a%c3%a9a%c3%a9a%c3%a9a%c3%a9a%c3%a9a%c3%a9a%c3%a9a%c3%a9a%c3%a9"}) {
    INFO(bad);
    const HttpResponse response = get(server.address(), bad);
    CHECK(response.status == 400);
    CHECK(response.header("Content-Type") == "application/problem+json");
    CHECK(response.json().at("detail").get<std::string>().find("id") != std::string::npos);
  }
}

TEST_CASE("an unknown path is 404, a wrong method 405 with Allow", "[demo]") {
  const ServerProcess server({.workers = 1});
  HttpConnection connection(server.address());
  const HttpResponse missing = connection.get("/nothing");
  CHECK(missing.status == 404);
  CHECK(missing.header("Content-Type") == "application/problem+json");
  CHECK(missing.json().at("status") == 404);
  CHECK(connection.get("/users").status == 404);
  CHECK(connection.get("/users/7/more").status == 404);
  CHECK(connection.get("/HELLO").status == 404);

  const HttpResponse wrong = connection.request("POST", "/hello");
  CHECK(wrong.status == 405);
  CHECK(wrong.header("Allow").find("GET") != std::string::npos);
  CHECK(wrong.header("Allow").find("HEAD") != std::string::npos);
  const HttpResponse get_of_post = connection.get("/echo");
  CHECK(get_of_post.status == 405);
  CHECK(get_of_post.header("Allow").find("POST") != std::string::npos);
}

TEST_CASE("every request has an id of its own in its error", "[demo]") {
  const ServerProcess server({.workers = 1});
  HttpConnection connection(server.address());
  const auto first = connection.get("/users/x").json();
  const auto second = connection.get("/users/x").json();
  const auto id = [](const nlohmann::json& problem) {
    for (const auto& [key, value] : problem.items()) {
      if (key.find("id") != std::string::npos && value.is_string()) return value.get<std::string>();
    }
    return std::string();
  };
  CHECK(id(first).size() == 24);
  CHECK(id(first) != id(second));
}

TEST_CASE("the page at / is HTML and reaches every route", "[demo]") {
  const ServerProcess server({.workers = 1});
  const HttpResponse page = get(server.address(), "/");
  CHECK(page.status == 200);
  CHECK(page.header("Content-Type") == "text/html; charset=utf-8");
  CHECK(get(server.address(), "/demo.css").header("Content-Type") == "text/css; charset=utf-8");
  for (const char* route : {"/hello", "/json", "/users/", "/echo", "/visits", "/login", "/me", "/logout", "/limited",
                            "/orders", "/cached/", "/slow", "/stream", "/upload", "/crash", "/status"}) {
    INFO(route);
    CHECK(page.body.find(route) != std::string::npos);
  }
}

TEST_CASE("files are served with a validator, and nothing outside their folder", "[demo]") {
  const ServerProcess server({.workers = 1});
  HttpConnection connection(server.address());
  const HttpResponse file = connection.get("/files/index.html");
  CHECK(file.status == 200);
  CHECK(file.header("Content-Type").starts_with("text/html"));
  CHECK(file.body == read_file(build_path("/examples/public/index.html")));
  REQUIRE(file.has("ETag"));
  CHECK(connection.get("/files/index.html", {{"If-None-Match", file.header("ETag")}}).status == 304);
  const HttpResponse part = connection.get("/files/index.html", {{"Range", "bytes=0-9"}});
  CHECK(part.status == 206);
  CHECK(part.body == file.body.substr(0, 10));
  for (const char* outside : {"/files/../demo.so", "/files/%2e%2e/demo.so", "/files/..%2fdemo.so", "/files/%00",
                              "/files/nothing.txt", "/files//etc/passwd", "/files/.hidden"}) {
    INFO(outside);
    const int status = connection.get(outside).status;
    CHECK((status == 404 || status == 400));
    connection = HttpConnection(server.address());
  }
}

TEST_CASE("an exception in a handler is a 500 without details, and the worker keeps running", "[demo][crash]") {
  const ServerProcess server({.workers = 1});
  const auto pids = server.worker_pids();
  HttpConnection connection(server.address());
  const HttpResponse response = connection.request("POST", "/crash?how=throw");
  CHECK(response.status == 500);
  CHECK(response.header("Content-Type") == "application/problem+json");
  CHECK(response.body.find("on purpose") == std::string::npos);
  CHECK(connection.get("/hello").status == 200);
  CHECK(server.worker_pids() == pids);
  const auto lines = server.log_lines("thrown on purpose");
  REQUIRE(lines.size() == 1);
  // The id in the answer finds the line in the log.
  bool found = false;
  const auto problem = response.json();
  for (const auto& [key, value] : problem.items()) {
    found |= value.is_string() && value.get<std::string>().size() == 24 &&
             lines[0].find(value.get<std::string>()) != std::string::npos;
  }
  CHECK(found);
}
