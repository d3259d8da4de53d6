#include "worker/crypto/password_hash.h"

#include <openssl/evp.h>

#include <charconv>
#include <stdexcept>

#include "pronghorn/secrets.h"
#include "worker/crypto/base64.h"

namespace pronghorn::worker {
namespace {

constexpr std::string_view kPrefix = "$scrypt$";
constexpr std::size_t kSaltBytes = 16;
constexpr std::size_t kHashBytes = 32;
constexpr std::size_t kMaxText = 512;
constexpr std::uint64_t kMaxMemory = 128ULL * 1024 * 1024;

// 128 * N * r bytes are filled p times (RFC 7914 section 2 names the parameters).
std::uint64_t memory_of(const ScryptCost& cost) { return 128 * (std::uint64_t{1} << cost.log2_n) * cost.r; }
std::uint64_t work_of(const ScryptCost& cost) { return memory_of(cost) * cost.p; }

bool is_bounded(const ScryptCost& cost) {
  if (cost.log2_n < 1 || cost.log2_n > 24 || cost.r < 1 || cost.r > 64 || cost.p < 1 || cost.p > 64) return false;
  if (cost.log2_n >= 16 * cost.r) return false;  // RFC 7914 section 2
  return memory_of(cost) <= kMaxMemory && work_of(cost) <= 16 * work_of(ScryptCost{});
}

// "NAME=NUMBER" at the front of `text`, up to `end`; both are removed.
bool take_number(std::string_view& text, std::string_view name, char end, std::uint32_t& value) {
  if (!text.starts_with(name)) return false;
  text.remove_prefix(name.size());
  const char* const last = text.data() + text.size();
  const auto [after, error] = std::from_chars(text.data(), last, value);
  if (error != std::errc{} || after == last || *after != end || text.front() == '0') return false;
  text.remove_prefix(static_cast<std::size_t>(after - text.data()) + 1);
  return true;
}

}  // namespace

std::optional<PasswordHash> parse_password_hash(std::string_view text) {
  if (text.size() > kMaxText || !text.starts_with(kPrefix)) return std::nullopt;
  text.remove_prefix(kPrefix.size());
  PasswordHash parsed;
  if (!take_number(text, "ln=", ',', parsed.cost.log2_n) || !take_number(text, "r=", ',', parsed.cost.r) ||
      !take_number(text, "p=", '$', parsed.cost.p) || !is_bounded(parsed.cost)) {
    return std::nullopt;
  }
  const std::size_t dollar = text.find('$');
  if (dollar == std::string_view::npos) return std::nullopt;
  auto salt = decode_base64(text.substr(0, dollar), Base64::plain);
  auto hash = decode_base64(text.substr(dollar + 1), Base64::plain);
  if (!salt || !hash || salt->size() < 8 || salt->size() > 64 || hash->size() < 16 || hash->size() > 64) {
    return std::nullopt;
  }
  parsed.salt = std::move(*salt);
  parsed.hash = std::move(*hash);
  return parsed;
}

std::string scrypt(std::string_view password, std::string_view salt, const ScryptCost& cost, std::size_t size) {
  std::string hash(size, '\0');
  // OpenSSL counts all that it allocates, which is a little more than the formula.
  const std::uint64_t allowed = memory_of(cost) + 1024 * 1024;
  if (EVP_PBE_scrypt(password.data(), password.size(), reinterpret_cast<const unsigned char*>(salt.data()), salt.size(),
                     std::uint64_t{1} << cost.log2_n, cost.r, cost.p, allowed,
                     reinterpret_cast<unsigned char*>(hash.data()), hash.size()) != 1) {
    throw std::runtime_error("OpenSSL cannot compute scrypt; is there no memory left?");
  }
  return hash;
}

std::string make_password_hash(std::string_view password, const ScryptCost& cost) {
  const std::string salt = random_bytes(kSaltBytes);
  const std::string hash = scrypt(password, salt, cost, kHashBytes);
  return std::string(kPrefix) + "ln=" + std::to_string(cost.log2_n) + ",r=" + std::to_string(cost.r) +
         ",p=" + std::to_string(cost.p) + "$" + encode_base64(salt, Base64::plain) + "$" +
         encode_base64(hash, Base64::plain);
}

}  // namespace pronghorn::worker
