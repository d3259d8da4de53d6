// Tokens. Input: a JWT as a client sends it; and a header line and a payload, which are signed first, so that what
// comes after the signature is reached as well. Also what else of tokens and keys is parsed: base64url, refresh tokens,
// hashes of passwords.
#include <string>

#include "fuzz/fuzz_target.h"
#include "pronghorn/token.h"
#include "worker/crypto/base64.h"
#include "worker/crypto/jwt/jwt.h"
#include "worker/crypto/jwt/strict_json.h"
#include "worker/crypto/password_hash.h"
#include "worker/tokens/refresh_token.h"

namespace pronghorn::fuzz::token {
namespace {

using namespace worker;

constexpr std::int64_t kNow = 1'300'819'000;
const TokenRules kRules{.issuer = "joe", .audience = "shop", .leeway = 30, .needs_id = true};

KeyRing& keys() {
  static KeyRing ring(
      R"({"keys":[{"kid":"h","kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0i"},)"
      R"({"kid":"e","kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},)"
      R"({"kid":"p","kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",)"
      R"("y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]})");
  return ring;
}

void check(std::string_view token) {
  const auto verified = verify_jwt(token, keys(), kRules, kNow);
  if (!verified) return;
  require(token.size() <= kMaxToken, "a valid token is not too long");
  require(verified->expires + kRules.leeway > kNow, "a valid token has not expired");
  require(!verified->id.empty() && verified->issuer == "joe", "a valid token has an id and our issuer");
  require(parse_strict_object(verified->claims).has_value(), "claims are JSON");
  const std::size_t signature = token.rfind('.') + 1;
  std::string changed(token);
  changed[signature] = changed[signature] == 'A' ? 'B' : 'A';
  require(!verify_jwt(changed, keys(), kRules, kNow), "another signature is not valid");
}

std::string sign(std::string_view header, std::string_view payload) {
  std::string text = encode_base64(header) + "." + encode_base64(payload);
  const std::string signature = keys().find("h")->sign(text);
  return text + "." + encode_base64(signature);
}

}  // namespace

static void fuzz(std::string_view input) {
  check(input);
  for (const Base64 alphabet : {Base64::url, Base64::plain}) {
    const auto bytes = decode_base64(input, alphabet);
    if (bytes) require(encode_base64(*bytes, alphabet) == input, "bytes have one text");
    require(decode_base64(encode_base64(input, alphabet), alphabet) == input, "a text has its bytes");
  }
  if (const auto refresh = parse_refresh_token(input, "shop"))
    require(refresh->text == input, "a refresh token is its text");
  if (const auto hash = parse_password_hash(input)) {
    require((std::uint64_t{128} << hash->cost.log2_n) * hash->cost.r <= 128ULL * 1024 * 1024, "memory is bounded");
  }
  const std::string_view header = take_line(input);
  check(sign(header, input));
}

static std::vector<std::string> seeds() {
  const std::string header = R"({"alg":"HS256","kid":"h"})";
  const std::string claims =
      R"({"iss":"joe","sub":"ann","aud":["shop"],"exp":1300819380,"nbf":1,"iat":1.5,"jti":"1","scope":"a b","sid":"f"})";
  return {
      sign(header, claims),
      header + "\n" + claims,
      header + "\n" + R"({"iss":"joe","aud":"shop","exp":-1,"jti":"1"})",
      header + "\n" + R"({"iss":"joe","iss":"joe","exp":1e300})",
      header + "\n{\"a\":[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]}",
      R"({"alg":"none"})"
      "\n" +
          claims,
      R"({"alg":"HS256","kid":"p"})"
      "\n" +
          claims,
      R"({"alg":"HS256","kid":"h","crit":["exp"],"jwk":{}})"
      "\n" +
          claims,
      "eyJhbGciOiJub25lIn0.eyJpc3MiOiJqb2UifQ.",
      "eyJhbGciOiJFUzI1NiIsImtpZCI6InAifQ.eyJpc3MiOiJqb2UifQ." + std::string(86, 'A'),
      "eyJhbGciOiJFZERTQSIsImtpZCI6ImUifQ.eyJpc3MiOiJqb2UifQ." + std::string(86, 'A'),
      "AAAAAAAAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
      "$scrypt$ln=16,r=8,p=1$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E",
      "..",
      std::string(9000, '.'),
  };
}

static const Registered kRegistered({"token", fuzz, seeds});

}  // namespace pronghorn::fuzz::token
