#include "server/commands/certificate_files.h"

#include <sys/stat.h>

#include <filesystem>
#include <string>

#include "server/options/values/values.h"
#include "supervisor/tls/tls_material.h"
#include "support/catch.h"
#include "support/processes/process.h"
#include "support/temp_dir.h"

using namespace pronghorn;
using namespace pronghorn::server;
using namespace pronghorn::test;

namespace {

struct CertificateFolder {
  TempDir directory;
  CertificateWish wish{.names = {}, .certificate = directory / "a.pem", .key = directory / "a.key"};

  [[nodiscard]] std::string refusal() const {
    try {
      static_cast<void>(make_self_signed(wish));
    } catch (const UsageError& error) {
      return error.what();
    }
    return "accepted";
  }
  [[nodiscard]] auto files() const {
    return std::distance(std::filesystem::directory_iterator(directory.path()), std::filesystem::directory_iterator());
  }
};

}  // namespace

TEST_CASE_METHOD(CertificateFolder, "a development certificate is for this machine and the names given",
                 "[certificate]") {
  wish.names = {"shop.test", "*.shop.test", "192.0.2.7", "2001:db8::7", "localhost"};
  CHECK(make_self_signed(wish) == std::vector<std::string>{"localhost", "127.0.0.1", "::1", "shop.test", "*.shop.test",
                                                           "192.0.2.7", "2001:db8::7"});
  const ProgramResult shown = run_program({"openssl", "x509", "-in", wish.certificate, "-noout", "-text"});
  REQUIRE(shown.status == 0);
  for (const char* part : {"DNS:localhost", "DNS:*.shop.test", "IP Address:127.0.0.1", "IP Address:192.0.2.7",
                           "IP Address:2001:DB8:0:0:0:0:0:7", "CA:FALSE", "prime256v1"}) {
    CAPTURE(part);
    CHECK(shown.out.find(part) != std::string::npos);
  }
}

TEST_CASE_METHOD(CertificateFolder, "only their owner can read the files of a development certificate",
                 "[certificate]") {
  static_cast<void>(make_self_signed(wish));
  for (const std::string& path : {wish.certificate, wish.key}) {
    struct stat facts{};
    REQUIRE(::stat(path.c_str(), &facts) == 0);
    CHECK((facts.st_mode & 0777) == 0600);
  }
  CHECK(files() == 2);
}

TEST_CASE_METHOD(CertificateFolder, "the server takes a development certificate without doubts", "[certificate]") {
  static_cast<void>(make_self_signed(wish));
  Config config;
  config.listen = {"https://127.0.0.1:0"};
  config.tls_certificate = {wish.certificate};
  config.tls_key = {wish.key};
  CHECK(supervisor::load_tls_material(config)->doubts.empty());
}

TEST_CASE_METHOD(CertificateFolder, "files that exist are not overwritten unasked", "[certificate]") {
  static_cast<void>(make_self_signed(wish));
  const std::string before = read_file(wish.key);
  CHECK(refusal().find("a.pem exists; add --replace") != std::string::npos);
  std::filesystem::remove(wish.certificate);
  CHECK(refusal().find("a.key exists; add --replace") != std::string::npos);
  CHECK(read_file(wish.key) == before);
  wish.replace = true;
  CHECK(refusal() == "accepted");
  CHECK(read_file(wish.key) != before);
}

TEST_CASE_METHOD(CertificateFolder, "names that no certificate can have are refused before anything is written",
                 "[certificate]") {
  for (const char* name : {"", "a b", "a,DNS:b", "a..b", ".a", "a.", "https://a", "a:443", "*", "a\n"}) {
    CAPTURE(name);
    wish.names = {name};
    CHECK(refusal().find("is neither a host name nor an address") != std::string::npos);
  }
  wish.names = {};
  wish.key = wish.certificate;
  CHECK(refusal().find("need different files") != std::string::npos);
  CHECK(files() == 0);
}

TEST_CASE_METHOD(CertificateFolder, "nothing is left behind when a file cannot be written", "[certificate]") {
  wish.certificate = directory / "missing/a.pem";
  CHECK_THROWS_AS(make_self_signed(wish), std::runtime_error);
  CHECK(files() == 0);
}
