#include "framing/framing_cases.h"

#include <iterator>
#include <utility>

namespace pronghorn::test {

FramingCase refused(std::string name, std::string bytes, int status) {
  return {std::move(name), std::move(bytes), {status}, After::closed};
}

std::string get_with(const std::string& fields) { return "GET /hello HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n"; }

std::string get_target(const std::string& target) { return "GET " + target + " HTTP/1.1\r\nHost: a\r\n\r\n"; }

std::string post_with(const std::string& fields, const std::string& body) {
  return "POST /echo HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n" + body;
}

std::string post_chunked(const std::string& chunks) { return post_with("Transfer-Encoding: chunked\r\n", chunks); }

FramingCases all_framing_cases() {
  FramingCases all;
  for (FramingCases part : {request_line_cases(), method_cases(),         version_cases(),
                            target_cases(),       odd_path_cases(),       host_cases(),
                            folding_cases(),      field_name_cases(),     field_value_cases(),
                            connection_cases(),   expect_cases(),         line_end_cases(),
                            control_cases(),      content_length_cases(), transfer_encoding_cases(),
                            smuggling_cases(),    chunk_cases(),          malformed_chunk_cases(),
                            trailer_cases(),      pipeline_cases()}) {
    all.insert(all.end(), std::make_move_iterator(part.begin()), std::make_move_iterator(part.end()));
  }
  return all;
}

}  // namespace pronghorn::test
