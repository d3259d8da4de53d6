#include "worker/crypto/jwt/key_ring.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <utility>

#include "worker/crypto/jwt/jwk.h"
#include "worker/crypto/jwt/strict_json.h"

namespace pronghorn {
namespace {

constexpr std::size_t kMaxFile = 1024 * 1024;

std::string name_of_key(const nlohmann::json& jwk, std::size_t number) {
  const auto kid = jwk.is_object() ? jwk.find("kid") : jwk.end();
  const bool named = jwk.is_object() && kid != jwk.end() && kid->is_string();
  return named ? "key " + kid->dump() : "key " + std::to_string(number);
}

std::string read_whole(const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rbe"), &std::fclose);
  if (!file) throw std::invalid_argument("key set " + path + ": " + std::strerror(errno));
  std::string text(kMaxFile + 1, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file.get()));
  if (std::ferror(file.get()) != 0) throw std::invalid_argument("key set " + path + ": cannot be read");
  if (text.size() > kMaxFile) throw std::invalid_argument("key set " + path + ": larger than 1 MiB");
  return text;
}

}  // namespace

namespace detail {

KeyRing::KeyRing(std::string_view text) : text_digest_(worker::ShortSha256()(text)) {
  const auto set = worker::parse_strict_object(text);
  if (!set) throw std::invalid_argument("not a JSON object, or one with a member twice");
  nlohmann::json keys = nlohmann::json::array();
  if (set->contains("kty")) keys.push_back(*set);
  if (const auto listed = set->find("keys"); listed != set->end() && listed->is_array()) keys = *listed;
  std::size_t number = 0;
  for (const nlohmann::json& jwk : keys) {
    const std::string name = name_of_key(jwk, ++number);
    try {
      if (auto key = worker::read_jwk(jwk)) add(std::move(*key));
    } catch (const std::invalid_argument& error) {
      throw std::invalid_argument(name + ": " + error.what());
    }
  }
  if (keys_.empty()) throw std::invalid_argument("has no key for HS256, RS256, ES256 or EdDSA");
  if (keys_.size() > 1 && find("") != nullptr) {
    throw std::invalid_argument("a key has no \"kid\"; only the key of a set of one may lack it");
  }
}

void KeyRing::add(worker::SignatureKey key) {
  if (find(key.kid()) != nullptr) throw std::invalid_argument("the set has another key with this kid");
  keys_.push_back(std::move(key));
}

worker::SignatureKey* KeyRing::find(std::string_view kid) noexcept {
  for (worker::SignatureKey& key : keys_) {
    if (key.kid() == kid) return &key;
  }
  return nullptr;
}

worker::SignatureKey* KeyRing::signer() noexcept {
  for (worker::SignatureKey& key : keys_) {
    if (key.can_sign()) return &key;
  }
  return nullptr;
}

std::string KeyRing::public_keys() const {
  nlohmann::json set{{"keys", nlohmann::json::array()}};
  for (const worker::SignatureKey& key : keys_) {
    if (key.algorithm() != KeyAlgorithm::HS256) set["keys"].push_back(worker::public_jwk(key));
  }
  return set.dump();
}

}  // namespace detail

std::string KeySet::public_keys() const { return keys_ ? keys_->public_keys() : R"({"keys":[]})"; }

namespace {

// `name` begins the reason why it is refused.
KeySet make_set(const std::string& name, std::string_view json) {
  try {
    return KeySet(std::make_shared<detail::KeyRing>(json));
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument(name + ": " + error.what());
  }
}

}  // namespace

KeySet key_set(const std::string& path) {
  const std::string text = read_whole(path);
  return make_set("key set " + path, text);
}

KeySet key_set_from(std::string_view json) { return make_set("key set", json); }

}  // namespace pronghorn
