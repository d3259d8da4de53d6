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
    if (step.state == State::done || step.state == State::malformed) break;
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

TEST_CASE("endless extensions and trailers are malformed", "[http][chunked]") {
  CHECK(decode("5;" + std::string(2 * ChunkedDecoder::kMaxLine, 'a'), 1000).state == State::malformed);
  CHECK(decode("0\r\nX: " + std::string(2 * ChunkedDecoder::kMaxTrailers, 'a'), 1000).state == State::malformed);
}
