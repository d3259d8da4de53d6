#include "worker/admin/status_page.h"

#include <sys/random.h>

#include <array>
#include <cerrno>
#include <system_error>

#include "worker/admin/status_page_parts.h"

namespace pronghorn::worker {

std::string status_page(std::string_view nonce) {
  std::string page;
  page.reserve(kPageStyle.size() + kPageBody.size() + kPageColumns.size() + kPageScript.size() + 512);
  page += R"(<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Pronghorn status</title>
<style nonce=")";
  page += nonce;
  page += "\">";
  page += kPageStyle;
  page += "</style>\n</head>\n";
  page += kPageBody;
  page += "<script nonce=\"";
  page += nonce;
  page += "\">";
  page += kPageColumns;
  page += kPageScript;
  page += "</script>\n</body>\n</html>\n";
  return page;
}

std::string content_security_policy(std::string_view nonce) {
  std::string policy = "default-src 'none'; connect-src 'self'; base-uri 'none'; form-action 'none'; ";
  policy += "frame-ancestors 'none'; img-src data:; style-src 'nonce-";
  policy += nonce;
  policy += "'; script-src 'nonce-";
  policy += nonce;
  policy += "'";
  return policy;
}

std::string make_nonce() {
  std::array<unsigned char, 16> bytes{};
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    throw std::system_error(errno, std::generic_category(), "no random bytes");
  }
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string nonce;
  for (const unsigned char byte : bytes) {
    nonce += kDigits[byte >> 4U];
    nonce += kDigits[byte & 15U];
  }
  return nonce;
}

}  // namespace pronghorn::worker
