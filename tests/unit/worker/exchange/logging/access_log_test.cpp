#include "worker/exchange/logging/access_log.h"

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <regex>
#include <string>

#include "support/catch.h"
#include "support/temp_dir.h"
#include "unit/common/error_of.h"
#include "worker/exchange/exchange.h"
#include "worker/net/socket/tls_facts.h"

using namespace pronghorn;
using namespace pronghorn::worker;

namespace {

// The line of one request: GET /users/7?q="x from 192.0.2.1, answered 200 with 1234 bytes in 1.5 ms.
std::string line_in(const std::string& format, const std::string& log_format = "text", const TlsFacts* tls = nullptr) {
  const test::TempDir folder;
  Config config;
  config.access_log = folder / "access";
  config.access_log_format = format;
  config.log_format = log_format;
  {
    AccessLog log(config);
    const Peer peer{.client = {"192.0.2.1", 5000}, .tls = tls};
    Exchange exchange;
    exchange.peer = &peer;
    exchange.head.method = "GET";
    exchange.head.target = "/users/7?q=\"x";
    exchange.head.path = "/users/7";
    exchange.head.query = "q=\"x";
    exchange.head.has_query = true;
    exchange.route = "/users/{id}";
    exchange.head.fields[0] = {"User-Agent", "curl/8\x1b[2J"};
    exchange.head.field_count = 1;
    log.add(exchange, 200, 1234, 1'500);
    log.flush();
  }
  std::ifstream file(config.access_log);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

TEST_CASE("the access log in the combined format is what log analysers read", "[access_log]") {
  const std::string line = line_in("combined");
  CAPTURE(line);
  CHECK(std::regex_match(line, std::regex(R"(192\.0\.2\.1 - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000\] )"
                                          R"("GET /users/7\?q=\\"x HTTP/1\.1" 200 1234 "-" "curl/8\\u001b\[2J"\n)")));
}

TEST_CASE("the access log follows a pattern", "[access_log]") {
  CHECK(line_in("%m %U%q %R %s %D %T %H %{x-none}i 100%%") ==
        "GET /users/7?q=\\\"x /users/{id} 200 1500 0.002 HTTP/1.1 - 100%\n");
}

TEST_CASE("a request whose head could not be read leaves no gap in its line", "[access_log]") {
  const test::TempDir folder;
  Config config;
  config.access_log = folder / "access";
  config.access_log_format = "%m %U \"%r\" %s";
  const Peer peer{.client = {"192.0.2.1", 5000}};
  Exchange exchange;
  exchange.peer = &peer;
  {
    AccessLog log(config);
    log.add(exchange, 400, 300, 20);
    log.flush();
  }
  CHECK(test::read_file(config.access_log) == "- - \"-\" 400\n");
}

TEST_CASE("the access log is JSON by its own format or by that of the log", "[access_log]") {
  for (const std::string& line : {line_in("json"), line_in("", "json")}) {
    const auto entry = nlohmann::json::parse(line);
    CHECK(entry.at("target") == "/users/7?q=\"x");
    CHECK(entry.at("status") == 200);
    CHECK(entry.at("request_id").get<std::string>().size() == 24);
  }
  CHECK(line_in("text", "json").front() != '{');
}

TEST_CASE("the access log can tell version and cipher of TLS", "[access_log]") {
  TlsFacts tls;
  tls.version = "TLSv1.3";
  tls.cipher = "TLS_AES_128_GCM_SHA256";
  CHECK(line_in("%s %{SSL_PROTOCOL}x %{SSL_CIPHER}x", "text", &tls) == "200 TLSv1.3 TLS_AES_128_GCM_SHA256\n");
  CHECK(line_in("%s %{SSL_PROTOCOL}x %{SSL_CIPHER}x") == "200 - -\n");
  CHECK(nlohmann::json::parse(line_in("json", "text", &tls)).at("tls_version") == "TLSv1.3");
  CHECK_FALSE(nlohmann::json::parse(line_in("json")).contains("tls_version"));
}

TEST_CASE("an access log pattern with an unknown directive is refused by name", "[access_log]") {
  CHECK(contains(error_of([] { (void)parse_access_log_pattern("%h %Z"); }), "%Z"));
  CHECK(contains(error_of([] { (void)parse_access_log_pattern("%{Host}x"); }), "%{Host}x"));
  CHECK(contains(error_of([] { (void)parse_access_log_pattern("100%"); }), "unknown directive"));
  CHECK(contains(error_of([] { (void)parse_access_log_pattern("%{Host"); }), "unknown directive"));
}
