#include "worker/app/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "pronghorn/error.h"
#include "worker/app/conditional.h"
#include "worker/app/http_date.h"
#include "worker/http/exchange.h"
#include "worker/http/response_access.h"
#include "worker/http/syntax.h"

namespace pronghorn::worker {

namespace {

// O_NONBLOCK: opening a FIFO must not wait for its other end.
constexpr int kOpenFlags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;

int openat2_beneath(int folder, const char* path, int flags) noexcept {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(flags);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  constexpr int kAttempts = 4;  // EAGAIN: something was renamed while the kernel looked
  for (int attempt = 0;; ++attempt) {
    const auto fd = static_cast<int>(::syscall(SYS_openat2, folder, path, &how, sizeof how));
    if (fd >= 0 || errno != EAGAIN || attempt == kAttempts) return fd;
  }
}

[[noreturn]] void refuse_open() {
  if (errno == EMFILE || errno == ENFILE || errno == ENOMEM) {
    throw HttpError(503, "too many open files").retry_after(1);
  }
  throw not_found("no such file");
}

// Owns a descriptor until it is handed on.
class Descriptor {
 public:
  explicit Descriptor(int fd) noexcept : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] int get() const noexcept { return fd_; }
  [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

Representation describe(const struct stat& facts) {
  const auto nanoseconds = static_cast<std::uint64_t>(facts.st_mtim.tv_sec) * 1'000'000'000ULL +
                           static_cast<std::uint64_t>(facts.st_mtim.tv_nsec);
  return {fmt::format("\"{:x}-{:x}\"", nanoseconds, facts.st_size), facts.st_mtim.tv_sec,
          static_cast<std::uint64_t>(facts.st_size)};
}

Response answer(const Request& request, Descriptor file, const struct stat& facts, std::string_view content_type) {
  const Representation representation = describe(facts);
  const Selection selection = select(request, representation);
  Response response;
  if (selection.status == 412 || selection.status == 416) {
    response = problem(selection.status);
  } else if (selection.status == 304) {
    response.status(304);
  } else {
    response = ResponseAccess::from_file(file.release(), selection.offset, selection.length, content_type);
    response.status(selection.status);
  }
  response.set("ETag", representation.etag);
  response.set("Last-Modified", http_date(representation.modified));
  response.set("Accept-Ranges", "bytes");
  if (selection.status == 206) {
    response.set("Content-Range", fmt::format("bytes {}-{}/{}", selection.offset,
                                              selection.offset + selection.length - 1, representation.size));
  } else if (selection.status == 416) {
    response.set("Content-Range", fmt::format("bytes */{}", representation.size));
  }
  return response;
}

constexpr auto kContentTypes = std::to_array<std::pair<std::string_view, std::string_view>>({
    {"avif", "image/avif"},
    {"css", "text/css; charset=utf-8"},
    {"csv", "text/csv; charset=utf-8"},
    {"gif", "image/gif"},
    {"gz", "application/gzip"},
    {"htm", "text/html; charset=utf-8"},
    {"html", "text/html; charset=utf-8"},
    {"ico", "image/x-icon"},
    {"jpeg", "image/jpeg"},
    {"jpg", "image/jpeg"},
    {"js", "text/javascript; charset=utf-8"},
    {"json", "application/json"},
    {"map", "application/json"},
    {"md", "text/markdown; charset=utf-8"},
    {"mjs", "text/javascript; charset=utf-8"},
    {"mp3", "audio/mpeg"},
    {"mp4", "video/mp4"},
    {"ogg", "audio/ogg"},
    {"otf", "font/otf"},
    {"pdf", "application/pdf"},
    {"png", "image/png"},
    {"svg", "image/svg+xml"},
    {"tar", "application/x-tar"},
    {"ttf", "font/ttf"},
    {"txt", "text/plain; charset=utf-8"},
    {"wasm", "application/wasm"},
    {"wav", "audio/wav"},
    {"webm", "video/webm"},
    {"webmanifest", "application/manifest+json"},
    {"webp", "image/webp"},
    {"woff", "font/woff"},
    {"woff2", "font/woff2"},
    {"xml", "application/xml"},
    {"zip", "application/zip"},
});
static_assert(std::is_sorted(kContentTypes.begin(), kContentTypes.end()));

}  // namespace

std::string_view content_type_of(std::string_view path) noexcept {
  constexpr std::string_view kUnknown = "application/octet-stream";
  const std::string_view file = path.substr(path.rfind('/') + 1);
  const std::size_t dot = file.rfind('.');
  if (dot == std::string_view::npos) return kUnknown;
  const auto found = std::find_if(kContentTypes.begin(), kContentTypes.end(), [&](const auto& type) {
    return equal_ignoring_case(type.first, file.substr(dot + 1));
  });
  return found == kContentTypes.end() ? kUnknown : found->second;
}

std::string file_path(std::string_view raw) {
  std::string path;
  std::string segment;
  for (;;) {
    const std::size_t slash = raw.find('/');
    const bool last = slash == std::string_view::npos;
    segment.clear();
    if (!percent_decode(raw.substr(0, slash), segment, false)) throw bad_request("the path is malformed");
    if (last && segment.empty()) return path += "index.html";
    // A leading dot covers "." and ".." too. A slash can only have been an encoded one.
    if (segment.empty() || segment.front() == '.' || segment.find('/') != std::string::npos ||
        segment.find('\0') != std::string::npos) {
      throw not_found("no such file");
    }
    path += segment;
    if (last) return path;
    path += '/';
    raw.remove_prefix(slash + 1);
  }
}

FileServer::FileServer(const std::string& directory)
    : root_(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)) {
  if (root_ < 0) {
    throw std::invalid_argument(fmt::format("serve_files: the folder \"{}\": {}", directory, std::strerror(errno)));
  }
  const Descriptor probe(openat2_beneath(root_, ".", O_PATH | O_CLOEXEC));
  has_openat2_ = probe.get() >= 0;
}

FileServer::~FileServer() { ::close(root_); }

int FileServer::open_beneath(const std::string& path) const {
  if (path.size() >= PATH_MAX) {
    errno = ENAMETOOLONG;
    return -1;
  }
  return has_openat2_ ? openat2_beneath(root_, path.c_str(), kOpenFlags) : open_step_by_step(root_, path);
}

// For kernels without openat2 (before Linux 5.6), or where it is forbidden to us: no link can be followed safely.
int open_step_by_step(int folder, const std::string& path) {
  const int root = folder;
  std::size_t begin = 0;
  for (;;) {
    const std::size_t slash = path.find('/', begin);
    const bool last = slash == std::string::npos;
    const std::string segment = path.substr(begin, last ? slash : slash - begin);
    const int flags = last ? kOpenFlags : O_PATH | O_DIRECTORY | O_CLOEXEC;
    const int next = ::openat(folder, segment.c_str(), flags | O_NOFOLLOW);
    const int error = errno;
    if (folder != root) ::close(folder);
    errno = error;
    if (last || next < 0) return next;
    folder = next;
    begin = slash + 1;
  }
}

Response FileServer::serve(const Request& request) const {
  const Exchange& exchange = request.exchange();
  // {path...} is the last parameter of the route.
  const std::string path = file_path(exchange.params[exchange.param_count - 1].second);
  Descriptor file(open_beneath(path));
  if (file.get() < 0) refuse_open();
  struct stat facts{};
  if (::fstat(file.get(), &facts) != 0) refuse_open();
  if (S_ISDIR(facts.st_mode)) return redirect_to_folder(request);
  if (!S_ISREG(facts.st_mode)) throw not_found("no such file");
  return answer(request, Descriptor(file.release()), facts, content_type_of(path));
}

Response FileServer::redirect_to_folder(const Request& request) {
  const RequestHead& head = request.exchange().head;
  // "//host" and "/\host" would lead the browser to another site.
  if (head.path.size() > 1 && (head.path[1] == '/' || head.path[1] == '\\')) throw not_found("no such file");
  std::string location(head.path);
  location += '/';
  if (!head.query.empty()) location.append("?").append(head.query);
  return redirect(location, 301);
}

}  // namespace pronghorn::worker
