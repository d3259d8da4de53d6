#include "support/tls/test_authority.h"

#include <sys/stat.h>

#include <utility>

namespace pronghorn::test {
namespace {

void write_private(const std::string& path, const std::string& text) {
  const mode_t before = ::umask(077);
  write_file(path, text);
  ::umask(before);
}

}  // namespace

TestAuthority::TestAuthority(std::string common_name)
    : own_(issue({.names = {}, .common_name = std::move(common_name), .authority = true})) {
  write_private(ca(), own_.certificate);
  write_private(key(), own_.key);
}

IssuedFiles TestAuthority::issue_files(IssueOptions options) {
  options.issuer = &own_;
  const Issued issued = issue(options);
  const std::string number = std::to_string(++count_);
  const IssuedFiles files{directory_ / (number + ".pem"), directory_ / (number + ".key")};
  write_private(files.certificate, issued.certificate);
  write_private(files.key, issued.key);
  return files;
}

std::vector<std::string> TestAuthority::redis_arguments(const IssuedFiles& shown, const std::string& clients) const {
  return {"--tls-cert-file",    shown.certificate,
          "--tls-key-file",     shown.key,
          "--tls-ca-cert-file", ca(),
          "--tls-auth-clients", clients};
}

}  // namespace pronghorn::test
