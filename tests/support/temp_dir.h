// Files and folders of one test.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace pronghorn::test {

// A new folder below the system's temporary one, removed with everything in it by the destructor. The name is short, so
// that Unix sockets in it keep below the 107 bytes that a socket's path may have.
class TempDir {
 public:
  TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir();

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }
  [[nodiscard]] std::string operator/(std::string_view name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

// The whole file; empty when it cannot be read.
[[nodiscard]] std::string read_file(const std::string& path);
void write_file(const std::string& path, std::string_view content);

}  // namespace pronghorn::test
