#include "pronghorn/secrets.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sys/random.h>

#include <array>
#include <cerrno>
#include <climits>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "pronghorn/error.h"
#include "pronghorn/offload.h"
#include "worker/crypto/base64.h"
#include "worker/crypto/password_hash.h"

namespace pronghorn {
namespace {

// A password on its way to the pool; its memory is wiped. (The buffers of the request that brought it are not.)
class Password {
 public:
  explicit Password(std::string text) : text_(std::move(text)) {}
  Password(Password&&) noexcept = default;
  Password& operator=(Password&&) = delete;
  ~Password() { OPENSSL_cleanse(text_.data(), text_.size()); }
  [[nodiscard]] std::string_view text() const noexcept { return text_; }

 private:
  std::string text_;
};

std::string hash_now(const Password& password) { return worker::make_password_hash(password.text()); }

bool matches(const Password& password, const std::optional<worker::PasswordHash>& stored) {
  if (!stored) {
    static_cast<void>(worker::make_password_hash(password.text()));
    return false;
  }
  return constant_time_equal(worker::scrypt(password.text(), stored->salt, stored->cost, stored->hash.size()),
                             stored->hash);
}

}  // namespace

Task<std::string> hash_password(std::string password) {
  if (password.size() > kMaxPassword) {
    throw bad_request("the password is longer than " + std::to_string(kMaxPassword) + " bytes");
  }
  Password owned(std::move(password));
  std::string hash = co_await offload(hash_now, std::move(owned));
  co_return hash;
}

Task<bool> verify_password(std::string password, std::string hash) {
  if (password.size() > kMaxPassword) co_return false;
  Password owned(std::move(password));
  std::optional<worker::PasswordHash> stored = worker::parse_password_hash(hash);
  if (!stored && !hash.empty()) co_return false;
  const bool matched = co_await offload(matches, std::move(owned), std::move(stored));
  co_return matched;
}

bool needs_rehash(std::string_view hash) noexcept {
  try {
    const auto stored = worker::parse_password_hash(hash);
    return !stored || stored->cost != worker::ScryptCost{} || stored->hash.size() < 32 || stored->salt.size() < 16;
  } catch (...) {  // no memory
    return false;
  }
}

bool constant_time_equal(std::string_view a, std::string_view b) noexcept {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string hmac_sha256(std::string_view key, std::string_view message) {
  if (key.size() > INT_MAX) throw std::runtime_error("the key of an HMAC is too long");
  std::array<unsigned char, EVP_MAX_MD_SIZE> mac;
  unsigned size = 0;
  if (HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
           reinterpret_cast<const unsigned char*>(message.data()), message.size(), mac.data(), &size) == nullptr) {
    throw std::runtime_error("OpenSSL cannot compute an HMAC");
  }
  return {reinterpret_cast<const char*>(mac.data()), size};
}

std::string random_bytes(std::size_t bytes) {
  std::string text(bytes, '\0');
  for (std::size_t filled = 0; filled < bytes;) {
    const ssize_t count = ::getrandom(text.data() + filled, bytes - filled, 0);
    if (count > 0) {
      filled += static_cast<std::size_t>(count);
    } else if (errno != EINTR) {
      throw std::system_error(errno, std::generic_category(), "the kernel gives no random bytes");
    }
  }
  return text;
}

std::string random_token(std::size_t bytes) { return worker::encode_base64(random_bytes(bytes)); }

std::string to_base64url(std::string_view bytes) { return worker::encode_base64(bytes); }

}  // namespace pronghorn
