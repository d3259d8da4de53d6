#include "worker/http1/parser/chunked_decoder.h"

#include <string>

#include "support/catch.h"

using pronghorn::worker::ChunkedDecoder;
using State = ChunkedDecoder::State;

namespace {

struct Decoded {
  State state = State::needs_more;
  std::string body;
  std::string trailers;
  std::size_t consumed = 0;
};

Decoded decode(std::string_view input, std::size_t piece) {
  ChunkedDecoder decoder;
  Decoded decoded;
  while (decoded.consumed < input.size()) {
    const auto step = decoder.next(input.substr(decoded.consumed, piece));
    decoded.consumed += step.consumed;
    (step.state == State::trailers ? decoded.trailers : decoded.body).append(step.data);
    decoded.state = step.state;
    if (step.state >= State::done) break;
  }
  return decoded;
}

}  // namespace

TEST_CASE("a chunked body is the same in one piece and byte by byte", "[http][chunked]") {
  const std::string body = "5\r\nhello\r\nA;name=\"v\"\r\n, world!!!\r\n0\r\nTrailer: x\r\n\r\n";
  for (const std::size_t piece : {body.size() + 4, std::size_t{1}, std::size_t{3}}) {
    const Decoded decoded = decode(body + "GET ", piece);
    CHECK(decoded.state == State::done);
    CHECK(decoded.body == "hello, world!!!");
    CHECK(decoded.trailers.starts_with("Trailer: x\r\n"));
    CHECK(decoded.consumed == body.size());
  }
}

TEST_CASE("a chunk that two readers could frame differently is malformed", "[http][chunked]") {
  for (const std::string_view body :
       {"5\nhello\r\n", "5\r\nhello\n0\r\n\r\n", "5\r\nhelloX\r\n", "\r\n", ";x\r\n", "-1\r\n", "+1\r\n",
        "0x5\r\nhello\r\n", " 5\r\nhello\r\n", "5 \r\nhello\r\n", "g\r\n", "1000000000000000\r\n",
        "5;a\nb\r\nhello\r\n", "5;\x01\r\nhello\r\n", "0\r\nbad trailer\x01: x\r\n\r\n", "0\r\n : x\r\n\r\n", "0\r\n\n",
        "5\r\rhello", "0\r\nX: a\nY: b\r\n\r\n"}) {
    CAPTURE(body);
    CHECK(decode(body, body.size()).state == State::malformed);
    CHECK(decode(body, 1).state == State::malformed);
  }
}

// RFC 9110 section 5.6.3: recipients must accept bad whitespace (BWS).
TEST_CASE("extensions may have blanks around their parts, and are ignored", "[http][chunked]") {
  for (const std::string line : {"5 ;a", "5\t; a", "5;a = b", "5;a\t=\t\"b\"", "5 ; a = b ; c", "5;a=\"; \\\"\" ;b",
                                 "0000000000000000000000000000005"}) {
    CAPTURE(line);
    const std::string body = line + "\r\nhello\r\n0\r\n\r\n";
    for (const std::size_t piece : {body.size(), std::size_t{1}}) {
      const Decoded decoded = decode(body, piece);
      CHECK(decoded.state == State::done);
      CHECK(decoded.body == "hello");
    }
  }
}

// They used to be skipped up to the line end, whatever they were.
TEST_CASE("an extension that is not one of RFC 9112 is malformed", "[http][chunked]") {
  for (const std::string line :
       {"5;", "5;;a", "5;a;", "5;a ", "5;a=b ", "5;a=", "5;=b", "5;a b", "5;a=b c", "5;a==b", "5;a,b", "5;a\x80",
        "5;a=\"b", "5;a=\"b\\\"", "5;a=\"b\"c", "5;a=\"\x01\"", "5 5", "5 a"}) {
    CAPTURE(line);
    CHECK(decode(line + "\r\nhello\r\n0\r\n\r\n", 1).state == State::malformed);
  }
}

TEST_CASE("extensions and trailers have limits for the whole message", "[http][chunked]") {
  CHECK(decode("5;" + std::string(2 * ChunkedDecoder::kMaxOverhead, 'a'), 1000).state == State::too_large);
  CHECK(decode(std::string(2 * ChunkedDecoder::kMaxOverhead, '0'), 1000).state == State::too_large);
  CHECK(decode("0\r\nX: " + std::string(2 * ChunkedDecoder::kMaxTrailers, 'a'), 1000).state == State::too_large);
  std::string many_chunks;
  std::string many_trailers = "0\r\n";
  for (std::size_t i = 0; i < ChunkedDecoder::kMaxOverhead; i += 100) {
    many_chunks += "1;" + std::string(200, 'a') + "\r\nx\r\n";
    many_trailers += "X: " + std::string(95, 'a') + "\r\n";
  }
  CHECK(decode(many_chunks, 1000).state == State::too_large);
  CHECK(decode(many_trailers, 1000).state == State::too_large);
}

TEST_CASE("a large body may have as many bytes of extensions as of data", "[http][chunked]") {
  std::string body;
  for (int i = 0; i < 1000; ++i) body += "64;" + std::string(98, 'a') + "\r\n" + std::string(100, 'x') + "\r\n";
  CHECK(decode(body + "0\r\n\r\n", 1000).state == State::done);
}

TEST_CASE("what a chunk announces is known before it arrives", "[http][chunked]") {
  ChunkedDecoder decoder;
  CHECK(decoder.next("ff").state == State::needs_more);
  CHECK(decoder.chunk_left() == 0);  // there may be another digit
  CHECK(decoder.next("f\r\n").state == State::needs_more);
  CHECK(decoder.chunk_left() == 0xfff);
  CHECK(decoder.next("abc").state == State::data);
  CHECK(decoder.chunk_left() == 0xffc);
}
