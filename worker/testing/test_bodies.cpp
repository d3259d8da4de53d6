#include "worker/testing/test_bodies.h"

#include <cctype>

namespace pronghorn::worker {

namespace {

void append_encoded(std::string& out, std::string_view text) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || std::string_view("*-._").find(c) != std::string_view::npos) {
      out += c;
    } else if (c == ' ') {
      out += '+';
    } else {
      out.append({'%', kDigits[byte >> 4], kDigits[byte & 15]});
    }
  }
}

// As browsers do it: quotation marks and line breaks are percent-encoded.
void append_quoted(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    if (c == '"') out += "%22";
    if (c == '\r') out += "%0D";
    if (c == '\n') out += "%0A";
    if (c != '"' && c != '\r' && c != '\n') out += c;
  }
  out += '"';
}

}  // namespace

std::string encode_form(const std::vector<std::pair<std::string, std::string>>& fields) {
  std::string body;
  for (const auto& [name, value] : fields) {
    if (!body.empty()) body += '&';
    append_encoded(body, name);
    body += '=';
    append_encoded(body, value);
  }
  return body;
}

std::string encode_multipart(const std::vector<TestPart>& parts, std::string_view boundary) {
  std::string body;
  for (const TestPart& part : parts) {
    body.append("--").append(boundary).append("\r\nContent-Disposition: form-data; name=");
    append_quoted(body, part.name);
    if (part.filename) {
      body.append("; filename=");
      append_quoted(body, *part.filename);
    }
    if (!part.content_type.empty()) body.append("\r\nContent-Type: ").append(part.content_type);
    body.append("\r\n\r\n").append(part.content).append("\r\n");
  }
  return body.append("--").append(boundary).append("--\r\n");
}

}  // namespace pronghorn::worker
