#include "worker/websocket/handshake/deflate_offer.h"

#include <utility>

#include "worker/fields/characters.h"
#include "worker/fields/text.h"

namespace pronghorn::worker {
namespace {

constexpr std::string_view kName = "permessage-deflate";

// Reads the parts of a field from left to right.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : rest_(text) {}

  // Skips blanks, then `c` if it comes next.
  [[nodiscard]] bool skip(char c) noexcept {
    skip_blanks();
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  [[nodiscard]] bool at_end() noexcept {
    skip_blanks();
    return rest_.empty();
  }
  // Empty if no token comes next.
  [[nodiscard]] std::string_view token() noexcept {
    skip_blanks();
    std::size_t size = 0;
    while (size < rest_.size() && is_token(rest_.substr(size, 1))) ++size;
    const std::string_view token = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return token;
  }
  // A token or a quoted string whose content is a token; empty if neither comes next.
  [[nodiscard]] std::string value() {
    if (!skip('"')) return std::string(token());
    std::string value;
    while (!rest_.empty() && rest_.front() != '"') {
      if (rest_.front() == '\\') rest_.remove_prefix(1);
      if (rest_.empty()) return {};
      value += rest_.front();
      rest_.remove_prefix(1);
    }
    if (rest_.empty() || !is_token(value)) return {};
    rest_.remove_prefix(1);
    return value;
  }

 private:
  void skip_blanks() noexcept {
    while (!rest_.empty() && is_blank(rest_.front())) rest_.remove_prefix(1);
  }
  std::string_view rest_;
};

bool parse_extension(Cursor& cursor, WebSocketExtension& extension) {
  extension.name = cursor.token();
  if (extension.name.empty()) return false;
  while (cursor.skip(';')) {
    WebSocketExtension::Parameter& parameter = extension.parameters.emplace_back();
    parameter.name = cursor.token();
    if (parameter.name.empty()) return false;
    if (!cursor.skip('=')) continue;
    parameter.value = cursor.value();
    if (parameter.value->empty()) return false;
  }
  return true;
}

// The parameters of an offer or an answer.
struct Parameters {
  bool server_takeover = true;
  bool client_takeover = true;
  bool client_window_named = false;
  std::optional<int> server_window;
  std::optional<int> client_window;
};

std::optional<int> window_bits(std::string_view digits) noexcept {
  if (digits == "8" || digits == "9") return digits.front() - '0';
  if (digits.size() == 2 && digits[0] == '1' && digits[1] >= '0' && digits[1] <= '5') return 10 + digits[1] - '0';
  return std::nullopt;
}

// False if a parameter is unknown, is repeated, or has a value that it cannot have (RFC 7692 section 7.1).
bool read_parameter(const WebSocketExtension::Parameter& parameter, Parameters& parameters) noexcept {
  const auto& [name, value] = parameter;
  if (name == "server_no_context_takeover") return !value && std::exchange(parameters.server_takeover, false);
  if (name == "client_no_context_takeover") return !value && std::exchange(parameters.client_takeover, false);
  if (name == "server_max_window_bits") {
    if (parameters.server_window || !value) return false;
    return (parameters.server_window = window_bits(*value)).has_value();
  }
  if (name == "client_max_window_bits") {
    if (std::exchange(parameters.client_window_named, true)) return false;
    return !value || (parameters.client_window = window_bits(*value)).has_value();
  }
  return false;
}

std::optional<Parameters> read_parameters(const WebSocketExtension& extension) noexcept {
  Parameters parameters;
  if (!equal_ignoring_case(extension.name, kName)) return std::nullopt;
  for (const WebSocketExtension::Parameter& parameter : extension.parameters) {
    if (!read_parameter(parameter, parameters)) return std::nullopt;
  }
  return parameters;
}

}  // namespace

bool parse_extensions(std::string_view field, std::vector<WebSocketExtension>& extensions) {
  Cursor cursor(field);
  while (!cursor.at_end()) {
    if (cursor.skip(',')) continue;  // an empty element
    if (!parse_extension(cursor, extensions.emplace_back())) return false;
    if (!cursor.at_end() && !cursor.skip(',')) return false;
  }
  return true;
}

std::optional<DeflateAnswer> accept_deflate(const std::vector<WebSocketExtension>& offers) {
  for (const WebSocketExtension& offer : offers) {
    const std::optional<Parameters> offered = read_parameters(offer);
    if (!offered || offered->server_window == 8) continue;
    DeflateAnswer answer;
    answer.field = std::string(kName) + "; server_no_context_takeover; client_no_context_takeover";
    if (offered->server_window) {
      answer.terms.window_bits = static_cast<std::uint8_t>(*offered->server_window);
      answer.field += "; server_max_window_bits=" + std::to_string(*offered->server_window);
    }
    return answer;
  }
  return std::nullopt;
}

std::optional<DeflateTerms> read_deflate_answer(std::string_view field) {
  std::vector<WebSocketExtension> extensions;
  if (!parse_extensions(field, extensions) || extensions.size() != 1) return std::nullopt;
  const std::optional<Parameters> answer = read_parameters(extensions.front());
  if (!answer || answer->server_takeover || answer->client_window == 8) return std::nullopt;
  if (answer->client_window_named && !answer->client_window) return std::nullopt;  // only an offer may leave it open
  return DeflateTerms{static_cast<std::uint8_t>(answer->client_window.value_or(15))};
}

}  // namespace pronghorn::worker
