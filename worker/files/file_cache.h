// Keeps served files open for one second, with their header fields rendered.
//
// So finding a popular file needs no system call, and a change or removal becomes visible within a second.
//
// Context: loop thread; one cache per FileServer.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "pronghorn/task.h"
#include "pronghorn/timer.h"
#include "worker/fields/content/content_coding.h"
#include "worker/files/conditional.h"
#include "worker/net/open_file.h"

namespace pronghorn::worker {

// One representation of a file: the file itself, or a precompressed variant ("a.js.br").
struct FileVariant {
  ContentCoding coding = ContentCoding::identity;
  std::shared_ptr<const OpenFile> file;
  Representation representation;
  std::string validators = {};  // the header fields of a 304, "Name: value\r\n" each
  std::string fields = {};      // the header fields of a 200: `validators` and more
};

struct ServedFile {
  std::string_view content_type;            // a string literal
  std::vector<FileVariant> variants;        // the file itself is the first
  std::vector<ContentCoding> codings = {};  // the codings of the other variants

  // The variant that the client prefers.
  [[nodiscard]] const FileVariant& variant_for(const RequestHead& head) const noexcept;
};

class FileCache {
 public:
  using Clock = std::chrono::steady_clock;

  FileCache() = default;
  FileCache(const FileCache&) = delete;
  FileCache& operator=(const FileCache&) = delete;
  ~FileCache() = default;

  // Null if there is no entry, or it was opened more than a second before `now`.
  [[nodiscard]] std::shared_ptr<const ServedFile> find(std::string_view key, Clock::time_point now) const;
  // Adds a file that was opened at `now`. Does nothing if the cache is full.
  void keep(std::string_view key, std::shared_ptr<const ServedFile> file, Clock::time_point now);
  void clear() noexcept { entries_.clear(); }

 private:
  struct Entry {
    std::shared_ptr<const ServedFile> file;
    Clock::time_point opened;
  };
  struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>{}(text); }
  };
  void sweep_later();
  void sweep();

  static constexpr std::chrono::seconds kValid{1};
  std::unordered_map<std::string, Entry, TextHash, std::equal_to<>> entries_;
  detail::Timer sweep_{kValid};  // closes files that are no longer requested
  bool sweep_planned_ = false;
};

}  // namespace pronghorn::worker
