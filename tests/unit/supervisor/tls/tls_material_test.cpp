#include "supervisor/tls/tls_material.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <atomic>
#include <ctime>
#include <filesystem>
#include <stdexcept>
#include <thread>

#include "common/tls/credentials.h"
#include "support/catch.h"
#include "support/temp_dir.h"
#include "support/tls/issued.h"

using namespace pronghorn;
using namespace pronghorn::supervisor;
using namespace pronghorn::test;
using namespace std::chrono_literals;

namespace {

struct Files {
  TempDir directory;
  Config config;

  Files() { config.listen = {"https://127.0.0.1:0"}; }
  std::string write(const std::string& name, const std::string& content) const {
    const std::string path = directory / name;
    write_file(path, content);
    ::chmod(path.c_str(), 0600);
    return path;
  }
  // A certificate with its key in another file.
  void add(const std::string& name, const Issued& issued) {
    config.tls_certificate.push_back(write(name + ".pem", issued.certificate));
    config.tls_key.push_back(write(name + ".key", issued.key));
  }
  [[nodiscard]] std::string refusal() const {
    try {
      static_cast<void>(load_tls_material(config));
    } catch (const std::runtime_error& error) {
      std::string text = error.what();
      for (std::size_t at = 0; (at = text.find(directory.path().string() + "/")) != std::string::npos;) {
        text.erase(at, directory.path().string().size() + 1);
      }
      return text;
    }
    return "accepted";
  }
  [[nodiscard]] TlsCredentials loaded() const {
    return read_tls_credentials(load_tls_material(config)->credentials.get());
  }
};

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("workers get the certificates, keys and OCSP responses of the files", "[tls]") {
  const Issued one = issue({.names = {"one.example"}});
  const Issued two = issue({.names = {"two.example", "IP:192.0.2.7"}, .rsa = true});
  Files files;
  files.add("one", one);
  files.add("two", two);
  const auto material = load_tls_material(files.config);
  REQUIRE(material->certificates.size() == 2);
  CHECK(material->certificates[1].names == std::vector<std::string>{"two.example", "192.0.2.7"});
  CHECK(material->certificates[0].not_after > std::time(nullptr) + 89 * 24 * 3600);
  const TlsCredentials read = read_tls_credentials(material->credentials.get());
  CHECK(read.certificates[0].file == files.config.tls_certificate[0]);
  CHECK(read.certificates[0].chain == one.certificate);
  CHECK(read.certificates[0].key == one.key);
  CHECK(read.certificates[1].key == two.key);
  CHECK(read.client == TlsClientCertificates::off);
}

TEST_CASE("a server without https reads no certificates", "[tls]") {
  Config config;
  CHECK(load_tls_material(config) == nullptr);
}

TEST_CASE("a file that holds certificate and key needs no other", "[tls]") {
  const Issued one = issue();
  const Issued two = issue();
  Files files;
  files.config.tls_certificate = {files.write("one.pem", one.both()), files.write("two.pem", two.certificate)};
  files.config.tls_key = {files.write("two.key", two.key)};
  CHECK(files.refusal() == "accepted");
  files.config.tls_certificate.pop_back();
  CHECK(contains(files.refusal(), "accepted") == false);  // one key for one certificate: they are a pair
  files.config.tls_key.clear();
  CHECK(files.refusal() == "accepted");
}

TEST_CASE("keys that are given to certificates with keys of their own are left over", "[tls]") {
  Files files;
  files.config.tls_certificate = {files.write("one.pem", issue().both()), files.write("two.pem", issue().both())};
  files.config.tls_key = {files.write("two.key", issue().key)};
  CHECK(contains(files.refusal(), "two.key: no certificate is left for this key"));
}

TEST_CASE("files that do not fit are refused with the file and the reason", "[tls]") {
  const Issued good = issue();
  Files files;
  SECTION("another key") {
    files.add("a", {good.certificate, issue().key});
    CHECK(contains(files.refusal(), "a.pem: "));
    CHECK(contains(files.refusal(), "key"));
  }
  SECTION("no key") {
    files.config.tls_certificate = {files.write("a.pem", good.certificate)};
    CHECK(files.refusal() == "a.pem: it has no private key; name its file with --tls-key");
  }
  SECTION("no file") {
    files.config.tls_certificate = {files.directory / "a.pem"};
    CHECK(files.refusal() == "a.pem: No such file or directory");
  }
  SECTION("expired") {
    files.add("a", issue({.from = -48h, .until = -1h}));
    CHECK(contains(files.refusal(), "a.pem: "));
    CHECK(contains(files.refusal(), "expired"));
  }
  SECTION("a key that no client accepts") {
    files.add("a", issue({.rsa = true, .rsa_bits = 1024}));
    CHECK(contains(files.refusal(), "a.pem: the key of the certificate is too short"));
  }
  SECTION("not a certificate") {
    files.add("a", {"hello\n", good.key});
    CHECK(contains(files.refusal(), "a.pem: "));
  }
  SECTION("half a certificate") {
    files.add("a", {good.certificate.substr(0, good.certificate.size() / 2), good.key});
    CHECK(contains(files.refusal(), "a.pem: "));
  }
  SECTION("half a second certificate") {
    files.add("a", {good.certificate + good.certificate.substr(0, good.certificate.size() / 2), good.key});
    CHECK(contains(files.refusal(), "a.pem: "));
  }
  SECTION("half a key") {
    files.add("a", {good.certificate, good.key.substr(0, good.key.size() / 2)});
    CHECK(contains(files.refusal(), "key"));
  }
  SECTION("a folder") {
    files.config.tls_certificate = {files.directory.path().string()};
    CHECK(contains(files.refusal(), "is not a regular file"));
  }
  SECTION("a FIFO, which would block") {
    REQUIRE(::mkfifo((files.directory / "a.pem").c_str(), 0600) == 0);
    files.config.tls_certificate = {files.directory / "a.pem"};
    CHECK(files.refusal() == "a.pem: is not a regular file");
  }
  SECTION("something huge") {
    files.config.tls_certificate = {files.write("a.pem", std::string(5 << 20, 'x'))};
    CHECK(contains(files.refusal(), "a.pem: has 5242880 bytes"));
  }
  SECTION("an OCSP response that is none") {
    files.add("a", good);
    files.write("a.pem.ocsp", "<html>404</html>");
    CHECK(contains(files.refusal(), "a.pem"));
    CHECK(contains(files.refusal(), "OCSP response"));
  }
  SECTION("no authorities") {
    files.add("a", good);
    files.config.tls_client_ca = files.write("ca.pem", "\n");
    files.config.tls_client_certificates = "required";
    CHECK(contains(files.refusal(), "ca.pem: "));
  }
}

TEST_CASE("the authorities of client certificates are passed on when clients are asked", "[tls]") {
  const Issued authority = issue({.authority = true});
  Files files;
  files.add("a", issue());
  files.config.tls_client_ca = files.write("ca.pem", authority.certificate);
  CHECK(files.loaded().client_ca.empty());
  files.config.tls_client_certificates = "optional";
  CHECK(files.loaded().client == TlsClientCertificates::optional);
  CHECK(files.loaded().client_ca == authority.certificate);
}

// live/NAME/fullchain.pem leads to archive/NAME/fullchain7.pem.
TEST_CASE("the links of certbot are followed, wherever they lead by now", "[tls]") {
  Files files;
  const Issued first = issue({.common_name = "first"});
  const Issued second = issue({.common_name = "second"});
  const auto link = [&files](const std::string& name, const std::string& to) {
    std::filesystem::remove(files.directory / name);
    std::filesystem::create_symlink(to, files.directory / name);
    return files.directory / name;
  };
  files.write("chain1.pem", first.certificate);
  files.write("key1.pem", first.key);
  files.write("chain2.pem", second.certificate);
  files.write("key2.pem", second.key);
  files.config.tls_certificate = {link("chain.pem", "chain1.pem")};
  files.config.tls_key = {link("key.pem", "key1.pem")};
  CHECK(files.loaded().certificates.at(0).chain == first.certificate);
  link("chain.pem", "chain2.pem");
  link("key.pem", "key2.pem");
  CHECK(files.loaded().certificates.at(0).chain == second.certificate);
}

// certbot writes fullchain.pem and privkey.pem one after the other.
TEST_CASE("a certificate whose key is being exchanged is read again until they fit", "[tls]") {
  const Issued old_one = issue();
  const Issued new_one = issue();
  Files files;
  files.add("a", {new_one.certificate, old_one.key});
  std::atomic<bool> written = false;
  std::thread renewal([&] {
    std::this_thread::sleep_for(50ms);  // within the time in which the files are read again
    files.write("a.key.new", new_one.key);
    std::filesystem::rename(files.directory / "a.key.new", files.directory / "a.key");
    written = true;
  });
  std::string result;
  do {  // on a slow machine the time may pass before the thread has run
    result = files.refusal();
  } while (result != "accepted" && !written);
  renewal.join();
  CHECK(files.refusal() == "accepted");
}

TEST_CASE("what a server can live with is a doubt, not a refusal", "[tls]") {
  const Issued root = issue({.names = {}, .common_name = "root", .authority = true});
  const Issued middle = issue({.names = {}, .common_name = "middle", .issuer = &root, .authority = true});
  const Issued leaf = issue({.issuer = &middle});
  Files files;
  SECTION("the whole chain") {
    files.add("a", {leaf.certificate + middle.certificate, leaf.key});
    CHECK(load_tls_material(files.config)->doubts.empty());
  }
  SECTION("without the intermediate certificate") {
    files.add("a", leaf);
    REQUIRE(load_tls_material(files.config)->doubts.size() == 1);
    CHECK(contains(load_tls_material(files.config)->doubts[0], "no intermediate certificate"));
  }
  SECTION("in the wrong order") {
    files.add("a", {leaf.certificate + root.certificate + middle.certificate, leaf.key});
    REQUIRE(load_tls_material(files.config)->doubts.size() == 1);
    CHECK(contains(load_tls_material(files.config)->doubts[0], "has not signed the one before it"));
  }
  SECTION("a key that everybody can read") {
    files.add("a", issue());
    ::chmod(files.config.tls_key[0].c_str(), 0644);
    REQUIRE(load_tls_material(files.config)->doubts.size() == 1);
    CHECK(contains(load_tls_material(files.config)->doubts[0], "every user of this machine can read the private key"));
  }
}

TEST_CASE("the next image of the program takes the certificates over, even if the files have gone", "[tls]") {
  Files files;
  files.add("a", issue({.names = {"one.example"}}));
  const auto old_image = load_tls_material(files.config);
  std::filesystem::remove(files.config.tls_key[0]);
  const auto new_image = adopt_tls_material(::fcntl(old_image->credentials.get(), F_DUPFD_CLOEXEC, 0));
  REQUIRE(new_image != nullptr);
  CHECK(new_image->certificates.at(0).names == std::vector<std::string>{"one.example"});
  CHECK(read_tls_credentials(new_image->credentials.get()).certificates.size() == 1);
  CHECK(adopt_tls_material(-1) == nullptr);
  CHECK(adopt_tls_material(::open("/dev/null", O_RDONLY | O_CLOEXEC)) == nullptr);
}
