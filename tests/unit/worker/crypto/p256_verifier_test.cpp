// Our equation of ECDSA against OpenSSL's.
#include "worker/crypto/p256_verifier.h"

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <vector>

#include "pronghorn/secrets.h"
#include "support/catch.h"
#include "worker/crypto/sha256.h"

using namespace pronghorn;
using namespace pronghorn::worker;

namespace {

const std::string kOrder(
    "\xff\xff\xff\xff\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\xbc\xe6\xfa\xad\xa7\x17\x9e\x84\xf3\xb9\xca\xc2"
    "\xfc"
    "\x63\x25\x51",
    32);

class Key {
 public:
  Key() : key(EVP_EC_gen("P-256")), context(EVP_PKEY_CTX_new(key.get(), nullptr)) {
    verifier = P256Verifier::make(key.get());
  }

  std::string sign(const Sha256Digest& digest) {
    REQUIRE(EVP_PKEY_sign_init(context.get()) == 1);
    std::array<unsigned char, 80> der;
    std::size_t size = der.size();
    REQUIRE(EVP_PKEY_sign(context.get(), der.data(), &size, digest.data(), digest.size()) == 1);
    const unsigned char* at = der.data();
    const EcdsaSignature signature(d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(size)));
    std::string bytes(64, '\0');
    auto* const out = reinterpret_cast<unsigned char*>(bytes.data());
    BN_bn2binpad(ECDSA_SIG_get0_r(signature.get()), out, 32);
    BN_bn2binpad(ECDSA_SIG_get0_s(signature.get()), out + 32, 32);
    return bytes;
  }
  bool openssl_accepts(const Sha256Digest& digest, const std::string& r_and_s) {
    const EcdsaSignature signature(ECDSA_SIG_new());
    const auto* const bytes = reinterpret_cast<const unsigned char*>(r_and_s.data());
    ECDSA_SIG_set0(signature.get(), BN_bin2bn(bytes, 32, nullptr), BN_bin2bn(bytes + 32, 32, nullptr));
    unsigned char* der = nullptr;
    const int size = i2d_ECDSA_SIG(signature.get(), &der);
    REQUIRE(EVP_PKEY_verify_init(context.get()) == 1);
    const bool accepted =
        EVP_PKEY_verify(context.get(), der, static_cast<std::size_t>(size), digest.data(), digest.size()) == 1;
    OPENSSL_free(der);
    return accepted;
  }

  EvpKey key;
  EvpKeyContext context;
  std::unique_ptr<P256Verifier> verifier;
};

// n - s, in bytes: the other signature of the same r.
std::string negative(const std::string& s) {
  BigNumber order(BN_bin2bn(reinterpret_cast<const unsigned char*>(kOrder.data()), 32, nullptr));
  BigNumber number(BN_bin2bn(reinterpret_cast<const unsigned char*>(s.data()), 32, nullptr));
  BN_sub(number.get(), order.get(), number.get());
  std::string bytes(32, '\0');
  BN_bn2binpad(number.get(), reinterpret_cast<unsigned char*>(bytes.data()), 32);
  return bytes;
}

}  // namespace

TEST_CASE("ES256 signatures are valid exactly when OpenSSL says so", "[token]") {
  for (int round = 0; round < 10; ++round) {
    Key key;
    REQUIRE(key.verifier != nullptr);
    Sha256Digest digest;
    const std::string random = random_bytes(digest.size());
    std::copy(random.begin(), random.end(), digest.begin());
    if (round == 0) digest.fill(0);
    if (round == 1) digest.fill(0xff);
    const std::string good = key.sign(digest);
    CHECK(key.verifier->verify(digest, good));
    CHECK(key.verifier->verify(digest, good.substr(0, 32) + negative(good.substr(32))));
    const std::string zero(32, '\0');
    const std::string one = std::string(31, '\0') + "\x01";
    const std::string largest(32, '\xff');
    std::vector<std::string> tried{good.substr(32) + good.substr(0, 32), random_bytes(64),
                                   good.substr(0, 32) + negative(good.substr(32))};
    for (const std::string& r : {good.substr(0, 32), zero, one, kOrder, largest}) {
      for (const std::string& s : {good.substr(32), zero, one, kOrder, negative(one), largest}) tried.push_back(r + s);
    }
    for (std::size_t i = 0; i < 64; i += 5) {
      tried.push_back(good);
      tried.back()[i] = static_cast<char>(tried.back()[i] ^ (1 << (i % 8)));
    }
    for (const std::string& signature : tried) {
      CHECK(key.verifier->verify(digest, signature) == key.openssl_accepts(digest, signature));
    }
    CHECK_FALSE(key.verifier->verify(digest, good.substr(1)));
    CHECK_FALSE(key.verifier->verify(digest, good + "a"));
    Sha256Digest other = digest;
    other[31] ^= 1;
    CHECK_FALSE(key.verifier->verify(other, good));
    CHECK_FALSE(Key().verifier->verify(digest, good));
  }
}
