// A certificate authority of its own for one test, with files for the programs that it starts.
#pragma once

#include <string>
#include <vector>

#include "support/temp_dir.h"
#include "support/tls/issued.h"

namespace pronghorn::test {

// Paths of PEM files.
struct IssuedFiles {
  std::string certificate;
  std::string key;
};

// Files that only their owner can read, which live as long as the authority.
//
// Errors: the constructor and issue() throw std::runtime_error.
class TestAuthority {
 public:
  explicit TestAuthority(std::string common_name = "Test Authority");
  TestAuthority(const TestAuthority&) = delete;
  TestAuthority& operator=(const TestAuthority&) = delete;

  [[nodiscard]] std::string ca() const { return directory_ / "ca.pem"; }
  [[nodiscard]] std::string key() const { return directory_ / "ca.key"; }
  // A certificate of this authority. Without options it is for localhost, 127.0.0.1 and ::1.
  [[nodiscard]] IssuedFiles issue_files(IssueOptions options = {.names = {"localhost", "IP:127.0.0.1", "IP:::1"}});

  // For RedisOptions::tls: a server that shows this certificate and trusts this authority. `clients`: the value of
  // tls-auth-clients.
  [[nodiscard]] std::vector<std::string> redis_arguments(const IssuedFiles& shown,
                                                         const std::string& clients = "yes") const;

 private:
  TempDir directory_;
  Issued own_;
  int count_ = 0;
};

}  // namespace pronghorn::test
