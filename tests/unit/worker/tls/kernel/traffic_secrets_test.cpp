#include "worker/tls/kernel/traffic_secrets.h"

#include <openssl/ssl.h>

#include <memory>
#include <string>

#include "support/catch.h"

using namespace pronghorn::worker;

namespace {

std::string hex(const unsigned char* bytes, std::size_t size) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (std::size_t i = 0; i < size; ++i) text.append({kDigits[bytes[i] >> 4U], kDigits[bytes[i] & 15U]});
  return text;
}

struct Keyed {
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context{SSL_CTX_new(TLS_server_method()), &SSL_CTX_free};
  std::unique_ptr<SSL, decltype(&SSL_free)> ssl{SSL_new(context.get()), &SSL_free};
};

}  // namespace

TEST_CASE("keys are derived from the secrets of a connection as in RFC 8448 section 3", "[tls]") {
  const Keyed connection;
  TrafficSecrets secrets;
  secrets.collect_from(connection.ssl.get());
  CHECK_FALSE(secrets.complete());
  TrafficSecrets::log_line(connection.ssl.get(), "CLIENT_HANDSHAKE_TRAFFIC_SECRET 00ff 0102");
  TrafficSecrets::log_line(
      connection.ssl.get(),
      "SERVER_TRAFFIC_SECRET_0 00ff a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643");
  CHECK_FALSE(secrets.complete());
  TrafficSecrets::log_line(
      connection.ssl.get(),
      "CLIENT_TRAFFIC_SECRET_0 00ff 9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5");
  REQUIRE(secrets.complete());
  const TlsKeys sending = secrets.sending(TlsCipher::aes_128_gcm);
  CHECK(hex(sending.key.data(), 16) == "9f02283b6c9c07efc26bb9f2ac92e356");
  CHECK(hex(sending.iv.data(), 12) == "cf782b88dd83549aadf1e984");
  CHECK(sending.record == 0);
  const TlsKeys receiving = secrets.receiving(TlsCipher::aes_128_gcm, 3);
  CHECK(hex(receiving.key.data(), 16) == "17422dda596ed5d9acd890e3c63f5051");
  CHECK(hex(receiving.iv.data(), 12) == "5b78923dee08579033e523d9");
  CHECK(receiving.record == 3);
}

TEST_CASE("a secret that is longer than any hash is not taken", "[tls]") {
  const Keyed connection;
  TrafficSecrets secrets;
  secrets.collect_from(connection.ssl.get());
  for (const char* label : {"CLIENT_TRAFFIC_SECRET_0 00 ", "SERVER_TRAFFIC_SECRET_0 00 "}) {
    TrafficSecrets::log_line(connection.ssl.get(), (label + std::string(98, 'a')).c_str());
  }
  CHECK_FALSE(secrets.complete());
  TrafficSecrets::forget(connection.ssl.get());
  TrafficSecrets::log_line(connection.ssl.get(), "CLIENT_TRAFFIC_SECRET_0 00 aaaa");  // reaches nobody
}
