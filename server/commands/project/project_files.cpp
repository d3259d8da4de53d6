// What `pronghorn new` writes. @NAME@ is the project's name, @VERSION@ the major and minor version of this Pronghorn.
#include <array>

#include "common/version.h"
#include "server/commands/project/project.h"

namespace pronghorn::server {
namespace {

constexpr const char* kCMakeLists = R"TEMPLATE(cmake_minimum_required(VERSION 3.25)
project(@NAME@ LANGUAGES CXX)

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()
add_compile_options(-Wall -Wextra)

find_package(pronghorn @VERSION@ REQUIRED)
find_package(nlohmann_json REQUIRED)

# build/@NAME@.so, for `pronghorn serve`.
pronghorn_add_app(@NAME@ src/app.cpp)
target_link_libraries(@NAME@ PRIVATE nlohmann_json::nlohmann_json)

enable_testing()
add_executable(@NAME@_test tests/app_test.cpp src/app.cpp)
target_link_libraries(@NAME@_test PRIVATE pronghorn::pronghorn nlohmann_json::nlohmann_json)
add_test(NAME @NAME@_test COMMAND @NAME@_test)
)TEMPLATE";

constexpr const char* kAppHeader = R"TEMPLATE(#pragma once

#include <pronghorn/app.h>

// Adds every route of the application. The server calls it in each worker, tests call it in their own process.
void setup(pronghorn::App& app);
)TEMPLATE";

constexpr const char* kApp = R"TEMPLATE(#include "app.h"

#include <pronghorn/json.h>
#include <pronghorn/pronghorn.h>

#include <string>

using namespace pronghorn;
using namespace std::chrono_literals;

namespace {

// A plain handler answers at once. An invalid value is answered 400 with the reason: try /users/seven.
Response user(Request& request) {
  const auto id = request.param<int>("id");
  return json_response({{"id", id}});
}

// A coroutine may wait, here for Redis: whichever worker answers, even one that has just been restarted, the count
// continues.
Task<Response> visits(Request& request) {
  Session session = co_await request.session();
  const auto count = co_await session.increment("visits");
  co_return json_response({{"visits", count}});
}

Task<Response> echo(Request& request) {
  const auto body = co_await json_body(request);
  co_return json_response({{"received", body}});
}

}  // namespace

void setup(App& app) {
  // From [app] in pronghorn.toml.
  const std::string greeting = app.settings().get("greeting").value_or("Hello");

  app.get("/", [greeting](Request&) { return text(greeting + ", World!\n"); });
  app.get("/users/{id}", user);
  app.get("/visits", visits).limit(per_client(100, 1min));
  app.post("/echo", echo).max_body(64_KiB);
}

PRONGHORN_APP(app) { setup(app); }
)TEMPLATE";

constexpr const char* kTest =
    R"TEMPLATE(// The application's routes in this process, without sockets. TEST_REDIS (redis://… or unix:PATH) names a Redis that only
// tests use; without it, what needs a session answers 503.
#include <pronghorn/testing.h>

#include <cstdlib>
#include <iostream>
#include <string>

#include "../src/app.h"

namespace {

int failures = 0;

void check(bool promise_kept, const char* promise) {
  if (promise_kept) return;
  std::cerr << "FAILED: " << promise << '\n';
  ++failures;
}

}  // namespace

int main() {
  const char* redis = std::getenv("TEST_REDIS");
  pronghorn::TestOptions options;
  if (redis != nullptr) options.redis = redis;
  options.settings = {{"greeting", "Good day"}};
  pronghorn::TestClient client(setup, options);

  check(client.get("/").body == "Good day, World!\n", "the greeting comes from the settings");
  check(client.get("/users/7").body == R"({"id":7})", "a user is found by number");
  check(client.get("/users/seven").status == 400, "a user id that is not a number is refused");
  check(client.get("/nowhere").status == 404, "an unknown path is not found");
  check(client.post("/echo", R"({"a":1})").body == R"({"received":{"a":1}})", "echo sends back what it got");
  check(client.post("/echo", "{").status == 400, "malformed JSON is refused");
  if (redis != nullptr) {
    check(client.get("/visits").body == R"({"visits":1})", "the first visit counts");
    check(client.get("/visits").body == R"({"visits":2})", "the second visit of the same client is counted");
  } else {
    check(client.get("/visits").status == 503, "without Redis there are no sessions");
  }
  return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
)TEMPLATE";

constexpr const char* kReadme = R"TEMPLATE(# @NAME@

An application for the Pronghorn HTTP server.

    cmake -S . -B build && cmake --build build      # -DCMAKE_PREFIX_PATH=DIR if Pronghorn is not in a system directory
    ctest --test-dir build --output-on-failure
    pronghorn serve build/@NAME@.so

Then, from another terminal:

    curl http://127.0.0.1:8080/
    curl -c jar -b jar http://127.0.0.1:8080/visits    # counts up, whichever worker answers
    pronghorn status
    pronghorn reload --wait                            # after a new build: no request is lost

With https:

    pronghorn certificate --self-signed
    pronghorn serve build/@NAME@.so --listen https://127.0.0.1:8443 \
        --tls-certificate certificate.pem --tls-key certificate.key
    curl --cacert certificate.pem https://localhost:8443/

`src/app.cpp` holds the routes, `tests/app_test.cpp` their test, `pronghorn.toml` the configuration
(`pronghorn check build/@NAME@.so` prints what is in effect and where it comes from).
)TEMPLATE";

constexpr const char* kDockerfile = R"TEMPLATE(# docker build --build-context pronghorn=/path/to/pronghorn -t @NAME@ .
# docker run -p 8080:8080 -v @NAME@-data:/var/lib/pronghorn @NAME@
FROM debian:12 AS build
COPY --from=pronghorn . /src/pronghorn
RUN /src/pronghorn/scripts/setup \
 && cmake -S /src/pronghorn -B /build/pronghorn -G Ninja -DCMAKE_BUILD_TYPE=Release -DPRONGHORN_TESTS=OFF \
 && cmake --build /build/pronghorn \
 && cmake --install /build/pronghorn
COPY . /src/app
RUN cmake -S /src/app -B /build/app -G Ninja \
 && cmake --build /build/app \
 && ctest --test-dir /build/app --output-on-failure

FROM debian:12-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends \
      libuv1 libhiredis0.14 libfmt9 libspdlog1.10 libssl3 libtomlplusplus3 zlib1g libwslay1 libnghttp2-14 libbrotli1 \
      libzstd1 libdw1 redis-server \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --no-create-home @NAME@ \
 && install -d -o @NAME@ /var/lib/pronghorn /run/pronghorn
COPY --from=build /usr/local /usr/local
COPY --from=build /build/app/@NAME@.so /app/@NAME@.so
COPY pronghorn.toml /app/
RUN ldconfig
USER @NAME@
WORKDIR /app
ENV PRONGHORN_LISTEN=:8080 PRONGHORN_RUNTIME_DIR=/run/pronghorn PRONGHORN_DATA_DIR=/var/lib/pronghorn
EXPOSE 8080
VOLUME /var/lib/pronghorn
HEALTHCHECK CMD ["pronghorn", "status"]
CMD ["pronghorn", "serve", "@NAME@.so"]
)TEMPLATE";

constexpr const char* kConfiguration =
    R"TEMPLATE(# The command line (--listen) and the environment (PRONGHORN_LISTEN) win over this file.
# `pronghorn serve --help` lists every option, `pronghorn check` prints what is in effect.
listen = "127.0.0.1:8080"
workers = "auto"      # one per usable core
redis = "embedded"    # a private redis-server; or redis://[user:password@]host:port/database
# drain_timeout = "30s"
# max_body = "1MiB"

# Settings of the application itself: app.settings().get("greeting").
[app]
greeting = "Hello"
)TEMPLATE";

constexpr const char* kGitignore = "/build/\n/certificate.pem\n/certificate.key\n";

struct Template {
  const char* path;
  const char* text;
};
constexpr std::array<Template, 8> kTemplates{{{"CMakeLists.txt", kCMakeLists},
                                              {"src/app.h", kAppHeader},
                                              {"src/app.cpp", kApp},
                                              {"tests/app_test.cpp", kTest},
                                              {"README.md", kReadme},
                                              {"Dockerfile", kDockerfile},
                                              {"pronghorn.toml", kConfiguration},
                                              {".gitignore", kGitignore}}};

std::string replaced(std::string text, std::string_view what, std::string_view with) {
  for (std::size_t found = 0; (found = text.find(what, found)) != std::string::npos; found += with.size()) {
    text.replace(found, what.size(), with);
  }
  return text;
}

}  // namespace

std::vector<ProjectFile> project_files(std::string_view name) {
  const std::string_view version(kVersion);
  const std::string_view minor = version.substr(0, version.rfind('.'));
  std::vector<ProjectFile> files;
  for (const Template& file : kTemplates) {
    files.push_back({file.path, replaced(replaced(file.text, "@NAME@", name), "@VERSION@", minor)});
  }
  return files;
}

}  // namespace pronghorn::server
