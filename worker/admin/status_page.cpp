#include "worker/admin/status_page.h"

#include "worker/admin/status_page_parts.h"

namespace pronghorn::worker {

namespace {

void append_escaped(std::string& page, std::string_view text) {
  for (const char c : text) {
    switch (c) {
      case '&':
        page += "&amp;";
        break;
      case '<':
        page += "&lt;";
        break;
      default:
        page += c;
    }
  }
}

}  // namespace

std::string status_page(std::string_view name, std::string_view nonce) {
  std::string page;
  page.reserve(kPageStyle.size() + kPageBody.size() + kPageColumns.size() + kPageScript.size() + 512);
  page += R"(<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>)";
  append_escaped(page, name);
  page += " status</title>\n<style nonce=\"";
  page += nonce;
  page += "\">";
  page += kPageStyle;
  page += "</style>\n</head>\n<body>\n<main>\n<header>\n  <h1>";
  append_escaped(page, name);
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

}  // namespace pronghorn::worker
