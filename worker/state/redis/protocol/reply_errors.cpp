#include "worker/state/redis/protocol/reply_errors.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace pronghorn::worker {
namespace {

constexpr std::array<std::string_view, 10> kRefusals{"READONLY", "OOM",        "MISCONF",     "NOREPLICAS", "LOADING",
                                                     "BUSY",     "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN",   "DENIED"};
// They last until somebody changes the user or the password.
constexpr std::array<std::string_view, 3> kNoPermission{"NOPERM", "NOAUTH", "WRONGPASS"};

bool contains(const auto& codes, std::string_view code) noexcept {
  return std::ranges::find(codes, code) != codes.end();
}

// Errors about what a key holds, without a code of their own. Some are also about an argument; then the key does no
// harm.
constexpr std::array<std::string_view, 10> kAboutValues{"value is not an integer",
                                                        "value is not a float",
                                                        "value is not a valid float",
                                                        "increment or decrement would overflow",
                                                        "increment would produce NaN or Infinity",
                                                        "string exceeds maximum allowed size",
                                                        "resulting score is not a number",
                                                        "index out of range",
                                                        "no such key",
                                                        "is equal or smaller than the target stream top item"};

bool is_about_a_value(std::string_view error) noexcept {
  const std::string_view code = error_code(error);
  if (code == "WRONGTYPE" || code == "INVALIDOBJ") return true;
  return error.starts_with("ERR ") && std::ranges::any_of(kAboutValues, [error](std::string_view text) {
           return error.find(text) != std::string_view::npos;
         });
}

std::string_view first_word(std::string_view text) noexcept { return text.substr(0, text.find(' ')); }

}  // namespace

std::string_view error_code(std::string_view error) noexcept {
  const std::string_view code = first_word(error);
  if (code != "ERR") return code;
  if (error.starts_with("ERR The user executing the script can't")) return "NOPERM";
  // Redis before version 7: "ERR Error running script (call to f_…): @user_script:1: @user_script: 1: -READONLY You …"
  if (error.starts_with("ERR Error running script")) {
    if (error.find("The user executing the script can't") != std::string_view::npos) return "NOPERM";
    const std::size_t inner = error.rfind(": -");
    if (inner != std::string_view::npos) return first_word(error.substr(inner + 3));
  }
  return code;
}

bool is_refusal(std::string_view error) noexcept {
  const std::string_view code = error_code(error);
  return contains(kRefusals, code) || contains(kNoPermission, code) || error.starts_with("ERR max number of clients");
}

bool is_redirection(std::string_view error) noexcept {
  const std::string_view code = first_word(error);
  return code == "MOVED" || code == "ASK" || code == "TRYAGAIN";
}

bool is_wrong_server(std::string_view error) noexcept {
  const std::string_view code = error_code(error);
  return code == "READONLY" || code == "MASTERDOWN";
}

std::string shown_key(std::string_view key) {
  constexpr std::size_t kShown = 128;
  std::string text;
  for (const char c : key.substr(0, kShown)) {
    if (c > ' ' && c < 0x7f) {
      text += c;
    } else {
      text += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  return text + (key.size() > kShown ? "…" : "");
}

void name_keys(Reply& reply, std::span<const std::string_view> keys) {
  constexpr std::size_t kNamed = 16;
  if (!reply.is_error() || keys.empty() || !is_about_a_value(reply.error())) return;
  std::string names;
  for (const std::string_view key : keys.first(std::min(keys.size(), kNamed))) {
    names += (names.empty() ? "" : ", ") + shown_key(key);
  }
  if (keys.size() > kNamed) names += ", …";
  reply = Reply(Reply::Error{fmt::format("{} ({} {})", reply.error(), keys.size() == 1 ? "key" : "one of", names)});
}

void require_success(const Reply& reply) {
  if (!reply.is_error()) return;
  if (is_refusal(reply) && !contains(kNoPermission, error_code(reply.error()))) throw RedisUnavailable(reply.error());
  throw RedisError(reply.error());
}

void require_served(const Reply& reply) {
  if (!reply.is_error()) return;
  if (is_refusal(reply)) throw RedisUnavailable(reply.error());
  throw RedisError(reply.error());
}

}  // namespace pronghorn::worker
