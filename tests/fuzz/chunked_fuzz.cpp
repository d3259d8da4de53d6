// The chunked transfer coding.
#include "framing/framing_cases.h"
#include "fuzz/fuzz_target.h"
#include "worker/http1/parser/chunked_decoder.h"

namespace pronghorn::fuzz::chunked {

namespace {

using worker::ChunkedDecoder;
using State = ChunkedDecoder::State;

struct Decoded {
  State state = State::needs_more;
  std::string body;
  std::string trailers;
  std::size_t consumed = 0;
};

// Decodes one piece. False at the end of the message, or if it is malformed.
bool decode(ChunkedDecoder& decoder, std::string_view piece, Decoded& decoded) {
  while (true) {
    const ChunkedDecoder::Step step = decoder.next(piece);
    require(step.consumed <= piece.size() && is_within(step.data, piece), "what is decoded was in the input");
    require(step.state != State::data || !step.data.empty(), "data are never empty");
    decoded.state = step.state;
    decoded.consumed += step.consumed;
    (step.state == State::trailers ? decoded.trailers : decoded.body).append(step.data);
    piece.remove_prefix(step.consumed);
    if (step.state >= State::done) return false;
    if (step.state == State::needs_more) {
      require(piece.empty(), "a decoder that needs more has used all it had");
      return true;
    }
  }
}

std::string encode(std::string_view body) {
  std::string chunks;
  for (Pieces pieces(body); !pieces.empty();) {
    const std::string_view piece = pieces.next();
    char size[16];
    std::snprintf(size, sizeof size, "%zx\r\n", piece.size());
    chunks.append(size).append(piece).append("\r\n");
  }
  return chunks + "0\r\n\r\n";
}

Decoded decode_whole(std::string_view input) {
  ChunkedDecoder decoder;
  Decoded decoded;
  decode(decoder, input, decoded);
  return decoded;
}

}  // namespace

static void fuzz(std::string_view input) {
  const Decoded whole = decode_whole(input);
  ChunkedDecoder decoder;
  Decoded in_pieces;
  for (Pieces pieces(input); !pieces.empty();) {
    if (!decode(decoder, pieces.next(), in_pieces)) break;
  }
  require(in_pieces.state == whole.state, "chunks are the same in one piece and in many");
  require(in_pieces.body == whole.body && in_pieces.consumed == whole.consumed, "a body ends at one place");
  // Whether the CR of the last empty line counts as a trailer depends on the pieces.
  const auto fields = [](const Decoded& decoded) {
    return decoded.trailers.substr(0, decoded.trailers.rfind('\n') + 1);
  };
  require(whole.state != State::done || fields(in_pieces) == fields(whole), "trailers are the same");

  const std::string encoded = encode(input);
  const Decoded again = decode_whole(encoded + "GET ");
  require(again.state == State::done && again.body == input, "a body comes back as it was sent");
  require(again.consumed == encoded.size(), "the next request is left alone");
}

static std::vector<std::string> seeds() {
  std::vector<std::string> bodies;
  for (const test::FramingCases& cases :
       {test::chunk_cases(), test::malformed_chunk_cases(), test::trailer_cases(), test::line_end_cases()}) {
    for (const test::FramingCase& test : cases) {
      const std::size_t head_end = test.bytes.find("\r\n\r\n");
      if (head_end != std::string::npos) bodies.push_back(test.bytes.substr(head_end + 4));
    }
  }
  return bodies;
}

static const Registered kRegistered({"chunked", fuzz, seeds});

}  // namespace pronghorn::fuzz::chunked
