#include "worker/crypto/p256_verifier.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/obj_mac.h>

#include <array>

namespace pronghorn::worker {
namespace {

constexpr std::size_t kNumber = 32;  // bytes

// The numbers of a BN_CTX that are used until the end of the scope.
class Numbers {
 public:
  explicit Numbers(BN_CTX* context) noexcept : context_(context) { BN_CTX_start(context_); }
  Numbers(const Numbers&) = delete;
  Numbers& operator=(const Numbers&) = delete;
  ~Numbers() { BN_CTX_end(context_); }
  [[nodiscard]] BIGNUM* next() noexcept { return BN_CTX_get(context_); }

 private:
  BN_CTX* context_;
};

BIGNUM* read(std::string_view bytes, BIGNUM* number) noexcept {
  return BN_bin2bn(reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()), number);
}

bool in_range(const BIGNUM* number, const BIGNUM* order) noexcept {
  return !BN_is_zero(number) && BN_cmp(number, order) < 0;
}

}  // namespace

std::unique_ptr<P256Verifier> P256Verifier::make(EVP_PKEY* key) {
  std::unique_ptr<P256Verifier> verifier(new P256Verifier);
  if (!verifier->prepare(key)) verifier.reset();
  ERR_clear_error();
  return verifier;
}

bool P256Verifier::prepare(EVP_PKEY* key) {
#if defined(OPENSSL_NO_DEPRECATED_3_0) || OPENSSL_VERSION_MAJOR > 3
  return key == nullptr;
#else
  context_.reset(BN_CTX_new());
  curve_.reset(EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1));
  own_.reset(EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1));
  if (!context_ || !curve_ || !own_) return false;
  product_.reset(EC_POINT_new(curve_.get()));
  sum_.reset(EC_POINT_new(curve_.get()));
  const Point base(EC_POINT_new(own_.get()));
  std::array<unsigned char, 1 + 2 * kNumber> bytes;
  std::size_t size = 0;
  if (!product_ || !sum_ || !base ||
      EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, bytes.data(), bytes.size(), &size) !=
          1 ||
      EC_POINT_oct2point(own_.get(), base.get(), bytes.data(), size, context_.get()) != 1 ||
      EC_GROUP_set_generator(own_.get(), base.get(), EC_GROUP_get0_order(curve_.get()), BN_value_one()) != 1) {
    return false;
  }
  // Deprecated because keys of providers have no groups; there is no successor.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  return EC_GROUP_precompute_mult(own_.get(), context_.get()) == 1 && EC_GROUP_have_precompute_mult(own_.get()) == 1;
#pragma GCC diagnostic pop
#endif
}

// SEC 1 section 4.1.4.
bool P256Verifier::matches(const Sha256Digest& digest, const BIGNUM* r, const BIGNUM* s) {
  const BIGNUM* const order = EC_GROUP_get0_order(curve_.get());
  BN_CTX* const context = context_.get();
  Numbers numbers(context);
  BIGNUM* const inverse = numbers.next();
  BIGNUM* const hash = numbers.next();
  BIGNUM* const u1 = numbers.next();
  BIGNUM* const u2 = numbers.next();
  BIGNUM* const x = numbers.next();
  if (x == nullptr || BN_bin2bn(digest.data(), static_cast<int>(digest.size()), hash) == nullptr) return false;
  return BN_mod_inverse(inverse, s, order, context) != nullptr && BN_mod_mul(u1, hash, inverse, order, context) == 1 &&
         BN_mod_mul(u2, r, inverse, order, context) == 1 &&
         EC_POINT_mul(curve_.get(), sum_.get(), u1, nullptr, nullptr, context) == 1 &&
         EC_POINT_mul(own_.get(), product_.get(), u2, nullptr, nullptr, context) == 1 &&
         EC_POINT_add(curve_.get(), sum_.get(), sum_.get(), product_.get(), context) == 1 &&
         EC_POINT_is_at_infinity(curve_.get(), sum_.get()) == 0 &&
         EC_POINT_get_affine_coordinates(curve_.get(), sum_.get(), x, nullptr, context) == 1 &&
         BN_nnmod(u1, x, order, context) == 1 && BN_cmp(u1, r) == 0;
}

bool P256Verifier::verify(const Sha256Digest& digest, std::string_view r_and_s) noexcept {
  if (r_and_s.size() != 2 * kNumber) return false;
  const BIGNUM* const order = EC_GROUP_get0_order(curve_.get());
  Numbers numbers(context_.get());
  BIGNUM* const r = numbers.next();
  BIGNUM* const s = numbers.next();
  if (s == nullptr || read(r_and_s.substr(0, kNumber), r) == nullptr || read(r_and_s.substr(kNumber), s) == nullptr ||
      !in_range(r, order) || !in_range(s, order)) {
    return false;
  }
  return matches(digest, r, s);
}

}  // namespace pronghorn::worker
