#include "worker/files/files.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <stdexcept>
#include <utility>

#include "pronghorn/error.h"
#include "worker/exchange/exchange.h"
#include "worker/fields/characters.h"
#include "worker/fields/content/content_types.h"
#include "worker/fields/http_date.h"
#include "worker/files/conditional.h"
#include "worker/files/range_parts.h"
#include "worker/http/open_error.h"
#include "worker/http/response_access.h"

namespace pronghorn::worker {

namespace {

constexpr std::uint64_t kHeldInMemory = 16 * 1024;  // files up to this size are cached with their content

// Precompressed variants, in the server's order of preference.
constexpr auto kNeighbours = std::to_array<std::pair<ContentCoding, std::string_view>>({
    {ContentCoding::br, ".br"},
    {ContentCoding::gzip, ".gz"},
});

std::uint64_t nanoseconds(const timespec& time) noexcept {
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000ULL + static_cast<std::uint64_t>(time.tv_nsec);
}

// The tag includes the inode and its change time, because container images give all files one modification time.
std::string make_etag(const struct stat& facts, ContentCoding coding) {
  const bool plain = coding == ContentCoding::identity;
  return fmt::format("\"{:x}-{:x}-{:x}-{:x}{}{}\"", nanoseconds(facts.st_mtim), facts.st_size, facts.st_ino,
                     nanoseconds(facts.st_ctim), plain ? "" : "-", plain ? "" : name_of(coding));
}

Representation representation_of(const struct stat& facts, ContentCoding coding) {
  return {make_etag(facts, coding),
          std::min(facts.st_mtim.tv_sec, std::time(nullptr)),  // never later than Date (RFC 9110 section 8.8.2.1)
          static_cast<std::uint64_t>(facts.st_size)};
}

FileVariant make_variant(ContentCoding coding, std::shared_ptr<const OpenFile> file, const struct stat& facts) {
  FileVariant variant{coding, std::move(file), representation_of(facts, coding)};
  std::string content;
  const std::uint64_t size = variant.representation.size;
  if (size <= kHeldInMemory && variant.file->append(content, 0, static_cast<std::size_t>(size))) {
    variant.file = std::make_shared<const OpenFile>(std::move(content));
  }
  return variant;
}

// Errors of open() that clients see as 404: there is no such file, it is not readable, or it is outside of the folder
// (EXDEV, ELOOP) or a socket (ENXIO).
bool is_not_served(int error) noexcept {
  constexpr int kErrors[] = {ENOENT, ENOTDIR, ENAMETOOLONG, EACCES, EPERM, EXDEV, ELOOP, ENXIO, ENODEV};
  return std::find(std::begin(kErrors), std::end(kErrors), error) != std::end(kErrors);
}

// The files of the kernel (/proc, /sys) have no blocks, and say that they have 0 bytes or a page, whatever they have.
bool lies_about_size(int fd, const struct stat& facts) noexcept {
  if (!S_ISREG(facts.st_mode) || facts.st_blocks != 0) return false;
  char last = 0;
  return facts.st_size == 0 ? ::pread(fd, &last, 1, 0) != 0 : ::pread(fd, &last, 1, facts.st_size - 1) != 1;
}

Response whole(const ServedFile& served, const FileVariant& variant) {
  Response response = ResponseAccess::from_file(variant.file, 0, variant.representation.size);
  ResponseAccess::literal_type(response, served.content_type);
  ResponseAccess::fields(response, variant.fields);
  return response;
}

Response partial(const ServedFile& served, const FileVariant& variant, Selection selection) {
  const std::uint64_t size = variant.representation.size;
  Response response;
  if (selection.ranges.size() == 1) {
    const ByteRange& range = selection.ranges.front();
    response = ResponseAccess::from_file(variant.file, range.offset, range.length);
    ResponseAccess::literal_type(response, served.content_type);
    ResponseAccess::fields(response, variant.fields);
    response.append("Content-Range", content_range(range, size));
  } else {
    response = range_parts(variant.file, std::move(selection.ranges), size, served.content_type);
    ResponseAccess::fields(response, variant.fields);
  }
  response.status(206);
  return response;
}

Response answer(const Request& request, const ServedFile& served, const FileVariant& variant) {
  Selection selection = select(request, variant.representation);
  switch (selection.status) {
    case 200:
      return whole(served, variant);
    case 206:
      return partial(served, variant, std::move(selection));
    case 304: {
      Response response = ResponseAccess::from_file(variant.file, 0, 0);  // which compression() leaves alone
      response.status(304);
      ResponseAccess::fields(response, variant.validators);
      return response;
    }
    default: {
      HttpError error(selection.status, "");
      error.set("ETag", variant.representation.etag);
      if (selection.status == 416) error.set("Content-Range", fmt::format("bytes */{}", variant.representation.size));
      throw error;
    }
  }
}

}  // namespace

FileServer::FileServer(const std::string& directory, FilesOptions options)
    : folder_(directory), options_(std::move(options)) {
  if (!is_field_value(options_.cache_control)) {
    throw std::invalid_argument("serve_files: cache_control contains a control character");
  }
}

struct FileServer::Opened {
  std::shared_ptr<const OpenFile> file;  // null if there is none, or it must not be served
  struct stat facts{};
};

FileServer::Opened FileServer::open(const std::string& path) {
  int fd = folder_.open(path);
  if (fd < 0 && is_shortage(errno)) {
    cache_.clear();  // frees descriptors
    fd = folder_.open(path);
  }
  if (fd < 0 && !is_not_served(errno)) throw_open_error(path, errno);
  Opened opened;
  if (fd < 0) return opened;
  opened.file = std::make_shared<const OpenFile>(fd);
  if (::fstat(fd, &opened.facts) != 0 || lies_about_size(fd, opened.facts)) opened.file = nullptr;
  return opened;
}

std::shared_ptr<const ServedFile> FileServer::load(const std::string& path) {
  folder_.refresh();
  Opened opened = open(path);
  if (opened.file && S_ISDIR(opened.facts.st_mode)) return nullptr;
  if (!opened.file || !S_ISREG(opened.facts.st_mode)) throw not_found("no such file");
  auto served = std::make_shared<ServedFile>();
  served->content_type = content_type_of(path);
  served->variants.push_back(make_variant(ContentCoding::identity, std::move(opened.file), opened.facts));
  if (is_compressible(served->content_type)) add_neighbours(*served, path);
  render_fields(*served);
  return served;
}

// A variant that is older than the file was made from an earlier version of it.
void FileServer::add_neighbours(ServedFile& served, const std::string& path) {
  for (const auto& [coding, suffix] : kNeighbours) {
    Opened opened = open(path + std::string(suffix));
    if (!opened.file || !S_ISREG(opened.facts.st_mode)) continue;
    if (opened.facts.st_mtim.tv_sec < served.variants.front().representation.modified) continue;
    served.variants.push_back(make_variant(coding, std::move(opened.file), opened.facts));
    served.codings.push_back(coding);
  }
}

void FileServer::render_fields(ServedFile& served) const {
  for (FileVariant& variant : served.variants) {
    variant.validators = fmt::format("ETag: {}\r\nLast-Modified: {}\r\n", variant.representation.etag,
                                     http_date(variant.representation.modified));
    if (!served.codings.empty()) variant.validators += "Vary: Accept-Encoding\r\n";
    if (!options_.cache_control.empty()) {
      variant.validators += fmt::format("Cache-Control: {}\r\n", options_.cache_control);
    }
    variant.fields = variant.validators + "Accept-Ranges: bytes\r\n";
    if (variant.coding != ContentCoding::identity) {
      variant.fields += fmt::format("Content-Encoding: {}\r\n", name_of(variant.coding));
    }
  }
}

std::shared_ptr<const ServedFile> FileServer::find(std::string_view raw_path,
                                                   std::chrono::steady_clock::time_point now) {
  if (auto cached = cache_.find(raw_path, now)) return cached;
  auto served = load(relative_path(raw_path, options_.dotfiles));
  if (served) cache_.keep(raw_path, served, now);
  return served;
}

Response FileServer::serve(const Request& request) {
  const Exchange& exchange = request.exchange();
  // The last parameter of the route is {path...}.
  const auto served = find(exchange.params[exchange.param_count - 1].second, exchange.started);
  if (!served) return redirect_to_folder(request);
  return answer(request, *served, served->variant_for(exchange.head));
}

Response FileServer::redirect_to_folder(const Request& request) {
  const RequestHead& head = request.exchange().head;
  // A browser would take "//host" and "/\host" for another site. A path that ends in '/' has an index.html that is a
  // folder.
  const bool leads_away = head.path.size() > 1 && (head.path[1] == '/' || head.path[1] == '\\');
  if (leads_away || head.path.ends_with('/')) throw not_found("no such file");
  std::string location(head.path);
  location += '/';
  if (!head.query.empty()) location.append("?").append(head.query);
  return redirect(location, 301);
}

}  // namespace pronghorn::worker
