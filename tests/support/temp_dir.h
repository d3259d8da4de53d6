// Files and folders of one test.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace pronghorn::test {

// A new folder in the system's temporary folder. The destructor removes it with its content. Its name is short because
// the path of a Unix socket may have at most 107 bytes.
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

// Content of the file; empty if it cannot be read.
[[nodiscard]] std::string read_file(const std::string& path);
void write_file(const std::string& path, std::string_view content);

}  // namespace pronghorn::test
