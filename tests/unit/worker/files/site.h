// A folder of files to serve, and the application that serves it.
#pragma once

#include <sys/stat.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <string_view>

#include "pronghorn/app.h"
#include "pronghorn/testing.h"
#include "support/temp_dir.h"

namespace pronghorn::test {

// public/ is served at /files and at /. The files beside it must never be.
struct Site {
  Site() {
    const auto& root = directory.path();
    std::filesystem::create_directories(root / "public/sub/deep");
    std::filesystem::create_directories(root / "public/empty");
    std::filesystem::create_directories(root / "public/.git");
    std::filesystem::create_directories(root / "public-not");
    write_file(root / "secret.txt", "secret");
    write_file(root / "public-not/secret.txt", "secret");
    write_file(root / "public/index.html", "<h1>root</h1>");
    write_file(root / "public/a.txt", "0123456789");
    write_file(root / "public/a b.css", "body{}");
    write_file(root / "public/none", "");
    write_file(root / "public/.env", "secret");
    write_file(root / "public/.git/config", "secret");
    write_file(root / "public/sub/index.html", "<h1>sub</h1>");
    write_file(root / "public/sub/deep/page.HTML", "deep");
    std::filesystem::create_symlink("../secret.txt", root / "public/out");
    std::filesystem::create_symlink("..", root / "public/up");
    std::filesystem::create_symlink((root / "secret.txt").native(), root / "public/absolute");
    std::filesystem::create_symlink("/proc/self", root / "public/proc");
    std::filesystem::create_symlink("sub/index.html", root / "public/inside.html");
    std::filesystem::create_symlink("loop", root / "public/loop");
    ::mkfifo((root / "public/fifo").c_str(), 0600);
    folder = root / "public";
  }
  TempDir directory;
  static inline std::string folder;
};

inline void site(App& app) {
  app.serve_files("/files", Site::folder);
  app.serve_files("/", Site::folder);
}

inline void make_older(const std::string& path, std::chrono::seconds by) {
  std::filesystem::last_write_time(path, std::filesystem::last_write_time(path) - by);
}

inline int status_of(TestClient& client, std::string_view target, const TestClient::Headers& headers = {}) {
  return client.get(target, headers).status;
}

}  // namespace pronghorn::test
