// The header block of a response.
#pragma once

#include <nghttp2/nghttp2.h>

#include <array>
#include <span>
#include <string_view>
#include <vector>

#include "pronghorn/response.h"
#include "worker/http/response_rules.h"

namespace pronghorn::worker {

// What nghttp2 takes, and copies, as the fields of a block. It writes names in lower case.
//
// Context: loop thread; one per connection, reused for each block. What it returns is valid until the next call, and as
// long as its arguments.
class ResponseFields {
 public:
  struct Ids {
    std::string_view request_id;
    std::string_view traceparent;  // empty: none
  };
  // The status, what the server adds, then the response's own fields, without those that belong to an HTTP/1
  // connection. Date and Server fields of the application replace those of the server.
  [[nodiscard]] std::span<const nghttp2_nv> of_response(const Response& response, const ResponseContent& content,
                                                        const Ids& ids);
  // Of an interim response: its fields are `lines`, "Name: value\r\n" each.
  [[nodiscard]] std::span<const nghttp2_nv> of_interim(int status, std::string_view lines);
  // Of a trailer section: lines as above.
  [[nodiscard]] std::span<const nghttp2_nv> of_trailers(std::string_view lines);

 private:
  void begin(int status);
  void add_literal(std::string_view name, std::string_view value, unsigned flags = NGHTTP2_NV_FLAG_NONE);
  void add(std::string_view name, std::string_view value, unsigned flags);
  void add_lines(std::string_view lines);

  std::vector<nghttp2_nv> fields_;
  std::array<char, 3> status_{};
  std::array<char, 20> length_{};
};

}  // namespace pronghorn::worker
