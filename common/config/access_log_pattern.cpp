#include "common/config/access_log_pattern.h"

#include <fmt/format.h>

#include <stdexcept>

namespace pronghorn {
namespace {

constexpr std::string_view kDirectives = "hrstmbBDUTqHPRLlu";

void add_text(std::vector<AccessLogPiece>& pieces, std::string_view text) {
  if (text.empty()) return;
  if (pieces.empty() || pieces.back().directive != 0) pieces.emplace_back();
  pieces.back().text += text;
}

}  // namespace

std::vector<AccessLogPiece> parse_access_log_pattern(std::string_view pattern) {
  std::vector<AccessLogPiece> pieces;
  while (!pattern.empty()) {
    const std::size_t percent = pattern.find('%');
    add_text(pieces, pattern.substr(0, percent));
    if (percent == std::string_view::npos) break;
    const std::string_view rest = pattern.substr(percent);
    pattern = rest.substr(1);
    if (pattern.starts_with('>')) pattern.remove_prefix(1);
    std::string_view name;
    if (pattern.starts_with('{')) {
      const std::size_t end = pattern.find('}');
      name = pattern.substr(1, end == std::string_view::npos ? 0 : end - 1);
      pattern.remove_prefix(end == std::string_view::npos ? pattern.size() : end + 1);
    }
    const char directive = pattern.empty() ? '\0' : pattern.front();
    const bool is_field = directive == 'i' && !name.empty();
    const bool is_tls = directive == 'x' && (name == "SSL_PROTOCOL" || name == "SSL_CIPHER");
    const bool is_plain = name.empty() && directive != '\0' && kDirectives.find(directive) != std::string_view::npos;
    if (directive == '%' && name.empty()) {
      add_text(pieces, "%");
    } else if (is_field || is_tls || is_plain) {
      pieces.push_back({directive, std::string(name)});
    } else {
      throw std::invalid_argument(
          fmt::format("unknown directive \"{}\"; use one of %h %r %s %t %m %b %D %T %U %q %H "
                      "%P %R %L %l %u %{{Name}}i %{{SSL_PROTOCOL}}x %{{SSL_CIPHER}}x %%",
                      rest.substr(0, rest.size() - pattern.size() + (directive ? 1 : 0))));
    }
    pattern.remove_prefix(1);
  }
  return pieces;
}

}  // namespace pronghorn
