// Conditional and range requests. Input: the size of the file in a line, then header fields, one a line.
#include <cstdint>
#include <memory>

#include "fuzz/fuzz_target.h"
#include "worker/exchange/exchange.h"
#include "worker/fields/http_date.h"
#include "worker/fields/text.h"
#include "worker/files/conditional.h"

namespace pronghorn::fuzz::conditional {

namespace {

std::uint64_t read_size(std::string_view digits) {
  std::uint64_t size = 0;
  for (const char c : digits) size = size * 10 + static_cast<unsigned char>(c) % 10U;  // may wrap: any size will do
  return size & INT64_MAX;                                                             // files are not larger
}

void read_fields(std::string_view lines, worker::RequestHead& head) {
  while (!lines.empty() && head.field_count < worker::kMaxHeaderFields) {
    const std::string_view line = take_line(lines);
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    head.fields[head.field_count++] = {line.substr(0, colon), worker::trim_blanks(line.substr(colon + 1))};
  }
}

}  // namespace

static void fuzz(std::string_view input) {
  const auto exchange = std::make_unique<worker::Exchange>();
  exchange->head.clear();
  exchange->head.method = "GET";
  const std::string bytes(input);
  std::string_view lines = bytes;
  const worker::Representation file{"\"abc\"", 784111777, read_size(take_line(lines))};
  read_fields(lines, exchange->head);

  const worker::Selection selection = worker::select(exchange->request, file);
  std::uint64_t total = 0;
  for (const worker::ByteRange& range : selection.ranges) {
    require(range.length > 0 && range.length <= file.size && range.offset <= file.size - range.length,
            "a range lies in the file");
    total += range.length;
  }
  require(total <= file.size, "all ranges together are no more than the file");
  if (selection.status == 206) {
    require(!selection.ranges.empty(), "206 has a range");
  } else {
    require(selection.ranges.empty(), "only 206 has ranges");
    require(selection.status == 200 || selection.status == 304 || selection.status == 412 || selection.status == 416,
            "another status");
  }
  static_cast<void>(worker::parse_http_date(lines));
}

static std::vector<std::string> seeds() {
  std::vector<std::string> inputs;
  for (const char* fields : {
           "Range: bytes=0-0",
           "Range: bytes=5-9",
           "Range: bytes=5-",
           "Range: bytes=-5",
           "Range: bytes=9-5",
           "Range: bytes=0-0,5-9",
           "Range: bytes=18446744073709551615-",
           "Range: bytes=-18446744073709551616",
           "Range: bytes=-0",
           "Range: bytes=",
           "Range: items=0-1",
           "Range: bytes=0-\nIf-Range: \"abc\"",
           "Range: bytes=0-\nIf-Range: Sun, 06 Nov 1994 08:49:37 GMT",
           "If-Match: *",
           "If-Match: \"abc\", W/\"def\"",
           "If-None-Match: \"abc\"",
           "If-None-Match: W/\"abc\"",
           "If-None-Match: \"",
           "If-None-Match: W/",
           "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT",
           "If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT",
           "If-Modified-Since: Sun Nov  6 08:49:37 1994",
           "If-Unmodified-Since: Sun, 31 Feb 9999 23:59:60 GMT",
       }) {
    for (const char* size : {"0\n", "1\n", "1000\n"}) inputs.push_back(std::string(size) + fields);
  }
  return inputs;
}

static const Registered kRegistered({"conditional", fuzz, seeds});

}  // namespace pronghorn::fuzz::conditional
