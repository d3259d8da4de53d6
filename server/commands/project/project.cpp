#include "server/commands/project/project.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <system_error>

#include "server/options/values/values.h"

namespace pronghorn::server {
namespace {

namespace fs = std::filesystem;

// CMake has targets of these names, or find_package(pronghorn) defines one.
constexpr std::array<std::string_view, 10> kTaken{"all",     "clean",          "edit_cache", "help",          "install",
                                                  "package", "package_source", "pronghorn",  "rebuild_cache", "test"};

void check_project_name(const std::string& name) {
  constexpr std::size_t kLongest = 64;
  const auto letter = [](unsigned char c) { return std::isalpha(c) != 0; };
  const auto allowed = [](unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c == '-'; };
  if (name.empty() || name.size() > kLongest || !letter(static_cast<unsigned char>(name.front())) ||
      !std::all_of(name.begin(), name.end(), allowed)) {
    throw UsageError(
        fmt::format("new: {} is not a name for an application; use a letter, then letters, digits, - and _, at most {}",
                    in_quotes(name), kLongest));
  }
  if (std::find(kTaken.begin(), kTaken.end(), name) != kTaken.end()) {
    throw UsageError(fmt::format("new: CMake already has a target \"{}\"; use another name", name));
  }
}

void write_file(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  if (!file) throw std::runtime_error(fmt::format("cannot write {}: {}", path.string(), std::strerror(errno)));
}

}  // namespace

void make_project(const std::string& path) {
  fs::path root = fs::path(path).lexically_normal();
  if (!root.has_filename()) root = root.parent_path();  // "shop/"
  const std::string name = root.filename().string();
  check_project_name(name);
  std::error_code error;
  if (fs::symlink_status(root, error).type() != fs::file_type::not_found) {
    throw UsageError(fmt::format("new: {} already exists; use another name, or remove it", root.string()));
  }
  if (!fs::create_directory(root, error)) {
    throw UsageError(fmt::format("new: cannot create the directory {}: {}", root.string(), error.message()));
  }
  for (const ProjectFile& file : project_files(name)) write_file(root / file.path, file.text);
}

}  // namespace pronghorn::server
