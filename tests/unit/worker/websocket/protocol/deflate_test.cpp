#include "worker/websocket/protocol/deflate.h"

#include <array>
#include <string>

#include "support/catch.h"

using namespace pronghorn;
using worker::Deflater;
using worker::DeflateTerms;
using worker::Inflater;

namespace {

std::string sample(std::size_t size) {
  std::string text;
  for (unsigned i = 0; text.size() < size; ++i)
    text += R"({"id":)" + std::to_string(i * 7919 % 1000) + R"(,"name":"x"})";
  text.resize(size);
  return text;
}

std::string compress(Deflater& deflater, std::string_view message, int window = 15) {
  std::string payload;
  deflater.deflate(message, {static_cast<std::uint8_t>(window)}, payload);
  return payload;
}

}  // namespace

TEST_CASE("messages of every size come back with every window", "[websocket][deflate]") {
  Deflater deflater;
  Inflater inflater;
  std::string message;
  for (int window = 9; window <= 15; ++window) {
    for (const std::size_t size : {0, 1, 16, 64, 256, 1024, 4096, 8192, 16384, 32768, 65536, 131072, 1000000}) {
      const std::string text = sample(size);
      INFO(window << ", " << size);
      REQUIRE(inflater.inflate(compress(deflater, text, window), 1 << 20, message) == Inflater::Result::done);
      REQUIRE((message == text));
    }
  }
}

TEST_CASE("what is compressed does not depend on earlier messages", "[websocket][deflate]") {
  Deflater deflater;
  const std::string first = compress(deflater, sample(1000));
  CHECK((compress(deflater, sample(1000)) == first));
  Inflater inflater;
  std::string message;
  CHECK(inflater.inflate("\xff\xff", 100, message) == Inflater::Result::invalid);
  REQUIRE(inflater.inflate(first, 1000, message) == Inflater::Result::done);
  CHECK((message == sample(1000)));
}

TEST_CASE("a small window is kept to", "[websocket][deflate]") {
  // What repeats is 600 bytes away, so a decompressor with a window of 512 bytes must not be sent there.
  std::string noise;
  for (unsigned i = 0, state = 1; i < 600; ++i) {
    noise += static_cast<char>((state = state * 1664525U + 1013904223U) >> 24);
  }
  std::string text;
  for (int i = 0; i < 20; ++i) text += noise;
  Deflater deflater;
  CHECK(compress(deflater, text, 15).size() < 1000);
  std::string payload = compress(deflater, text, 9);
  z_stream stream{};
  REQUIRE(inflateInit2(&stream, -9) == Z_OK);
  stream.next_in = reinterpret_cast<Bytef*>(payload.data());
  stream.avail_in = static_cast<uInt>(payload.size());
  std::string message;
  while (message.size() < text.size()) {  // in pieces, because zlib also finds what is in the same output
    std::array<char, 64> piece{};
    stream.next_out = reinterpret_cast<Bytef*>(piece.data());
    stream.avail_out = piece.size();
    REQUIRE(inflate(&stream, Z_NO_FLUSH) == Z_OK);
    message.append(piece.data(), piece.size() - stream.avail_out);
  }
  CHECK((message == text));
  inflateEnd(&stream);
}

TEST_CASE("a message is never larger than the limit, and may be as large", "[websocket][deflate]") {
  Deflater deflater;
  Inflater inflater;
  std::string message;
  for (const std::size_t size : {1, 511, 512, 513, 1023, 1024, 1025, 70000}) {
    const std::string payload = compress(deflater, std::string(size, 'a'));
    INFO(size);
    CHECK(inflater.inflate(payload, size, message) == Inflater::Result::done);
    CHECK(message.size() == size);
    CHECK(inflater.inflate(payload, size - 1, message) == Inflater::Result::too_big);
    CHECK(message.size() <= size);
  }
}

TEST_CASE("every payload that is cut is refused or is a shorter message", "[websocket][deflate]") {
  Deflater deflater;
  Inflater inflater;
  const std::string text = sample(300);
  const std::string payload = compress(deflater, text);
  std::string message;
  for (std::size_t size = 0; size < payload.size(); ++size) {
    INFO(size);
    const Inflater::Result result = inflater.inflate(payload.substr(0, size), 1000, message);
    if (result == Inflater::Result::done) CHECK(size == 0);
  }
}
