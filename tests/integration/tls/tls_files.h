// Certificate files of a test, and what a server needs to serve them.
#pragma once

#include <sys/stat.h>

#include <filesystem>
#include <string>
#include <vector>

#include "support/processes/server_process.h"
#include "support/temp_dir.h"
#include "support/tls/issued.h"

namespace pronghorn::test {

struct TlsFiles {
  TempDir directory;
  std::string certificate = directory / "certificate.pem";
  std::string key = directory / "certificate.key";

  explicit TlsFiles(const std::string& common_name = "first") { replace(common_name); }

  // As a careful deployment: each file is replaced as a whole.
  Issued replace(const std::string& common_name) const {
    const Issued issued = issue({.names = {"localhost", "IP:127.0.0.1"}, .common_name = common_name});
    put(key, issued.key);
    put(certificate, issued.certificate);
    return issued;
  }
  static void put(const std::string& path, const std::string& content) {
    write_file(path + ".new", content);
    ::chmod((path + ".new").c_str(), 0600);
    std::filesystem::rename(path + ".new", path);
  }

  // Plain HTTP on address 0, https on address 1.
  [[nodiscard]] ServerOptions options(std::vector<std::string> arguments = {}) const {
    arguments.insert(arguments.begin(), {"--tls-certificate", certificate, "--tls-key", key});
    return {.workers = 2, .listen = {"127.0.0.1:0", "https://127.0.0.1:0"}, .arguments = std::move(arguments)};
  }
};

}  // namespace pronghorn::test
