// Refresh tokens as text: "FAMILY.SECRET", 16 and 32 random bytes in base64url.
//
// Redis and access tokens name a family by a digest of FAMILY, so neither reveals a part of a refresh token: whoever
// has seen an access token cannot end the family with a made-up secret. The digest is also of whose tokens they are, so
// to everybody else the family is unknown.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pronghorn::worker {

struct RefreshToken {
  std::string family_part;
  std::string family;  // its digest: 32 hex digits
  std::string text;
  std::string digest;  // of `text`, as Redis has it
};

// `owner` is whose tokens they are.
[[nodiscard]] RefreshToken new_refresh_token(std::string_view owner);
// The next one of the same family.
[[nodiscard]] RefreshToken next_refresh_token(const RefreshToken& current);
// nullopt if a client's text does not have the form of a refresh token.
[[nodiscard]] std::optional<RefreshToken> parse_refresh_token(std::string_view text, std::string_view owner);
// Those of the words of a client's text that have this form; of at most four words, and each token once.
[[nodiscard]] std::vector<RefreshToken> parse_refresh_tokens(std::string_view text, std::string_view owner);
// Whether a text has this form.
[[nodiscard]] bool is_refresh_token(std::string_view text);

}  // namespace pronghorn::worker
