#include "supervisor/crash/crash_directory.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <string_view>
#include <system_error>

#include "supervisor/system/directories.h"
#include "supervisor/system/exit_status.h"

namespace pronghorn::supervisor {
namespace {

constexpr std::string_view kBegin = "crash-";
constexpr std::string_view kEnd = ".json";
constexpr std::string_view kUnfinished = ".json.tmp";

std::unexpected<std::string> failed() { return std::unexpected(std::generic_category().message(errno)); }

std::vector<std::string> list_files(const std::string& directory, std::string_view end) {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(directory, error), last; !error && entry != last;
       entry.increment(error)) {
    const std::string name = entry->path().filename();
    if (name.starts_with(kBegin) && name.ends_with(end)) names.push_back(name);
  }
  std::sort(names.begin(), names.end());  // names begin with the time
  return names;
}

std::expected<void, std::string> make_directories(const std::string& data_dir) {
  try {
    make_private_directory(data_dir, "data_dir");
  } catch (const ConfigurationError& error) {
    return std::unexpected(error.what());
  }
  if (::mkdir(crash_directory(data_dir).c_str(), 0750) != 0 && errno != EEXIST) return failed();
  return {};
}

bool write_file(const std::string& path, std::string_view text) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0640);
  if (fd < 0) return false;
  bool written = true;
  while (written && !text.empty()) {
    const ssize_t size = ::write(fd, text.data(), text.size());
    if (size < 0 && errno == EINTR) continue;
    written = size > 0;
    if (written) text.remove_prefix(static_cast<std::size_t>(size));
  }
  const int error = errno;
  const bool closed = ::close(fd) == 0;
  if (!written) errno = error;
  return written && closed;
}

}  // namespace

std::string crash_directory(const std::string& data_dir) { return data_dir + "/crashes"; }

std::vector<std::string> list_reports(const std::string& directory) { return list_files(directory, kEnd); }

std::expected<void, std::string> save_report(const std::string& data_dir, const std::string& name,
                                             const std::string& text) {
  if (const auto made = make_directories(data_dir); !made) return made;
  const std::string directory = crash_directory(data_dir);
  for (const std::string& left : list_files(directory, kUnfinished)) ::unlink((directory + '/' + left).c_str());
  const std::string path = directory + '/' + name;
  const std::string unfinished = path + ".tmp";
  if (!write_file(unfinished, text) || ::rename(unfinished.c_str(), path.c_str()) != 0) {
    const auto error = failed();
    ::unlink(unfinished.c_str());
    return error;
  }
  const std::vector<std::string> reports = list_reports(directory);
  for (std::size_t i = 0; i + kKeptReports < reports.size(); ++i) ::unlink((directory + '/' + reports[i]).c_str());
  return {};
}

}  // namespace pronghorn::supervisor
