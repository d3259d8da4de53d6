// The option redirect_http.
#include "integration/tls/tls_files.h"
#include "support/catch.h"

using namespace pronghorn::test;

TEST_CASE("plain HTTP is redirected to the port of https, except for probes and certificate authorities", "[tls]") {
  const TlsFiles files;
  const ServerProcess server(files.options({"--redirect-http"}));
  const std::string port = std::to_string(server.address(1).port);
  HttpConnection client(server.address());
  for (const char* method : {"GET", "POST"}) {  // on one connection
    const HttpResponse response = client.request(method, "/a?b=c", {{"Host", "shop.example:80"}}, "");
    CHECK(response.status == 308);
    CHECK(response.header("Location") == "https://shop.example:" + port + "/a?b=c");
  }
  CHECK(get(server.address(), "/health").status == 200);
  CHECK(get(server.address(), "/.well-known/acme-challenge/token").status == 404);  // the application's answer
  // As a user does it.
  const ProgramResult curl =
      run_program({"curl", "--silent", "--show-error", "--location", "--cacert", files.certificate,
                   "http://localhost:" + std::to_string(server.address().port) + "/hello"});
  INFO(curl.all());
  CHECK(curl.out == "Hello, World!");
}

TEST_CASE("without the option plain HTTP is served beside https", "[tls]") {
  const TlsFiles files;
  const ServerProcess server(files.options());
  CHECK(get(server.address(), "/hello").status == 200);
}
