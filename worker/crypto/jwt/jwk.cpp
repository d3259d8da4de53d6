#include "worker/crypto/jwt/jwk.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/rsa.h>

#include <algorithm>
#include <array>
#include <list>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <vector>

#include "pronghorn/secrets.h"
#include "worker/crypto/base64.h"

namespace pronghorn::worker {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxKid = 128;
constexpr int kMinRsaBits = 2048;  // RFC 7518 section 3.3
constexpr int kMaxRsaBits = 8192;
constexpr std::size_t kMinSecret = 32;  // RFC 7518 section 3.2

[[noreturn]] void refuse(const std::string& why) {
  ERR_clear_error();
  throw std::invalid_argument(why);
}

std::string text_of(const json& jwk, const char* name) {
  const auto at = jwk.find(name);
  if (at == jwk.end()) return "";
  if (!at->is_string()) refuse("\"" + std::string(name) + "\" is not text");
  return at->get<std::string>();
}

// The bytes of a member in base64url. Its text is a secret, so it is never shown.
std::string bytes_of(const json& jwk, const char* name) {
  const std::string text = text_of(jwk, name);
  auto bytes = decode_base64(text);
  if (!bytes || bytes->empty()) refuse("\"" + std::string(name) + "\" is missing or not base64url");
  return std::move(*bytes);
}

bool has(const json& jwk, const char* name) { return jwk.contains(name); }

// Whether "key_ops" permit `operation`; without them, everything is permitted.
bool permits(const json& jwk, std::string_view operation) {
  const auto operations = jwk.find("key_ops");
  if (operations == jwk.end()) return true;
  if (!operations->is_array()) refuse("\"key_ops\" is not a list");
  return std::ranges::any_of(*operations, [operation](const json& one) {
    return one.is_string() && one.get_ref<const std::string&>() == operation;
  });
}

// Collects the numbers of a key for EVP_PKEY_fromdata().
class KeyData {
 public:
  KeyData() : builder_(OSSL_PARAM_BLD_new()) {}

  void number(const char* name, std::string_view bytes) {
    numbers_.emplace_back(
        BN_bin2bn(reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()), nullptr));
    if (!numbers_.back() || OSSL_PARAM_BLD_push_BN(builder_.get(), name, numbers_.back().get()) != 1) failed();
  }
  void text(const char* name, const char* value) {
    if (OSSL_PARAM_BLD_push_utf8_string(builder_.get(), name, value, 0) != 1) failed();
  }
  void bytes(const char* name, std::string value) {
    octets_.push_back(std::move(value));
    if (OSSL_PARAM_BLD_push_octet_string(builder_.get(), name, octets_.back().data(), octets_.back().size()) != 1) {
      failed();
    }
  }
  EvpKey build(const char* kind, int selection) {
    const Params params(OSSL_PARAM_BLD_to_param(builder_.get()));
    const EvpKeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, kind, nullptr));
    EVP_PKEY* key = nullptr;
    if (!params || !context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
        EVP_PKEY_fromdata(context.get(), &key, selection, params.get()) != 1) {
      failed();
    }
    return EvpKey(key);
  }

 private:
  [[noreturn]] static void failed() { refuse("its numbers are not a key"); }

  ParamBuilder builder_;
  std::vector<BigNumber> numbers_;
  std::list<std::string> octets_;
};

EvpKey ec_key(const json& jwk, bool with_private) {
  const std::string x = bytes_of(jwk, "x");
  const std::string y = bytes_of(jwk, "y");
  if (x.size() != 32 || y.size() != 32) refuse("\"x\" or \"y\" does not have 32 bytes");
  KeyData data;
  data.text(OSSL_PKEY_PARAM_GROUP_NAME, "P-256");
  data.bytes(OSSL_PKEY_PARAM_PUB_KEY, "\x04" + x + y);
  if (with_private) {
    const std::string d = bytes_of(jwk, "d");
    if (d.size() != 32) refuse("\"d\" does not have 32 bytes");
    data.number(OSSL_PKEY_PARAM_PRIV_KEY, d);
  }
  EvpKey key = data.build("EC", with_private ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY);
  const EvpKeyContext check(EVP_PKEY_CTX_new_from_pkey(nullptr, key.get(), nullptr));
  if (!check || EVP_PKEY_public_check(check.get()) != 1) refuse("\"x\" and \"y\" are not a point of P-256");
  return key;
}

EvpKey rsa_key(const json& jwk, bool with_private) {
  KeyData data;
  data.number(OSSL_PKEY_PARAM_RSA_N, bytes_of(jwk, "n"));
  const std::string exponent = bytes_of(jwk, "e");
  // With 1 every message would be its own signature.
  if (exponent.find_first_not_of('\0') == exponent.size() - 1 && exponent.back() < 3 && exponent.back() >= 0) {
    refuse("\"e\" is below 3");
  }
  data.number(OSSL_PKEY_PARAM_RSA_E, exponent);
  if (with_private) {
    constexpr std::pair<const char*, const char*> kParts[] = {
        {OSSL_PKEY_PARAM_RSA_D, "d"},          {OSSL_PKEY_PARAM_RSA_FACTOR1, "p"},
        {OSSL_PKEY_PARAM_RSA_FACTOR2, "q"},    {OSSL_PKEY_PARAM_RSA_EXPONENT1, "dp"},
        {OSSL_PKEY_PARAM_RSA_EXPONENT2, "dq"}, {OSSL_PKEY_PARAM_RSA_COEFFICIENT1, "qi"}};
    for (const auto& [name, member] : kParts) data.number(name, bytes_of(jwk, member));
  }
  EvpKey key = data.build("RSA", with_private ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY);
  const int bits = EVP_PKEY_get_bits(key.get());
  if (bits < kMinRsaBits || bits > kMaxRsaBits) {
    refuse("an RSA key must have " + std::to_string(kMinRsaBits) + " to " + std::to_string(kMaxRsaBits) +
           " bits, not " + std::to_string(bits));
  }
  return key;
}

EvpKey ed25519_key(const json& jwk, bool with_private) {
  const std::string bytes = bytes_of(jwk, with_private ? "d" : "x");
  if (bytes.size() != 32) refuse("a key of Ed25519 has 32 bytes");
  const auto* raw = reinterpret_cast<const unsigned char*>(bytes.data());
  EvpKey key(with_private ? EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, raw, bytes.size())
                          : EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, raw, bytes.size()));
  if (!key) refuse("its numbers are not a key");
  return key;
}

EvpKey key_of(const json& jwk, KeyAlgorithm algorithm, bool with_private) {
  switch (algorithm) {
    case KeyAlgorithm::ES256:
      return ec_key(jwk, with_private);
    case KeyAlgorithm::RS256:
      return rsa_key(jwk, with_private);
    case KeyAlgorithm::EdDSA:
      return ed25519_key(jwk, with_private);
    case KeyAlgorithm::HS256:
      break;
  }
  throw std::logic_error("HS256 has no asymmetric key");
}

std::optional<KeyAlgorithm> algorithm_of(const json& jwk) {
  const std::string kind = text_of(jwk, "kty");
  const std::string curve = text_of(jwk, "crv");
  const std::string use = text_of(jwk, "use");
  if (!use.empty() && use != "sig") return std::nullopt;
  std::optional<KeyAlgorithm> algorithm;
  if (kind == "oct") algorithm = KeyAlgorithm::HS256;
  if (kind == "RSA") algorithm = KeyAlgorithm::RS256;
  if (kind == "EC" && curve == "P-256") algorithm = KeyAlgorithm::ES256;
  if (kind == "OKP" && curve == "Ed25519") algorithm = KeyAlgorithm::EdDSA;
  const std::string named = text_of(jwk, "alg");
  if (algorithm && !named.empty() && named != name_of(*algorithm)) return std::nullopt;
  return algorithm;
}

SignatureKey asymmetric(const json& jwk, KeyAlgorithm algorithm, std::string kid) {
  const bool has_private = has(jwk, "d");
  const bool can_sign = has_private && permits(jwk, "sign");
  SignatureKey key(algorithm, std::move(kid), key_of(jwk, algorithm, has_private), can_sign);
  if (!can_sign) return key;
  // The halves come from one file, but who says that they belong together?
  SignatureKey half(algorithm, "", key_of(jwk, algorithm, false), false);
  constexpr std::string_view kTrial = "pronghorn";
  if (!half.verify(kTrial, key.sign(kTrial))) refuse("its private part does not belong to its public part");
  return key;
}

json number_member(EVP_PKEY* key, const char* name) {
  BIGNUM* number = nullptr;
  if (EVP_PKEY_get_bn_param(key, name, &number) != 1) throw std::runtime_error("OpenSSL cannot export a key");
  const BigNumber owned(number);
  std::string bytes(static_cast<std::size_t>(BN_num_bytes(number)), '\0');
  BN_bn2bin(number, reinterpret_cast<unsigned char*>(bytes.data()));
  return encode_base64(bytes);
}

json coordinate_member(EVP_PKEY* key, const char* name) {
  BIGNUM* number = nullptr;
  if (EVP_PKEY_get_bn_param(key, name, &number) != 1) throw std::runtime_error("OpenSSL cannot export a key");
  const BigNumber owned(number);
  std::string bytes(32, '\0');
  if (BN_bn2binpad(number, reinterpret_cast<unsigned char*>(bytes.data()), 32) != 32) {
    throw std::runtime_error("OpenSSL cannot export a key");
  }
  return encode_base64(bytes);
}

json raw_member(EVP_PKEY* key, decltype(&EVP_PKEY_get_raw_public_key) get) {
  std::array<unsigned char, 32> bytes;
  std::size_t size = bytes.size();
  if (get(key, bytes.data(), &size) != 1) throw std::runtime_error("OpenSSL cannot export a key");
  return encode_base64({reinterpret_cast<const char*>(bytes.data()), size});
}

void add_public_members(json& jwk, KeyAlgorithm algorithm, EVP_PKEY* key) {
  switch (algorithm) {
    case KeyAlgorithm::ES256:
      jwk["kty"] = "EC";
      jwk["crv"] = "P-256";
      jwk["x"] = coordinate_member(key, OSSL_PKEY_PARAM_EC_PUB_X);
      jwk["y"] = coordinate_member(key, OSSL_PKEY_PARAM_EC_PUB_Y);
      break;
    case KeyAlgorithm::RS256:
      jwk["kty"] = "RSA";
      jwk["n"] = number_member(key, OSSL_PKEY_PARAM_RSA_N);
      jwk["e"] = number_member(key, OSSL_PKEY_PARAM_RSA_E);
      break;
    case KeyAlgorithm::EdDSA:
      jwk["kty"] = "OKP";
      jwk["crv"] = "Ed25519";
      jwk["x"] = raw_member(key, EVP_PKEY_get_raw_public_key);
      break;
    case KeyAlgorithm::HS256:
      break;
  }
}

void add_private_members(json& jwk, KeyAlgorithm algorithm, EVP_PKEY* key) {
  if (algorithm == KeyAlgorithm::ES256) jwk["d"] = coordinate_member(key, OSSL_PKEY_PARAM_PRIV_KEY);
  if (algorithm == KeyAlgorithm::EdDSA) jwk["d"] = raw_member(key, EVP_PKEY_get_raw_private_key);
  if (algorithm == KeyAlgorithm::RS256) {
    jwk["d"] = number_member(key, OSSL_PKEY_PARAM_RSA_D);
    jwk["p"] = number_member(key, OSSL_PKEY_PARAM_RSA_FACTOR1);
    jwk["q"] = number_member(key, OSSL_PKEY_PARAM_RSA_FACTOR2);
    jwk["dp"] = number_member(key, OSSL_PKEY_PARAM_RSA_EXPONENT1);
    jwk["dq"] = number_member(key, OSSL_PKEY_PARAM_RSA_EXPONENT2);
    jwk["qi"] = number_member(key, OSSL_PKEY_PARAM_RSA_COEFFICIENT1);
  }
}

EvpKey generate(KeyAlgorithm algorithm) {
  EvpKey key(algorithm == KeyAlgorithm::ES256   ? EVP_EC_gen("P-256")
             : algorithm == KeyAlgorithm::RS256 ? EVP_RSA_gen(kMinRsaBits)
                                                : EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  if (!key) throw std::runtime_error("OpenSSL cannot make a key");
  return key;
}

}  // namespace

std::optional<SignatureKey> read_jwk(const json& jwk) {
  if (!jwk.is_object()) refuse("a key is not a JSON object");
  const std::optional<KeyAlgorithm> algorithm = algorithm_of(jwk);
  if (!algorithm || (!permits(jwk, "verify") && !permits(jwk, "sign"))) return std::nullopt;
  std::string kid = text_of(jwk, "kid");
  if (kid.size() > kMaxKid) refuse("\"kid\" is longer than " + std::to_string(kMaxKid) + " bytes");
  if (*algorithm != KeyAlgorithm::HS256) return asymmetric(jwk, *algorithm, std::move(kid));
  const std::string secret = bytes_of(jwk, "k");
  if (secret.size() < kMinSecret) refuse("a key of HS256 must have at least 32 bytes");
  return SignatureKey(std::move(kid), secret, permits(jwk, "sign"));
}

json public_jwk(const SignatureKey& key) {
  json jwk{{"alg", name_of(key.algorithm())}, {"use", "sig"}};
  if (!key.kid().empty()) jwk["kid"] = key.kid();
  add_public_members(jwk, key.algorithm(), key.key());
  return jwk;
}

}  // namespace pronghorn::worker

namespace pronghorn {

std::string new_key(KeyAlgorithm algorithm, std::string_view kid) {
  nlohmann::json jwk{{"alg", worker::name_of(algorithm)}, {"use", "sig"}};
  jwk["kid"] = kid.empty() ? random_token(9) : std::string(kid);
  if (algorithm == KeyAlgorithm::HS256) {
    jwk["kty"] = "oct";
    jwk["k"] = random_token(32);
  } else {
    const worker::EvpKey key = worker::generate(algorithm);
    worker::add_public_members(jwk, algorithm, key.get());
    worker::add_private_members(jwk, algorithm, key.get());
  }
  return jwk.dump();
}

}  // namespace pronghorn
