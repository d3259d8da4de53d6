// Compresses one body, as a whole or piece by piece.
//
// Context: any thread; one object in one thread at a time. Errors: std::bad_alloc.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "worker/fields/content/content_coding.h"

namespace pronghorn::worker {

class ContentEncoder {
 public:
  enum class Then {
    go_on,   // more follows
    flush,   // more follows, but what has been added so far must be decodable
    finish,  // nothing follows
  };

  ContentEncoder() = default;
  ContentEncoder(const ContentEncoder&) = delete;
  ContentEncoder& operator=(const ContentEncoder&) = delete;
  virtual ~ContentEncoder() = default;

  // Compresses `bytes` and appends the output that is ready to `out`.
  virtual void add(std::string_view bytes, Then then, std::string& out) = 0;
};

// `coding` must not be identity. `size` is the size of the whole body in bytes, if known. Otherwise windows are small,
// because many streams may last long: they take up to 0.3 MiB each for gzip, 0.6 MiB for br, 0.8 MiB for zstd.
[[nodiscard]] std::unique_ptr<ContentEncoder> make_content_encoder(ContentCoding coding,
                                                                   std::optional<std::uint64_t> size = std::nullopt);

}  // namespace pronghorn::worker
