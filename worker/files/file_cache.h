// The files that were served within the last second: open, with what is said about them rendered.
//
// A file that is asked for often costs no system call to find; one that has changed, or is gone, is noticed within a
// second.
//
// Context: loop thread; one per FileServer.
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
#include "worker/fields/content_coding.h"
#include "worker/files/conditional.h"
#include "worker/net/open_file.h"

namespace pronghorn::worker {

// One representation of a file: itself, or a neighbour of it that is compressed already.
struct FileVariant {
  ContentCoding coding = ContentCoding::identity;
  std::shared_ptr<const OpenFile> file;
  Representation representation;
  std::string validators = {};  // the fields of a 304, "Name: value\r\n" each
  std::string fields = {};      // the same with those of a 200
};

struct ServedFile {
  std::string_view content_type;            // a literal
  std::vector<FileVariant> variants;        // the file itself first
  std::vector<ContentCoding> codings = {};  // of the others

  // What the client would rather have.
  [[nodiscard]] const FileVariant& variant_for(const RequestHead& head) const noexcept;
};

class FileCache {
 public:
  using Clock = std::chrono::steady_clock;

  FileCache() = default;
  FileCache(const FileCache&) = delete;
  FileCache& operator=(const FileCache&) = delete;
  ~FileCache() = default;

  // Null when it is not here, or was opened more than a second before `now`.
  [[nodiscard]] std::shared_ptr<const ServedFile> find(std::string_view key, Clock::time_point now) const;
  // Keeps a file that was opened at `now`; when the cache is full, it does not.
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
  detail::Timer sweep_{kValid};  // so that nothing stays open that nobody asks for
  bool sweep_planned_ = false;
};

}  // namespace pronghorn::worker
