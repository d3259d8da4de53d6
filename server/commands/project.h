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

// Makes the directory `path`, whose last part is the project's name, and its files. Throws UsageError when the name
// cannot be that of a CMake target or something is there already, std::runtime_error when a file cannot be written.
void make_project(const std::string& path);

}  // namespace pronghorn::server
