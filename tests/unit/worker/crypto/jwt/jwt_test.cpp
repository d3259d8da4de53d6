// JSON Web Tokens: the examples of the RFCs, and what a stranger may send.
#include "worker/crypto/jwt/jwt.h"

#include <string>

#include "pronghorn/secrets.h"
#include "pronghorn/token.h"
#include "support/catch.h"
#include "worker/crypto/base64.h"

using namespace pronghorn;
using namespace pronghorn::worker;
using nlohmann::json;

namespace {

constexpr std::int64_t kNow = 1'300'819'000;  // shortly before the examples of RFC 7515 expire
const TokenRules kJoe{.issuer = "joe", .audience = "", .leeway = 30, .needs_id = false};

constexpr const char* kHs256Key =
    R"({"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"})";
constexpr const char* kRs256Key =
    R"({"kty":"RSA","e":"AQAB","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"})";
constexpr const char* kEs256Key =
    R"({"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"})";
constexpr const char* kEd25519Key =
    R"({"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})";
constexpr const char* kJoesClaims =
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

std::string outcome(std::string_view token, KeyRing& keys, const TokenRules& rules = kJoe, std::int64_t now = kNow) {
  const auto verified = verify_jwt(token, keys, rules, now);
  return verified ? "valid" : std::string(text_of(verified.error()));
}

// Tokens of one HS256 key, with any header and payload.
class Forge {
 public:
  KeyRing keys{R"({"kid":"k1","kty":"oct","k":")" + random_token(32) + "\"}"};

  std::string make(const std::string& header, const std::string& payload) {
    const std::string text = encode_base64(header) + "." + encode_base64(payload);
    return text + "." + encode_base64(keys.signer()->sign(text));
  }
  std::string with_header(const std::string& header) { return outcome(make(header, kPayload), keys); }
  std::string with_payload(const std::string& payload, const TokenRules& rules = kJoe) {
    return outcome(make(kHeader, payload), keys, rules);
  }
  // The payload with further members.
  std::string with_claims(const std::string& members, const TokenRules& rules = kJoe) {
    return with_payload(R"({"iss":"joe",)" + members + "}", rules);
  }

  static constexpr const char* kHeader = R"({"alg":"HS256","kid":"k1"})";
  static constexpr const char* kPayload = R"({"iss":"joe","exp":1300819380})";
};

}  // namespace

TEST_CASE("the examples of RFC 7515 are valid", "[token]") {
  KeyRing hs256(kHs256Key);
  CHECK(outcome("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." + std::string(kJoesClaims) +
                    ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
                hs256) == "valid");
  KeyRing rs256(kRs256Key);
  const std::string rs256_token =
      "eyJhbGciOiJSUzI1NiJ9." + std::string(kJoesClaims) +
      ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_"
      "O8W2Fp5jujGbds9uJdbF9CUAr7t1"
      "dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--"
      "xi12jzDwu"
      "sC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_"
      "IoypGlUPQGe77Rw";
  CHECK(outcome(rs256_token, rs256) == "valid");
  KeyRing es256(kEs256Key);
  CHECK(outcome("eyJhbGciOiJFUzI1NiJ9." + std::string(kJoesClaims) +
                    ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
                es256) == "valid");
  CHECK(outcome(rs256_token, es256) == "the token is signed with another algorithm than its key has");
}

TEST_CASE("the example of RFC 8037 is valid, and so is our signature of it", "[token]") {
  KeyRing keys(kEd25519Key);
  const std::string text = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
  const std::string signature =
      "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
  CHECK(keys.find("")->verify(text, decode_base64(signature).value()));
  CHECK(encode_base64(keys.signer()->sign(text)) == signature);  // deterministic
}

TEST_CASE("a token of each algorithm is verified with the public half of its key", "[token]") {
  for (const auto algorithm : {KeyAlgorithm::HS256, KeyAlgorithm::RS256, KeyAlgorithm::ES256, KeyAlgorithm::EdDSA}) {
    CAPTURE(name_of(algorithm));
    KeyRing keys(new_key(algorithm, "mine"));
    const json claims{{"iss", "joe"}, {"exp", kNow + 60}, {"sub", "ann"}, {"scope", "a b"}, {"jti", "1"}};
    const std::string token = sign_jwt(*keys.signer(), claims);
    const auto verified = verify_jwt(token, keys, kJoe, kNow);
    REQUIRE(verified);
    CHECK(verified->subject == "ann");
    CHECK(verified->scopes == std::vector<std::string>{"a", "b"});
    if (algorithm != KeyAlgorithm::HS256) {
      KeyRing half(keys.public_keys());
      CHECK(half.signer() == nullptr);
      CHECK(outcome(token, half) == "valid");
    }
    for (std::size_t i = token.rfind('.') + 1; i < token.size(); i += 7) {
      std::string changed = token;
      changed[i] = changed[i] == 'A' ? 'B' : 'A';
      CHECK(outcome(changed, keys) != "valid");
    }
    std::string other_claims = token;
    other_claims[token.find('.') + 9] ^= 1;
    CHECK(outcome(other_claims, keys) != "valid");
  }
}

TEST_CASE("a token that names no algorithm, or that of another key, is refused", "[token]") {
  Forge forge;
  const std::string wrong = "the token is signed with another algorithm than its key has";
  for (const char* name : {"none", "None", "NONE", "hs256", "HS512", "RS256", "ES256", "EdDSA", ""}) {
    CHECK(forge.with_header(R"({"alg":")" + std::string(name) + R"(","kid":"k1"})") == wrong);
  }
  CHECK(forge.with_header(R"({"kid":"k1"})") == wrong);
  CHECK(forge.with_header(R"({"alg":["HS256"],"kid":"k1"})") == "the token is malformed");
  CHECK(forge.with_header(Forge::kHeader) == "valid");
  CHECK(outcome(encode_base64(R"({"alg":"none"})") + "." + kJoesClaims + ".", forge.keys) == "the token is malformed");
}

TEST_CASE("the public key of RS256 is no secret of HS256", "[token]") {
  KeyRing keys(new_key(KeyAlgorithm::RS256, "k1"));
  // The attacker signs with what everybody knows: the text of the public key.
  KeyRing attacker(R"({"kid":"k1","kty":"oct","k":")" + encode_base64(keys.public_keys()) + "\"}");
  const std::string token = sign_jwt(*attacker.signer(), {{"iss", "joe"}, {"exp", kNow + 60}});
  CHECK(outcome(token, attacker) == "valid");
  CHECK(outcome(token, keys) == "the token is signed with another algorithm than its key has");
}

TEST_CASE("a token can neither bring its key along nor ask for extensions", "[token]") {
  Forge forge;
  for (const char* member : {R"("jwk":{"kty":"oct","k":"AA"})", R"("jku":"https://evil.example")",
                             R"("x5u":"https://evil.example")", R"("x5c":["AA"])", R"("crit":["exp"])", R"("crit":[])",
                             R"("b64":false)", R"("zip":"DEF")", R"("typ":"dpop+jwt")", R"("typ":7)"}) {
    CAPTURE(member);
    CHECK(forge.with_header(R"({"alg":"HS256","kid":"k1",)" + std::string(member) + "}") == "the token is malformed");
  }
  for (const char* type : {"JWT", "jwt", "at+jwt", "application/at+jwt", "application/JWT", "Application/jwt"}) {
    CHECK(forge.with_header(R"({"alg":"HS256","kid":"k1","typ":")" + std::string(type) + "\"}") == "valid");
  }
}

TEST_CASE("a key is found by its whole name only", "[token]") {
  Forge forge;
  const std::string unknown = "the token is signed with an unknown key";
  for (const char* kid : {R"("k2")", R"("")", R"("K1")", R"("k1\u0000")", R"("../../dev/null")", R"("' OR 1=1")"}) {
    CHECK(forge.with_header(R"({"alg":"HS256","kid":)" + std::string(kid) + "}") == unknown);
  }
  CHECK(forge.with_header(R"({"alg":"HS256"})") == unknown);
  CHECK(forge.with_header(R"({"alg":"HS256","kid":1})") == "the token is malformed");
  CHECK(forge.with_header(R"({"alg":"HS256","kid":")" + std::string(1'000'000, 'k') + "\"}") ==
        "the token is malformed");
  CHECK(forge.with_header(R"({"alg":"HS256","kid":")" + std::string(3000, 'k') + "\"}") == unknown);
}

TEST_CASE("tokens that are not three parts of canonical base64url are refused", "[token]") {
  Forge forge;
  const std::string token = forge.make(Forge::kHeader, Forge::kPayload);
  const std::size_t first = token.find('.');
  const std::size_t second = token.rfind('.');
  CHECK(outcome(token, forge.keys) == "valid");
  for (const std::string& wrong :
       {std::string(), std::string("."), std::string(".."), std::string("a.b.c"), token.substr(0, second),
        token.substr(0, second + 1), token.substr(first), token + ".", token + ".AA", "." + token, token + "=",
        token + "\n", " " + token, token.substr(0, first) + "." + token.substr(second)}) {
    CAPTURE(wrong);
    CHECK(outcome(wrong, forge.keys) == "the token is malformed");
  }
  // 32 bytes leave two bits of the last character unused, and only zeros are canonical.
  std::string same_bytes = token;
  same_bytes.back() = static_cast<char>(same_bytes.back() + 1);
  CHECK(outcome(same_bytes, forge.keys) == "the token is malformed");
}

TEST_CASE("a token above 8 KiB is refused, one of that size is not", "[token]") {
  Forge forge;
  const auto padded = [&forge](std::size_t padding) {
    return forge.make(Forge::kHeader, R"({"iss":"joe","exp":1300819380,"pad":")" + std::string(padding, 'a') + "\"}");
  };
  std::size_t padding = 6000;
  while (padded(padding + 1).size() <= kMaxToken) ++padding;
  CHECK(padded(padding).size() > kMaxToken - 4);
  CHECK(outcome(padded(padding), forge.keys) == "valid");
  CHECK(outcome(padded(padding + 1), forge.keys) == "the token is malformed");
}

TEST_CASE("an ES256 signature of another length or with numbers out of range is refused", "[token]") {
  KeyRing keys(kEs256Key);
  const std::string text = encode_base64(R"({"alg":"ES256"})") + "." + encode_base64(Forge::kPayload);
  const std::string good = keys.signer()->sign(text);
  CHECK(outcome(text + "." + encode_base64(good), keys) == "valid");
  const std::string zero(32, '\0');
  const std::string largest(32, '\xff');
  for (const std::string& wrong :
       {good.substr(1), good + "a", good.substr(0, 32), std::string("\x30\x06\x02\x01\x01\x02\x01\x01"), zero + zero,
        good.substr(0, 32) + zero, zero + good.substr(32), largest + largest, good.substr(0, 32) + largest,
        good.substr(32) + good.substr(0, 32)}) {
    CHECK(outcome(text + "." + encode_base64(wrong), keys) == "the signature of the token is wrong");
  }
}

TEST_CASE("a payload must be one strict JSON object", "[token]") {
  Forge forge;
  const std::string wrong = "a claim of the token is malformed or missing";
  for (const char* payload :
       {"", "[]", "7", "null", "{", "{\"iss\":\"joe\",\"exp\":1300819380}x", "{\"iss\":\"joe\",\"exp\":1300819380,}",
        "\xef\xbb\xbf{\"iss\":\"joe\",\"exp\":1300819380}", "{\"iss\":\"joe\",\"exp\":1300819380,\"a\":\"\xff\"}",
        R"({"iss":"joe","iss":"joe","exp":1300819380})", R"({"iss":"eve","exp":1300819380,"iss":"joe"})",
        R"({"iss":"joe","exp":1300819380,"a":{"b":1,"b":2}})", R"({"iss":"joe","exp":1300819380,"a":1e999})"}) {
    CAPTURE(payload);
    const std::string result = forge.with_payload(payload);
    CHECK((result == wrong || result == "the token is malformed"));
  }
  CHECK(forge.with_payload(std::string("{\"iss\":\"joe\",\"exp\":1300819380}\0x", 32)) == wrong);
  CHECK(forge.with_claims(R"("exp":1300819380,"a":)" + std::string(16, '[') + std::string(16, ']')) == wrong);
  CHECK(forge.with_claims(R"("exp":1300819380,"a":)" + std::string(15, '[') + std::string(15, ']')) == "valid");
  CHECK(forge.with_header("{\"alg\":\"HS256\",\"kid\":\"k1\",\"kid\":\"k1\"}") == "the token is malformed");
}

TEST_CASE("times are numbers within bounds, and clocks may differ by the leeway", "[token]") {
  Forge forge;
  const auto at = [](std::int64_t seconds) { return std::to_string(kNow + seconds); };
  CHECK(forge.with_claims("\"exp\":" + at(-29)) == "valid");
  CHECK(forge.with_claims("\"exp\":" + at(-30)) == "the token has expired");
  CHECK(forge.with_claims("\"exp\":0") == "the token has expired");
  CHECK(forge.with_claims("\"exp\":1300819380.9") == "valid");
  CHECK(forge.with_claims("\"exp\":253402300799") == "valid");
  CHECK(forge.with_claims("\"exp\":1300819380,\"nbf\":" + at(30)) == "valid");
  CHECK(forge.with_claims("\"exp\":1300819380,\"nbf\":" + at(31)) == "the token is not valid yet");
  CHECK(forge.with_claims("\"exp\":1300819380,\"iat\":" + at(30)) == "valid");
  CHECK(forge.with_claims("\"exp\":1300819380,\"iat\":" + at(31)) == "the token is not valid yet");
  for (const char* number : {"-1", "253402300800", "1e300", "-1e300", "18446744073709551615", "99999999999999999999",
                             "\"1300819380\"", "true", "null", "[1300819380]"}) {
    CAPTURE(number);
    const std::string wrong = "a claim of the token is malformed or missing";
    CHECK(forge.with_claims("\"exp\":" + std::string(number)) == wrong);
    CHECK(forge.with_claims("\"exp\":1300819380,\"nbf\":" + std::string(number)) == wrong);
    CHECK(forge.with_claims("\"exp\":1300819380,\"iat\":" + std::string(number)) == wrong);
  }
  CHECK(forge.with_claims("\"sub\":\"ann\"") == "a claim of the token is malformed or missing");
}

TEST_CASE("issuer and audience must be those that are expected", "[token]") {
  Forge forge;
  CHECK(forge.with_payload(R"({"exp":1300819380})") == "the token is from another issuer");
  for (const char* issuer : {"\"Joe\"", "\"\"", "[\"joe\"]", "null"}) {
    CHECK(forge.with_payload(R"({"exp":1300819380,"iss":)" + std::string(issuer) + "}") ==
          "the token is from another issuer");
  }
  const std::string wrong = "the token is for another audience";
  CHECK(forge.with_claims(R"("exp":1300819380,"aud":"shop")") == wrong);
  TokenRules shop = kJoe;
  shop.audience = "shop";
  CHECK(forge.with_claims(R"("exp":1300819380,"aud":"shop")", shop) == "valid");
  CHECK(forge.with_claims(R"("exp":1300819380,"aud":["bank","shop"])", shop) == "valid");
  for (const char* audience :
       {R"(,"aud":"bank")", R"(,"aud":["bank"])", R"(,"aud":[])", R"(,"aud":[["shop"]])", R"(,"aud":{"shop":1})", ""}) {
    CHECK(forge.with_claims("\"exp\":1300819380" + std::string(audience), shop) == wrong);
  }
}

TEST_CASE("a claim of the wrong type is refused, and so is a missing id where it is needed", "[token]") {
  Forge forge;
  const std::string wrong = "a claim of the token is malformed or missing";
  for (const char* name : {"sub", "jti", "scope", "sid"}) {
    CHECK(forge.with_claims("\"exp\":1300819380,\"" + std::string(name) + "\":7") == wrong);
  }
  CHECK(forge.with_claims(R"("exp":1300819380,"jti":")" + std::string(257, 'a') + "\"") == wrong);
  TokenRules revocable = kJoe;
  revocable.needs_id = true;
  CHECK(forge.with_claims("\"exp\":1300819380", revocable) == wrong);
  CHECK(forge.with_claims("\"exp\":1300819380,\"jti\":\"\"", revocable) == wrong);
  CHECK(forge.with_claims("\"exp\":1300819380,\"jti\":\"1\"", revocable) == "valid");
}
