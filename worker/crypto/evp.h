// Owners of OpenSSL's objects.
#pragma once

#include <openssl/bn.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include <memory>
#include <stdexcept>

namespace pronghorn::worker {

template <auto function>
struct FreeWith {
  template <class T>
  void operator()(T* object) const noexcept {
    function(object);
  }
};

using EvpKey = std::unique_ptr<EVP_PKEY, FreeWith<EVP_PKEY_free>>;
using EvpKeyContext = std::unique_ptr<EVP_PKEY_CTX, FreeWith<EVP_PKEY_CTX_free>>;
using EvpDigestContext = std::unique_ptr<EVP_MD_CTX, FreeWith<EVP_MD_CTX_free>>;
using EvpDigest = std::unique_ptr<EVP_MD, FreeWith<EVP_MD_free>>;
using EvpMac = std::unique_ptr<EVP_MAC, FreeWith<EVP_MAC_free>>;
using EvpMacContext = std::unique_ptr<EVP_MAC_CTX, FreeWith<EVP_MAC_CTX_free>>;
using EcdsaSignature = std::unique_ptr<ECDSA_SIG, FreeWith<ECDSA_SIG_free>>;
using BigNumber = std::unique_ptr<BIGNUM, FreeWith<BN_clear_free>>;
using ParamBuilder = std::unique_ptr<OSSL_PARAM_BLD, FreeWith<OSSL_PARAM_BLD_free>>;
using Params = std::unique_ptr<OSSL_PARAM, FreeWith<OSSL_PARAM_free>>;

}  // namespace pronghorn::worker
