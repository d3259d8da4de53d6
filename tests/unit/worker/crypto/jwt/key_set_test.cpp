#include "pronghorn/key_set.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>

#include "pronghorn/secrets.h"
#include "support/catch.h"
#include "support/temp_dir.h"
#include "worker/crypto/jwt/key_ring.h"

using namespace pronghorn;
using nlohmann::json;
using pronghorn::worker::KeyRing;

namespace {

json made(KeyAlgorithm algorithm, const std::string& kid) { return json::parse(new_key(algorithm, kid)); }

// Why a set is refused; "" if it is not.
std::string refusal(const std::string& text) {
  try {
    static_cast<void>(key_set_from(text));
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

std::string refusal_of(const json& jwk) { return refusal(jwk.dump()); }

}  // namespace

TEST_CASE("the first key that can sign signs, and every key verifies what names it", "[token]") {
  const json old_key = made(KeyAlgorithm::ES256, "old");
  json old_half = old_key;
  old_half.erase("d");
  const json new_one = made(KeyAlgorithm::EdDSA, "new");
  KeyRing keys(json{{"keys", {old_half, new_one, made(KeyAlgorithm::HS256, "third")}}}.dump());
  REQUIRE(keys.signer() != nullptr);
  CHECK(keys.signer()->kid() == "new");
  REQUIRE(keys.find("old") != nullptr);
  CHECK_FALSE(keys.find("old")->can_sign());
  CHECK(keys.find("other") == nullptr);
  KeyRing old_ring(old_key.dump());
  CHECK(keys.find("old")->verify("text", old_ring.signer()->sign("text")));
  CHECK_FALSE(keys.find("new")->verify("text", old_ring.signer()->sign("text")));
}

TEST_CASE("key_ops keep a key from signing", "[token]") {
  json key = made(KeyAlgorithm::ES256, "a");
  key["key_ops"] = {"verify"};
  CHECK(KeyRing(key.dump()).signer() == nullptr);
  key["key_ops"] = {"sign", "verify"};
  CHECK(KeyRing(key.dump()).signer() != nullptr);
}

TEST_CASE("public keys contain neither private parts nor symmetric keys", "[token]") {
  const json set{{"keys",
                  {made(KeyAlgorithm::RS256, "r"), made(KeyAlgorithm::ES256, "e"), made(KeyAlgorithm::EdDSA, "d"),
                   made(KeyAlgorithm::HS256, "h")}}};
  const json half = json::parse(key_set_from(set.dump()).public_keys());
  REQUIRE(half.at("keys").size() == 3);
  for (const json& key : half.at("keys")) {
    for (const char* secret : {"d", "p", "q", "dp", "dq", "qi", "k"}) CHECK_FALSE(key.contains(secret));
    CHECK(key.at("use") == "sig");
  }
  CHECK(half.at("keys")[1].at("x") == set.at("keys")[1].at("x"));
}

TEST_CASE("keys for other purposes are skipped", "[token]") {
  json encrypts = made(KeyAlgorithm::RS256, "enc");
  encrypts["use"] = "enc";
  json pss = made(KeyAlgorithm::RS256, "pss");
  pss["alg"] = "PS256";
  const json unknown{{"kid", "new"}, {"kty", "AKP"}, {"alg", "ML-DSA-44"}};
  const json curve{{"kid", "curve"}, {"kty", "EC"}, {"crv", "P-521"}};
  const json key = made(KeyAlgorithm::ES256, "es");
  KeyRing keys(json{{"keys", {encrypts, pss, unknown, curve, key}}}.dump());
  CHECK(keys.find("es") != nullptr);
  for (const char* skipped : {"enc", "pss", "new", "curve"}) CHECK(keys.find(skipped) == nullptr);
  CHECK(refusal_of(json{{"keys", {unknown}}}) != "");
}

TEST_CASE("a malformed or weak key is refused, without its secret in the message", "[token]") {
  CHECK(refusal("").starts_with("key set: "));
  CHECK(refusal("[]") != "");
  CHECK(refusal("{\"keys\":7}") != "");
  CHECK(refusal("{\"keys\":[7]}") != "");
  CHECK(refusal_of(json{{"kty", "oct"}, {"k", to_base64url(std::string(31, 's'))}}) ==
        "key set: key 1: a key of HS256 must have at least 32 bytes");
  CHECK(refusal_of(json{{"kty", "oct"}, {"kid", "x"}, {"k", "not base64url!"}}) ==
        "key set: key \"x\": \"k\" is missing or not base64url");
  json point = made(KeyAlgorithm::ES256, "a");
  point["y"] = made(KeyAlgorithm::ES256, "b").at("y");
  CHECK(refusal_of(point) != "");
  json halves = made(KeyAlgorithm::ES256, "a");
  halves["d"] = made(KeyAlgorithm::ES256, "b").at("d");
  CHECK(refusal_of(halves) != "");
  CHECK(refusal_of(halves).find(halves.at("d").get<std::string>()) == std::string::npos);
  json ed25519 = made(KeyAlgorithm::EdDSA, "a");
  ed25519["d"] = made(KeyAlgorithm::EdDSA, "b").at("d");
  CHECK(refusal_of(ed25519) != "");
  json rsa = made(KeyAlgorithm::RS256, "a");
  const json other_rsa = made(KeyAlgorithm::RS256, "b");
  for (const char* part : {"d", "p", "q", "dp", "dq", "qi"}) rsa[part] = other_rsa.at(part);
  CHECK(refusal_of(rsa) != "");
  const json small{{"kty", "RSA"}, {"e", "AQAB"}, {"n", to_base64url("\xc1" + std::string(127, '\x55'))}};
  CHECK(refusal_of(small).find("2048") != std::string::npos);
  const json one{{"kty", "RSA"}, {"e", "AQ"}, {"n", to_base64url("\xc1" + std::string(255, '\x55'))}};
  CHECK(refusal_of(one).find("below 3") != std::string::npos);
  CHECK(refusal_of(json{{"keys", {made(KeyAlgorithm::ES256, "a"), made(KeyAlgorithm::EdDSA, "a")}}})
            .find("another key") != std::string::npos);
  json nameless = made(KeyAlgorithm::ES256, "a");
  nameless.erase("kid");
  CHECK(refusal_of(nameless) == "");
  CHECK(refusal_of(json{{"keys", {nameless, made(KeyAlgorithm::EdDSA, "a")}}}) != "");
  CHECK(refusal_of(json{{"kty", "oct"}, {"kid", std::string(129, 'k')}, {"k", random_token(32)}}) != "");
}

TEST_CASE("a key set is read from a file, whose name is in what is wrong with it", "[token]") {
  const test::TempDir folder;
  const std::string path = folder / "keys.json";
  const auto why = [&path] {
    try {
      static_cast<void>(key_set(path));
    } catch (const std::invalid_argument& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  CHECK(why().find(path) != std::string::npos);
  CHECK(why().find("No such file") != std::string::npos);
  std::ofstream(path) << new_key(KeyAlgorithm::EdDSA, "a");
  CHECK_FALSE(key_set(path).empty());
  std::ofstream(path) << "{}";
  CHECK(why().find(path) != std::string::npos);
}
