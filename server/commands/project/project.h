// `pronghorn new NAME`: a directory with an application that builds, runs and has a test.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace pronghorn::server {

struct ProjectFile {
  std::string path;  // in the project: "src/app.cpp"
  std::string text;
};

// The files of a project of that name.
[[nodiscard]] std::vector<ProjectFile> project_files(std::string_view name);

// Creates the directory `path`, whose last part is the project's name, and its files. Throws UsageError if the name is
// invalid for a CMake target or `path` already exists, std::runtime_error if a file cannot be written.
void make_project(const std::string& path);

}  // namespace pronghorn::server
