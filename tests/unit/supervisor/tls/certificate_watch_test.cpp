#include "supervisor/tls/certificate_watch.h"

#include <memory>
#include <string>

#include "common/ipc/status/degradations.h"
#include "common/log.h"
#include "support/catch.h"
#include "support/temp_dir.h"

using namespace pronghorn;
using namespace pronghorn::supervisor;

namespace {

constexpr std::int64_t kDay = 24 * 3600;

struct Fixture {
  Fixture() { open_log({"text", "info", directory / "log", "test"}); }
  ~Fixture() { open_log({"text", "info", "-", "test"}); }

  static std::shared_ptr<const TlsMaterial> material(std::int64_t not_after, std::string doubt = {},
                                                     std::int64_t not_before = 0) {
    auto made = std::make_shared<TlsMaterial>();
    made->certificates.push_back(
        {.file = "/etc/a.pem", .names = {"example.org"}, .not_before = not_before, .not_after = not_after});
    if (!doubt.empty()) made->doubts.push_back(std::move(doubt));
    return made;
  }
  [[nodiscard]] std::size_t lines(const std::string& text) const {
    flush_log();
    const std::string log = test::read_file(directory / "log");
    std::size_t count = 0;
    for (std::size_t at = 0; (at = log.find(text, at)) != std::string::npos; at += text.size()) ++count;
    return count;
  }

  test::TempDir directory;
  Scoreboard board = Scoreboard::create();
  CertificateWatch watch{board.server()};
};

}  // namespace

TEST_CASE_METHOD(Fixture, "the status shows the certificates that are served", "[tls]") {
  watch.use(material(1'900'000'000), 0);
  REQUIRE(board.server().certificates.load() == 1);
  CHECK(board.server().certificate_rows[0].file.get() == "/etc/a.pem");
  CHECK(board.server().certificate_rows[0].names.get() == "example.org");
  CHECK(board.server().certificate_rows[0].not_after.load() == 1'900'000'000);
  watch.use(nullptr, 0);
  CHECK(board.server().certificates.load() == 0);
}

TEST_CASE_METHOD(Fixture, "of many certificates the status shows those that expire first", "[tls]") {
  auto many = std::make_shared<TlsMaterial>();
  for (int i = 0; i < 40; ++i) {
    many->certificates.push_back({.file = std::to_string(i), .names = {}, .not_after = 2'000'000'000 - i});
  }
  watch.use(many, 0);
  REQUIRE(board.server().certificates.load() == kMaxCertificateRows);
  CHECK(board.server().certificate_rows[0].file.get() == "39");
}

TEST_CASE_METHOD(Fixture, "a certificate that expires soon is told once for each mark", "[tls]") {
  watch.use(material(100 * kDay), 80 * kDay);
  CHECK(lines("expires at") == 0);
  for (std::int64_t now = 80 * kDay; now < 101 * kDay; now += 60) watch.tick(now);
  CHECK(lines("expires at") == 4);  // with 14, 7, 3 and 1 days left
  CHECK(lines("has expired") == 1);
}

TEST_CASE_METHOD(Fixture, "a renewed certificate is watched again", "[tls]") {
  watch.use(material(100 * kDay), 90 * kDay);
  CHECK(lines("expires at") == 1);
  watch.use(material(190 * kDay), 91 * kDay);
  watch.tick(180 * kDay);
  CHECK(lines("expires at") == 2);
}

// Of such certificates, nothing was logged any more when one had come near its end once.
TEST_CASE_METHOD(Fixture, "a certificate that is renewed for a few days only is watched again", "[tls]") {
  watch.use(material(10 * kDay), 9 * kDay);
  CHECK(lines("in 24 hours") == 1);
  watch.use(material(16 * kDay), 10 * kDay);
  watch.tick(15 * kDay);
  CHECK(lines("in 24 hours") == 2);
  watch.tick(16 * kDay);
  CHECK(lines("has expired") == 1);
}

// With a fixed limit of 14 days, such a server was degraded for good, however well its certificates were renewed.
TEST_CASE_METHOD(Fixture, "a short-lived certificate is told when a third of its lifetime is left", "[tls]") {
  const auto now = static_cast<std::int64_t>(std::time(nullptr));
  const auto of_six_days = [](std::int64_t not_after) { return material(not_after, {}, not_after - 6 * kDay); };
  watch.use(of_six_days(now + 2 * kDay + 3600), now);
  CHECK(degradations(board).empty());
  CHECK(lines("expires at") == 0);
  watch.tick(now + 2 * 3600);
  CHECK(lines(", in 47 hours; renew it") == 1);
  for (std::int64_t later = now; later < now + 2 * kDay; later += 60) watch.tick(later);
  CHECK(lines("expires at") == 2);  // with 2 days and 1 day left
  watch.use(of_six_days(now + 2 * kDay - 60), now);
  REQUIRE(degradations(board).size() == 1);
  CHECK(degradations(board)[0] == "the certificate /etc/a.pem expires in 47 hours");
}

TEST_CASE_METHOD(Fixture, "doubts are told again only when they change", "[tls]") {
  watch.use(material(100 * kDay, "a.pem: hm"), 0);
  watch.use(material(100 * kDay, "a.pem: hm"), 0);
  CHECK(lines("a.pem: hm") == 1);
  watch.use(material(100 * kDay, "a.pem: oh"), 0);
  CHECK(lines("a.pem: oh") == 1);
}

TEST_CASE_METHOD(Fixture, "a server whose certificate expires within 14 days is degraded", "[tls]") {
  const auto now = static_cast<std::int64_t>(std::time(nullptr));
  watch.use(material(now + 15 * kDay), now);
  CHECK(degradations(board).empty());
  watch.use(material(now + 13 * kDay + 60), now);
  REQUIRE(degradations(board).size() == 1);
  CHECK(degradations(board)[0] == "the certificate /etc/a.pem expires in 13 days");
  watch.use(material(now - 1), now);
  CHECK(degradations(board)[0] == "the certificate /etc/a.pem has expired: clients refuse it");
}
