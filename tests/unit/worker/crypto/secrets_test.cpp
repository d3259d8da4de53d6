#include "pronghorn/secrets.h"

#include <set>
#include <string>

#include "pronghorn/pronghorn.h"
#include "pronghorn/testing.h"
#include "support/catch.h"
#include "worker/crypto/base64.h"
#include "worker/crypto/password_hash.h"

using namespace pronghorn;
using namespace pronghorn::worker;

namespace {

std::string hex(const std::string& bytes) {
  std::string text;
  for (const char byte : bytes) {
    constexpr char kDigits[] = "0123456789abcdef";
    text += kDigits[static_cast<unsigned char>(byte) >> 4];
    text += kDigits[static_cast<unsigned char>(byte) & 15];
  }
  return text;
}

// Small enough for a test: 1 MiB.
constexpr ScryptCost kCheap{.log2_n = 10, .r = 8, .p = 1};

void passwords(App& app) {
  app.post("/hash", [](Request& request) -> Task<Response> {
    const std::string_view body = co_await request.body();
    std::string password(body);
    std::string hash = co_await hash_password(std::move(password));
    co_return text(std::move(hash));
  });
  app.post("/verify", [](Request& request) -> Task<Response> {
    const std::string_view body = co_await request.body();
    std::string password(body);
    std::string hash(request.header("x-hash").value_or(""));
    const bool matched = co_await verify_password(std::move(password), std::move(hash));
    co_return text(matched ? "yes" : "no");
  });
}

}  // namespace

TEST_CASE("base64 has one text for each bytes", "[secrets]") {
  for (const auto& [bytes, text_of_them] : std::initializer_list<std::pair<std::string, std::string>>{
           {"", ""}, {"f", "Zg"}, {"fo", "Zm8"}, {"foo", "Zm9v"}, {"foob", "Zm9vYg"}, {"\xfb\xff", "-_8"}}) {
    CHECK(encode_base64(bytes) == text_of_them);
    CHECK(decode_base64(text_of_them) == bytes);
  }
  for (const char* wrong : {"Z", "Zh", "Zm9", "Zg==", "Zg=", "Z g", "Zg\n", "+/8", "Zm9vY", "\xc3\xa9"}) {
    CHECK_FALSE(decode_base64(wrong));
  }
  CHECK(encode_base64("\xfb\xff", Base64::plain) == "+/8");
  CHECK(decode_base64("+/8", Base64::plain) == "\xfb\xff");
  CHECK_FALSE(decode_base64("-_8", Base64::plain));
}

TEST_CASE("HMAC is that of RFC 4231", "[secrets]") {
  CHECK(hex(hmac_sha256(std::string(20, '\x0b'), "Hi There")) ==
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  CHECK(hex(hmac_sha256("Jefe", "what do ya want for nothing?")) ==
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  CHECK(hmac_sha256("", "").size() == 32);
}

TEST_CASE("texts are compared whole", "[secrets]") {
  CHECK(constant_time_equal("", ""));
  CHECK(constant_time_equal("abc", "abc"));
  CHECK_FALSE(constant_time_equal("abc", "abd"));
  CHECK_FALSE(constant_time_equal("abc", "ab"));
  CHECK_FALSE(constant_time_equal(std::string_view("a\0b", 3), std::string_view("a\0c", 3)));
}

TEST_CASE("random tokens differ and may stand in a URL", "[secrets]") {
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i) {
    const std::string token = random_token();
    CHECK(token.size() == 43);
    CHECK(decode_base64(token));
    seen.insert(token);
  }
  CHECK(seen.size() == 100);
  CHECK(random_bytes(100'000).size() == 100'000);
  CHECK(random_token(0).empty());
}

TEST_CASE("scrypt is that of RFC 7914", "[secrets]") {
  CHECK(hex(scrypt("password", "NaCl", {.log2_n = 10, .r = 8, .p = 16}, 64)) ==
        "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b3731622eaf30d92e22a3886ff109279d9830dac727afb94a83ee"
        "6d8"
        "360cbdfa2cc0640");
}

TEST_CASE("a password hash is a PHC string with a salt of its own", "[secrets]") {
  const std::string first = make_password_hash("secret", kCheap);
  const std::string second = make_password_hash("secret", kCheap);
  CHECK(first.starts_with("$scrypt$ln=10,r=8,p=1$"));
  CHECK(first != second);
  const auto parsed = parse_password_hash(first);
  REQUIRE(parsed);
  CHECK(parsed->cost == kCheap);
  CHECK(scrypt("secret", parsed->salt, parsed->cost, 32) == parsed->hash);
  CHECK(needs_rehash(first));
}

TEST_CASE("hashes that are malformed or ask for too much are not read", "[secrets]") {
  const std::string tail = "$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E";
  CHECK(parse_password_hash("$scrypt$ln=16,r=8,p=1" + tail));
  CHECK(parse_password_hash("$scrypt$ln=17,r=8,p=1" + tail));
  for (const char* parameters :
       {"ln=18,r=8,p=1", "ln=17,r=9,p=1", "ln=0,r=8,p=1", "ln=63,r=8,p=1", "ln=64,r=8,p=1", "ln=4294967296,r=8,p=1",
        "ln=-1,r=8,p=1", "ln=15,r=8,p=64", "ln=15,r=8,p=0", "ln=15,r=0,p=1", "ln=15,p=1,r=8", "ln=015,r=8,p=1",
        "ln=15,r=8", "ln=15,r=8,p=1,x=1", "ln= 15,r=8,p=1", "", "ln=1,r=4194304,p=1", "ln=15,r=8,p=4294967295",
        "ln=16,r=1,p=1"}) {
    CAPTURE(parameters);
    CHECK_FALSE(parse_password_hash("$scrypt$" + std::string(parameters) + tail));
  }
  const std::string head = "$scrypt$ln=15,r=8,p=1$";
  for (const std::string& rest :
       {std::string(), std::string("$"), std::string("aM15713r3Xsvxbi31lqr1Q"), std::string("aM15713r3Xsvxbi31lqr1Q$"),
        std::string("AA$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E"),
        std::string("aM15713r3Xsvxbi31lqr1Q==$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E"),
        std::string("aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E$x"),
        std::string("aM15713r3Xsvxbi31lqr1Q$AA"), std::string(600, 'A') + "$AA"}) {
    CHECK_FALSE(parse_password_hash(head + rest));
  }
  for (const char* other : {"", "secret", "$2b$12$abc", "$argon2id$v=19$m=65536,t=3,p=4$AA$AA", "$scrypt$"}) {
    CHECK_FALSE(parse_password_hash(other));
    CHECK(needs_rehash(other));
  }
}

TEST_CASE("a password is hashed on the pool and matches its hash only", "[secrets]") {
  TestClient client(passwords);
  const std::string hash = client.post("/hash", "correct horse").body;
  CHECK(hash.starts_with("$scrypt$ln=15,r=8,p=3$"));
  CHECK_FALSE(needs_rehash(hash));
  const auto verify = [&client](std::string_view password, const std::string& stored) {
    return client.post("/verify", password, "text/plain", {{"X-Hash", stored}}).body;
  };
  CHECK(verify("correct horse", hash) == "yes");
  CHECK(verify("correct horsf", hash) == "no");
  CHECK(verify("", hash) == "no");
  CHECK(verify("correct horse", "") == "no");
  CHECK(verify("correct horse", "$scrypt$ln=30,r=8,p=1$AAAA$AAAA") == "no");
  // Cheap enough, but no parameters of scrypt: it was a 500.
  CHECK(verify("correct horse", "$scrypt$ln=16,r=1,p=1$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlmw") == "no");
  CHECK(verify(std::string(1025, 'a'), hash) == "no");
  CHECK(client.post("/hash", std::string(1025, 'a')).status == 400);
  CHECK(client.post("/hash", std::string(1024, 'a')).status == 200);
}

TEST_CASE("a hash of passlib is verified", "[secrets]") {
  TestClient client(passwords);
  const std::string hash = "$scrypt$ln=16,r=8,p=1$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E";
  CHECK(client.post("/verify", "password", "text/plain", {{"X-Hash", hash}}).body == "yes");
  CHECK(client.post("/verify", "Password", "text/plain", {{"X-Hash", hash}}).body == "no");
}
