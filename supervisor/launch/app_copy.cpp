#include "supervisor/launch/app_copy.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <link.h>
#include <linux/fs.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <expected>
#include <filesystem>
#include <limits>
#include <string_view>
#include <system_error>
#include <utility>

#include "common/fd.h"
#include "common/log.h"
#include "supervisor/system/directories.h"

namespace pronghorn::supervisor {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kLongestName = 128;  // of the application, in the name of its copy

std::string why(int error) { return std::strerror(error); }

struct Sign {
  std::string_view bytes;
  const char* meaning;
};

// Bytes of a plugin that looks for something beside itself: $ORIGIN in its dynamic section, or the name of a function
// that it imports. When they occur elsewhere in the file, the plugin loses its copy, and nothing breaks.
constexpr std::array<Sign, 4> kSigns{{{"$ORIGIN", "it contains $ORIGIN, so its libraries are beside it"},
                                      {"${ORIGIN}", "it contains $ORIGIN, so its libraries are beside it"},
                                      {{"\0dladdr\0", 8}, "it looks for its own path (dladdr)"},
                                      {{"\0dladdr1\0", 9}, "it looks for its own path (dladdr)"}}};
constexpr std::size_t kLongestSign = 9;
constexpr off_t kWholeFile = std::numeric_limits<off_t>::max();

Fd open_copy(const std::string& path) noexcept {
  return Fd(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW));
}

// Does not block. Empty: the file cannot be opened, or is not a regular one.
Fd open_regular(const std::string& path) noexcept {
  Fd file(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  struct stat facts{};
  if (file && (::fstat(file.get(), &facts) != 0 || !S_ISREG(facts.st_mode))) file.reset();
  return file;
}

// Where what the loader maps of a plugin ends. Behind it is debug information, which may be most of the file.
off_t mapped_end(int file) noexcept {
  ElfW(Ehdr) header{};
  if (::pread(file, &header, sizeof header, 0) != sizeof header) return kWholeFile;
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_phentsize != sizeof(ElfW(Phdr))) return kWholeFile;
  std::uint64_t end = 0;
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    ElfW(Phdr) segment{};
    const auto at = static_cast<off_t>(header.e_phoff + i * sizeof segment);
    if (::pread(file, &segment, sizeof segment, at) != sizeof segment) return kWholeFile;
    if (segment.p_type == PT_LOAD) end = std::max<std::uint64_t>(end, segment.p_offset + segment.p_filesz);
  }
  return end == 0 ? kWholeFile : static_cast<off_t>(std::min<std::uint64_t>(end, kWholeFile));
}

// What a plugin looks for beside itself. Null: nothing. Reads instead of mapping: a mapped file that is truncated
// meanwhile raises SIGBUS.
const char* looks_beside_itself(int file) {
  std::string piece;
  std::array<char, 64 * 1024> buffer{};
  const off_t end = mapped_end(file);
  off_t offset = 0;
  ssize_t count = 0;
  while (offset < end && (count = ::pread(file, buffer.data(), buffer.size(), offset)) > 0) {
    offset += count;
    piece.append(buffer.data(), static_cast<std::size_t>(count));
    for (const Sign& sign : kSigns) {  // not std::string::find(), which takes several times as long
      if (::memmem(piece.data(), piece.size(), sign.bytes.data(), sign.bytes.size()) != nullptr) return sign.meaning;
    }
    if (piece.size() > kLongestSign) piece.erase(0, piece.size() - kLongestSign);
  }
  return nullptr;
}

// Shares the blocks where the file system allows it (btrfs, XFS).
std::expected<void, std::string> copy_bytes(int from, int to) {
  if (::ioctl(to, FICLONE, from) == 0) return {};
  off_t offset = 0;
  for (;;) {
    const ssize_t count = ::sendfile(to, from, &offset, 1 << 30);
    if (count == 0) return {};
    if (count < 0 && errno != EINTR) return std::unexpected(why(errno));
  }
}

// Whether the copy "4711.3-shop.so" belongs to a server that no longer runs.
bool is_orphan(const std::string& name) noexcept {
  int pid = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
  if (error != std::errc() || end == name.data() + name.size() || *end != '.' || pid <= 0) return false;
  return pid != ::getpid() && ::kill(pid, 0) != 0 && errno == ESRCH;
}

void delete_orphans(const std::string& directory) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory, error)) {
    if (is_orphan(entry.path().filename())) fs::remove(entry.path(), error);
  }
}

// The directory for copies below `base`, or why it cannot be used.
std::expected<std::string, std::string> directory_in(const std::string& base, const char* option) {
  try {
    make_private_directory(base, option);
    std::string directory = base + "/apps";
    make_private_directory(directory, option);
    struct statvfs facts{};
    if (::statvfs(directory.c_str(), &facts) == 0 && (facts.f_flag & ST_NOEXEC) != 0) {
      return std::unexpected(directory + ": mounted noexec");
    }
    delete_orphans(directory);
    return directory;
  } catch (const std::exception& error) {
    return std::unexpected(error.what());
  }
}

// Atomic: a worker may start meanwhile.
std::expected<void, std::string> write_copy(const std::string& path, int from) {
  const std::string temporary = path + ".new";
  ::unlink(temporary.c_str());
  const Fd to(::open(temporary.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0500));
  if (!to) return std::unexpected(fmt::format("{}: {}", temporary, why(errno)));
  auto written = copy_bytes(from, to.get());
  if (written && ::rename(temporary.c_str(), path.c_str()) != 0) written = std::unexpected(why(errno));
  if (written) return {};
  ::unlink(temporary.c_str());
  return std::unexpected(fmt::format("{}: {}", path, written.error()));
}

std::expected<std::string, std::string> copy_to(const std::string& directory, const std::string& app, int from,
                                                std::uint32_t generation) {
  std::string name = fs::path(app).filename();
  if (name.size() > kLongestName) name.erase(0, name.size() - kLongestName);
  std::string path = fmt::format("{}/{}.{}-{}", directory, ::getpid(), generation, name);
  if (auto written = write_copy(path, from); !written) return std::unexpected(std::move(written.error()));
  return path;
}

std::string in_place(const Config& config, const std::string& reason) {
  return fmt::format(
      "{} is used in place: {}; do not overwrite it (rename a new file over it instead); a rollback loads the "
      "file that is there then",
      config.app, reason);
}

}  // namespace

AppCopy::AppCopy(std::string path, const char* option) noexcept
    : path_(std::move(path)), option_(option), file_(open_copy(path_)) {}

AppCopy::~AppCopy() { ::unlink(path_.c_str()); }

std::expected<void, std::string> AppCopy::restore() const {
  struct stat named{};
  struct stat ours{};
  const bool there = ::lstat(path_.c_str(), &named) == 0;
  const bool known = file_ && ::fstat(file_.get(), &ours) == 0;
  if (there && known && named.st_ino == ours.st_ino && named.st_dev == ours.st_dev) return {};
  const auto failed = [this](const std::string& reason) {
    return std::unexpected(
        fmt::format("the copy of the application {} was deleted and cannot be restored: {}", path_, reason));
  };
  if (!known) return failed("it could not be opened either; reload to make a new one");
  // Checks the owners of the directories again: in a public directory others could have created them meanwhile.
  const auto directory = directory_in(fs::path(path_).parent_path().parent_path(), option_);
  if (!directory) return failed(directory.error());
  if (const auto written = write_copy(path_, file_.get()); !written) return failed(written.error());
  if (Fd restored = open_copy(path_)) file_ = std::move(restored);
  log_warning(fmt::format(
      "the copy of the application {} was deleted and has been restored; exclude {} from the cleaning of temporary "
      "files",
      path_, *directory));
  return {};
}

std::shared_ptr<const AppCopy> copy_app(Config& config, std::uint32_t generation) {
  config.app_file.clear();
  if (config.app.empty()) return nullptr;
  const Fd from = open_regular(config.app);
  if (!from) return nullptr;  // the process that loads it reports the error
  if (const char* sign = looks_beside_itself(from.get())) {
    log_info(in_place(config, sign));
    return nullptr;
  }
  std::string reason;
  for (const auto& [base, option] : {std::pair{config.runtime_dir, "runtime_dir"}, {config.data_dir, "data_dir"}}) {
    if (base.empty()) continue;
    auto path = directory_in(base, option);
    if (path) path = copy_to(*path, config.app, from.get(), generation);
    if (path) {
      config.app_file = *path;
      return std::make_shared<const AppCopy>(std::move(*path), option);
    }
    reason += (reason.empty() ? "it cannot be copied: " : ", ") + path.error();
  }
  log_warning(in_place(config, reason.empty() ? "there is no directory for a copy" : reason));
  return nullptr;
}

std::shared_ptr<const AppCopy> adopt_app_copy(const Config& config) {
  if (config.app_file.empty()) return nullptr;
  const bool in_runtime_dir = config.app_file.starts_with(config.runtime_dir + "/apps/");
  return std::make_shared<const AppCopy>(config.app_file, in_runtime_dir ? "runtime_dir" : "data_dir");
}

}  // namespace pronghorn::supervisor
