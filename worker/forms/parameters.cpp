#include "worker/forms/parameters.h"

#include <algorithm>
#include <utility>

#include "worker/fields/characters.h"
#include "worker/fields/text.h"

namespace pronghorn::worker {
namespace {

void skip_blanks(std::string_view& text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
}

// Removes a quoted-string from the front of `text` and appends its content to `value`. False if it is not closed.
bool take_quoted(std::string_view& text, std::string& value) {
  text.remove_prefix(1);
  while (!text.empty() && text.front() != '"') {
    if (text.front() == '\\' && text.size() > 1 && (text[1] == '"' || text[1] == '\\')) text.remove_prefix(1);
    value += text.front();
    text.remove_prefix(1);
  }
  if (text.empty()) return false;
  text.remove_prefix(1);
  return true;
}

bool take_unquoted(std::string_view& text, std::string& value) {
  std::size_t size = 0;
  while (size < text.size() && text[size] > ' ' && text[size] < '\x7f' && text[size] != ';' && text[size] != '"' &&
         text[size] != '\\') {
    ++size;
  }
  value = text.substr(0, size);
  text.remove_prefix(size);
  return size > 0;
}

}  // namespace

const std::string* ParameterizedValue::find(std::string_view name) const noexcept {
  for (const Parameter& parameter : parameters) {
    if (equal_ignoring_case(parameter.name, name)) return &parameter.value;
  }
  return nullptr;
}

std::optional<ParameterizedValue> parse_parameters(std::string_view field) {
  ParameterizedValue result;
  const std::size_t first = std::min(field.find(';'), field.size());
  result.value = trim_blanks(field.substr(0, first));
  std::string_view rest = field.substr(first);
  for (skip_blanks(rest); !rest.empty(); skip_blanks(rest)) {
    if (rest.front() != ';') return std::nullopt;
    rest.remove_prefix(1);
    skip_blanks(rest);
    if (rest.empty()) break;  // a semicolon at the end
    const std::size_t equals = rest.find('=');
    if (equals == std::string_view::npos || !is_token(rest.substr(0, equals))) return std::nullopt;
    Parameter parameter{rest.substr(0, equals), {}};
    rest.remove_prefix(equals + 1);
    const bool quoted = rest.starts_with('"');
    if (quoted ? !take_quoted(rest, parameter.value) : !take_unquoted(rest, parameter.value)) return std::nullopt;
    if (result.find(parameter.name) != nullptr || result.parameters.size() == kMaxParameters) return std::nullopt;
    result.parameters.push_back(std::move(parameter));
  }
  return result;
}

}  // namespace pronghorn::worker
