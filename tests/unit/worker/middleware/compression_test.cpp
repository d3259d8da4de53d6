// What compression() does to responses. Bodies are decoded by the libraries' own decoders.
#include <brotli/decode.h>
#include <zlib.h>
#include <zstd.h>

#include <array>
#include <chrono>
#include <nlohmann/json.hpp>
#include <string>

#include "pronghorn/pronghorn.h"
#include "pronghorn/testing.h"
#include "support/catch.h"
#include "worker/middleware/content_encoder.h"

using namespace pronghorn;
using worker::ContentCoding;
using worker::ContentEncoder;

namespace {

std::string decode_gzip(const std::string& bytes) {
  z_stream stream{};
  inflateInit2(&stream, 15 + 16);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  std::string text;
  std::array<char, 4096> block{};
  int result = Z_OK;
  do {
    stream.next_out = reinterpret_cast<Bytef*>(block.data());
    stream.avail_out = block.size();
    result = inflate(&stream, Z_SYNC_FLUSH);
    text.append(block.data(), block.size() - stream.avail_out);
  } while (result == Z_OK && (stream.avail_in > 0 || stream.avail_out == 0));
  inflateEnd(&stream);
  return text;
}

std::string decode_brotli(const std::string& bytes) {
  auto* const decoder = BrotliDecoderCreateInstance(nullptr, nullptr, nullptr);
  std::size_t left = bytes.size();
  const auto* next = reinterpret_cast<const std::uint8_t*>(bytes.data());
  std::string text;
  BrotliDecoderResult result = BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT;
  while (result == BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT) {
    std::size_t no_room = 0;
    result = BrotliDecoderDecompressStream(decoder, &left, &next, &no_room, nullptr, nullptr);
    std::size_t size = 0;
    const auto* const made = BrotliDecoderTakeOutput(decoder, &size);
    text.append(reinterpret_cast<const char*>(made), size);
  }
  if (result == BROTLI_DECODER_RESULT_ERROR) text = "not brotli";
  BrotliDecoderDestroyInstance(decoder);
  return text;
}

std::string decode_zstd(const std::string& bytes) {
  auto* const decoder = ZSTD_createDCtx();
  ZSTD_inBuffer input{bytes.data(), bytes.size(), 0};
  std::string text;
  std::array<char, 4096> block{};
  std::size_t made = 0;
  do {
    ZSTD_outBuffer output{block.data(), block.size(), 0};
    if (ZSTD_isError(ZSTD_decompressStream(decoder, &output, &input)) != 0) {
      text = "not zstd";
      break;
    }
    made = output.pos;
    text.append(block.data(), made);
  } while (input.pos < input.size || made == block.size());
  ZSTD_freeDCtx(decoder);
  return text;
}

std::string decode(std::string_view coding, const std::string& bytes) {
  if (coding == "br") return decode_brotli(bytes);
  if (coding == "zstd") return decode_zstd(bytes);
  return coding == "gzip" ? decode_gzip(bytes) : bytes;
}

std::string words(std::size_t size) {
  std::string text;
  for (int i = 0; text.size() < size; ++i) text += "word " + std::to_string(i * 7919 % 1000) + " ";
  text.resize(size);
  return text;
}

Task<void> write_lines(Writer& out, char letter) {
  for (int i = 0; i < 5; ++i) {
    co_await out.write(std::string(100'000, letter) + "\n");
    co_await sleep_for(std::chrono::milliseconds(1));
  }
}

void setup(App& app) {
  app.use(compression());
  app.get("/text/{size}", [](Request& request) { return text(words(request.param<std::size_t>("size"))); });
  app.get("/type",
          [](Request& request) { return bytes(std::string(5000, 'a'), request.query("type").value_or("text/plain")); });
  app.get("/set", [](Request& request) {
    Response response = text(words(5000));
    response.set(request.query("name").value_or(""), request.query("value").value_or(""));
    return response;
  });
  app.get("/unchanged", [](Request& request) {
    const std::string type = request.query("type").value_or("");
    return Response(304).set("ETag", "\"1\"").content_type(type);
  });
  app.get("/secret", [](Request&) {
    return text(words(5000)).set("Cache-Control", "private").append("Cache-Control", "max-age=1, no-transform");
  });
  app.get("/status/{status}", [](Request& request) { return text(words(5000), request.param<int>("status")); });
  app.get("/random", [](Request&) {
    std::string body(2000, '\0');
    std::uint32_t state = 1;
    for (char& byte : body) byte = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
    return text(body);
  });
  app.get("/file", [](Request&) { return file("/etc/services", "text/plain"); });
  app.get("/stream", [](Request&) {
    return stream("text/plain", [](Writer& out) -> Task<void> {
      for (int i = 0; i < 3; ++i) co_await out.write("line " + std::to_string(i) + "\n");
      co_await out.write("");
      co_await out.write(words(200'000));
    });
  });
  app.get("/branches", [](Request&) {
    return stream("text/plain",
                  [](Writer& out) -> Task<void> { co_await when_all(write_lines(out, 'a'), write_lines(out, 'b')); });
  });
  app.get("/broken", [](Request&) {
    return stream("text/plain", [](Writer& out) -> Task<void> {
      co_await out.write("some");
      throw std::runtime_error("broken");
    });
  });
  app.get("/long-problem", [](Request&) -> Response { throw bad_request(words(3000)); });
}

TestResponse get(std::string_view target, std::string_view accepted = "gzip") {
  TestClient client(setup);
  return client.get(target, {{"Accept-Encoding", std::string(accepted)}});
}

}  // namespace

TEST_CASE("a body is compressed as the client prefers", "[compression]") {
  for (const char* coding : {"br", "zstd", "gzip"}) {
    INFO(coding);
    const auto response = get("/text/20000", coding);
    CHECK(response.header("content-encoding") == coding);
    CHECK(response.header("vary") == "Accept-Encoding");
    CHECK(response.header("content-type") == "text/plain; charset=utf-8");
    CHECK(response.header("content-length") == std::to_string(response.body.size()));
    CHECK(response.body.size() < 10'000);
    CHECK(decode(coding, response.body) == words(20'000));
  }
  CHECK(get("/text/20000", "gzip, br").header("content-encoding") == "br");
  const auto plain = get("/text/20000", "identity");
  CHECK(plain.body == words(20'000));
  CHECK(plain.header("vary") == "Accept-Encoding");
  CHECK(plain.header("content-encoding").empty());
}

TEST_CASE("bodies that are small, do not shrink or must not be changed are not compressed", "[compression]") {
  CHECK(get("/text/1023").header("content-encoding").empty());
  CHECK(get("/text/1024").header("content-encoding") == "gzip");
  CHECK(get("/random").header("content-encoding").empty());
  CHECK(get("/random").body.size() == 2000);
  CHECK(get("/type?type=image/png").header("content-encoding").empty());
  CHECK(get("/type?type=image/png").header("vary").empty());
  CHECK(get("/type?type=application/problem%2Bjson").header("content-encoding") == "gzip");
  CHECK(get("/type?type=image/svg%2Bxml;charset=utf-8").header("content-encoding") == "gzip");
  CHECK(get("/set?name=Content-Encoding&value=br").body == words(5000));
  CHECK(get("/set?name=Content-Digest&value=sha-256=:YQ==:").body == words(5000));
  CHECK(get("/set?name=repr-digest&value=sha-256=:YQ==:").body == words(5000));
  CHECK(get("/set?name=Cache-Control&value=public,%20No-Transform").body == words(5000));
  CHECK(get("/set?name=Cache-Control&value=public").header("content-encoding") == "gzip");
  CHECK(get("/secret").body == words(5000));  // a second field counts too
  CHECK(get("/status/206").body == words(5000));
  CHECK(get("/status/404").header("content-encoding") == "gzip");
  for (const char* target : {"/status/204", "/status/304", "/file"}) {
    INFO(target);
    CHECK(get(target).header("content-encoding").empty());
  }
}

TEST_CASE("a strong ETag becomes weak and Vary keeps what it had when a body is compressed", "[compression]") {
  CHECK(get("/set?name=ETag&value=%221%22").header("etag") == "W/\"1\"");
  CHECK(get("/set?name=ETag&value=W/%221%22").header("etag") == "W/\"1\"");
  CHECK(get("/set?name=ETag&value=%221%22", "identity").header("etag") == "\"1\"");
  CHECK(get("/set?name=Vary&value=Cookie").header("vary") == "Cookie, Accept-Encoding");
  CHECK(get("/set?name=Vary&value=Cookie,accept-encoding").header("vary") == "Cookie,accept-encoding");
  CHECK(get("/set?name=Vary&value=*").header("vary") == "*");
}

// RFC 9110 section 15.4.5: it has the Vary and the ETag that the 200 would have.
TEST_CASE("a 304 has the ETag that the client knows, and says that the response varies", "[compression]") {
  TestClient client(setup);
  const auto unchanged = [&client](const std::string& target, const std::string& known) {
    return client.get(target, {{"Accept-Encoding", "gzip"}, {"If-None-Match", known}});
  };
  CHECK(unchanged("/unchanged", "W/\"1\"").header("etag") == "W/\"1\"");
  CHECK(unchanged("/unchanged", "\"0\", W/\"1\"").header("etag") == "W/\"1\"");
  CHECK(unchanged("/unchanged", "\"1\"").header("etag") == "\"1\"");
  for (const char* const type : {"", "?type=text/plain"}) {
    CHECK(unchanged("/unchanged" + std::string(type), "\"1\"").header("vary") == "Accept-Encoding");
  }
  const auto image = unchanged("/unchanged?type=image/png", "\"1\"");
  CHECK(image.header("vary").empty());
  CHECK(image.header("content-type").empty());
}

TEST_CASE("HEAD is answered with the fields of GET", "[compression]") {
  TestClient client(setup);
  const TestClient::Headers headers{{"Accept-Encoding", "zstd"}};
  for (const char* target : {"/text/5000", "/text/500000", "/stream"}) {
    INFO(target);
    const auto get = client.get(target, headers);
    const auto head = client.request("HEAD", target, {}, headers);
    CHECK(head.body.empty());
    CHECK(head.header("content-length") == get.header("content-length"));
    CHECK(head.header("content-encoding") == "zstd");
    CHECK(head.header("vary") == get.header("vary"));
  }
}

TEST_CASE("streams and large bodies are compressed while they are sent", "[compression]") {
  for (const char* coding : {"br", "zstd", "gzip"}) {
    INFO(coding);
    const auto stream = get("/stream", coding);
    CHECK(stream.header("content-encoding") == coding);
    CHECK(stream.header("transfer-encoding") == "chunked");
    CHECK((decode(coding, stream.body) == "line 0\nline 1\nline 2\n" + words(200'000)));  // not shown when it fails
    const auto large = get("/text/500000", coding);
    CHECK(large.header("content-encoding") == coding);
    CHECK((decode(coding, large.body) == words(500'000)));
  }
  CHECK(get("/stream", "").body.starts_with("line 0\n"));
  CHECK_THROWS(get("/broken"));  // not ended as if it were whole
}

TEST_CASE("what branches of a producer write at a time stays together", "[compression]") {
  const std::string text = decode_gzip(get("/branches").body);
  const std::string a = std::string(100'000, 'a') + "\n";
  const std::string b = std::string(100'000, 'b') + "\n";
  CHECK(text.size() == 10 * a.size());
  for (std::size_t at = 0; at < text.size(); at += a.size()) {
    const std::string_view line = std::string_view(text).substr(at, a.size());
    CHECK((line == a || line == b));
  }
}

TEST_CASE("what has been flushed can be decoded although more follows", "[compression]") {
  for (const auto coding : {ContentCoding::br, ContentCoding::zstd, ContentCoding::gzip}) {
    INFO(worker::name_of(coding));
    const auto compressor = worker::make_content_encoder(coding);
    std::string sent;
    compressor->add("data: one\n\n", ContentEncoder::Then::flush, sent);
    CHECK(decode(worker::name_of(coding), sent) == "data: one\n\n");
    compressor->add("data: ", ContentEncoder::Then::go_on, sent);
    compressor->add("two\n\n", ContentEncoder::Then::flush, sent);
    CHECK(decode(worker::name_of(coding), sent) == "data: one\n\ndata: two\n\n");
    compressor->add({}, ContentEncoder::Then::finish, sent);
    CHECK(decode(worker::name_of(coding), sent) == "data: one\n\ndata: two\n\n");
  }
}

TEST_CASE("a problem is compressed with its request id", "[compression]") {
  const auto response = get("/long-problem");
  CHECK(response.header("content-encoding") == "gzip");
  const auto body = nlohmann::json::parse(decode_gzip(response.body));
  CHECK(body.at("request_id").get<std::string>().size() == 24);
  CHECK(body.at("detail") == words(3000));
}
