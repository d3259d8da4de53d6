// Who the client is, by its certificate; and which certificate the server shows, by the name asked for.
#include <string>
#include <utility>

#include "support/catch.h"
#include "support/processes/server_process.h"
#include "support/tls/issued.h"
#include "support/tls/tls_client.h"

using namespace pronghorn::test;

namespace {

struct Authorities {
  TempDir folder;
  Issued authority = issue({.names = {}, .common_name = "authority", .authority = true});
  Issued alice = issue({.names = {}, .common_name = "alice", .issuer = &authority});
  Issued stranger = issue({.names = {}, .common_name = "stranger"});

  [[nodiscard]] ServerOptions options(const std::string& mode) const {
    write_file(folder / "server.pem", issue({.names = {"localhost"}}).both());
    write_file(folder / "authority.pem", authority.certificate);
    return {.app = app_path("apps/origin"),
            .listen = {"127.0.0.1:0", "https://127.0.0.1:0"},
            .arguments = {"--tls-certificate", folder / "server.pem", "--tls-client-ca", folder / "authority.pem",
                          "--tls-client-certificates", mode}};
  }
};

// The answer to /whom, or "refused".
std::string whom(const ServerProcess& server, const TlsOptions& options) {
  try {
    return TlsConnection(server.address(1), options).get("/whom").body;
  } catch (const std::exception&) {
    return "refused";
  }
}

}  // namespace

TEST_CASE("client certificates are optional: who presents one is known", "[https][client-certificate]") {
  const Authorities all;
  const ServerProcess server(all.options("optional"));
  const int version = GENERATE(TLS1_2_VERSION, TLS1_3_VERSION);
  CHECK(whom(server, {.version = version}) == "nobody");
  CHECK(whom(server, {.certificate = &all.stranger, .version = version}) == "refused");
  TlsConnection first(server.address(1), {.certificate = &all.alice, .version = version});
  const std::string alice = first.get("/whom").body;
  CHECK(alice.starts_with("CN=alice "));
  // A session that is resumed is still hers.
  TlsConnection again(server.address(1), {.session = first.session(), .version = version});
  CHECK(again.get("/whom").body == alice);
  CHECK(again.resumed());
}

TEST_CASE("client certificates are required: nobody else is served", "[https][client-certificate]") {
  const Authorities all;
  const ServerProcess server(all.options("required"));
  const int version = GENERATE(TLS1_2_VERSION, TLS1_3_VERSION);
  CHECK(whom(server, {.version = version}) == "refused");
  CHECK(whom(server, {.certificate = &all.stranger, .version = version}) == "refused");
  CHECK(whom(server, {.certificate = &all.alice, .version = version}).starts_with("CN=alice "));
  CHECK(eventually(
      10s, [&] { return server.status().at("totals").at("tls").at("failed").at("certificate").get<int>() >= 2; }));
}

TEST_CASE("each name has its certificate, and an RSA key stands beside an ECDSA key", "[https]") {
  const TempDir folder;
  write_file(folder / "ecdsa.pem", issue({.names = {"localhost"}, .common_name = "ecdsa"}).both());
  write_file(folder / "rsa.pem", issue({.names = {"localhost"}, .common_name = "rsa", .rsa = true}).both());
  write_file(folder / "blog.pem", issue({.names = {"blog.example", "*.blog.example"}, .common_name = "blog"}).both());
  const ServerProcess server({.app = app_path("apps/origin"),
                              .listen = {"127.0.0.1:0", "https://127.0.0.1:0"},
                              .arguments = {"--tls-certificate", folder / "ecdsa.pem", "--tls-certificate",
                                            folder / "rsa.pem", "--tls-certificate", folder / "blog.pem"}});
  CHECK(TlsConnection(server.address(1)).server_name() == "ecdsa");
  CHECK(TlsConnection(server.address(1), {.name = "a.blog.example"}).server_name() == "blog");
  CHECK(TlsConnection(server.address(1), {.name = "other.example"}).server_name() == "ecdsa");
  const ProgramResult old =
      run_program({"openssl", "s_client", "-connect", "127.0.0.1:" + std::to_string(server.address(1).port),
                   "-servername", "localhost", "-sigalgs", "RSA-PSS+SHA256"});
  CHECK(old.all().find("CN = rsa") != std::string::npos);
  CHECK(TlsConnection(server.address(1)).get("/origin").body.ends_with("https localhost"));
}
