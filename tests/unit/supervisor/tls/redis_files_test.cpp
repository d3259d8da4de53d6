#include "supervisor/tls/redis_files.h"

#include <sys/stat.h>

#include <fstream>

#include "support/catch.h"
#include "support/processes/process.h"
#include "support/tls/test_authority.h"

using namespace pronghorn;
using namespace pronghorn::test;
using supervisor::read_redis_files;

namespace {

struct RedisFiles {
  TestAuthority authority;
  IssuedFiles own = authority.issue_files();
  TempDir directory;
  Config config;

  RedisFiles() {
    config.redis = "rediss://localhost";
    config.redis_ca = authority.ca();
    config.redis_certificate = own.certificate;
    config.redis_key = own.key;
  }
  std::string error() {
    try {
      read_redis_files(config);
      return "";
    } catch (const std::exception& error) {
      return error.what();
    }
  }
  std::string file(const std::string& text) {
    std::string path = directory / "file.pem";
    std::ofstream(path) << text;
    return path;
  }
};

}  // namespace

TEST_CASE("the files for TLS to Redis are read once, for the workers", "[redis][tls]") {
  RedisFiles files;
  read_redis_files(files.config);
  CHECK(files.config.redis_ca_pem == read_file(files.authority.ca()));
  CHECK(files.config.redis_certificate_pem == read_file(files.own.certificate));
  CHECK(files.config.redis_key_pem == read_file(files.own.key));

  SECTION("the authorities of the system are not") {
    files.config.redis_ca = "system";
    read_redis_files(files.config);
    CHECK(files.config.redis_ca_pem.empty());
  }
  SECTION("nothing is without TLS") {
    files.config.redis = "redis://localhost";
    read_redis_files(files.config);
    CHECK(files.config.redis_key_pem.empty());
  }
  SECTION("a certificate's file may hold its key") {
    files.config.redis_certificate =
        files.file(read_file(files.own.certificate) + read_file(files.authority.ca()) + read_file(files.own.key));
    files.config.redis_key.clear();
    read_redis_files(files.config);
  }
}

TEST_CASE("a file that cannot be used for TLS to Redis is refused with its name and the reason", "[redis][tls]") {
  RedisFiles files;
  std::string path;
  SECTION("missing") {
    path = files.config.redis_ca = files.directory / "none.pem";
    CHECK(files.error() == "redis_ca " + path + ": No such file or directory");
  }
  SECTION("a folder") {
    path = files.config.redis_key = files.directory.path();
    CHECK(files.error() == "redis_key " + path + ": is not a regular file");
  }
  SECTION("a FIFO") {
    path = files.config.redis_key = files.directory / "fifo";
    REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
    CHECK(files.error() == "redis_key " + path + ": is not a regular file");
  }
  SECTION("empty") {
    path = files.config.redis_certificate = files.file("");
    CHECK(files.error() == "redis_certificate " + path + ": the file is empty");
  }
  SECTION("no certificate") {
    path = files.config.redis_ca = files.file("hello");
    CHECK(files.error() == "redis_ca " + path + ": no certificates in PEM format, or one of them is incomplete");
  }
  SECTION("half a certificate") {
    const std::string whole = read_file(files.own.certificate);
    path = files.config.redis_certificate = files.file(whole.substr(0, whole.size() / 2));
    CHECK(files.error() ==
          "redis_certificate " + path + ": no certificates in PEM format, or one of them is incomplete");
  }
  SECTION("no key") {
    path = files.config.redis_key = files.file(read_file(files.own.certificate));
    CHECK(files.error() == "redis_key " + path + ": it holds no private key in PEM format");
  }
  SECTION("no key in the certificate's file") {
    files.config.redis_key.clear();
    CHECK(files.error() == "redis_certificate " + files.own.certificate + ": it holds no private key in PEM format");
  }
  SECTION("an encrypted key") {
    path = files.config.redis_key = files.directory / "encrypted.key";
    const ProgramResult made =
        run_program({"openssl", "pkcs8", "-topk8", "-in", files.own.key, "-out", path, "-passout", "pass:secret"});
    REQUIRE(made.status == 0);
    CHECK(files.error().find("redis_key " + path + ": the key is encrypted") == 0);
  }
  SECTION("the key of another certificate") {
    path = files.config.redis_key = files.authority.issue_files().key;
    CHECK(files.error() == "redis_key " + path + ": the key does not belong to the certificate");
  }
}
