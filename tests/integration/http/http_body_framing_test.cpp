// Where a body ends: Content-Length and chunks (RFC 9112 sections 6 and 7.1). Requests are smuggled here.
#include "integration/http/framing_table.h"
#include "support/catch.h"

using namespace pronghorn::test;

TEST_CASE("Content-Length is one plain number", "[http]") {
  check_table(ServerProcess({.workers = 1}), content_length_cases());
}

TEST_CASE("Transfer-Encoding is chunked, once, and without Content-Length", "[http]") {
  check_table(ServerProcess({.workers = 1}), transfer_encoding_cases());
}

TEST_CASE("what two readers would frame differently is refused", "[http]") {
  check_table(ServerProcess({.workers = 1}), smuggling_cases());
}

TEST_CASE("chunks are read exactly, malformed ones are answered 400", "[http]") {
  const ServerProcess server({.workers = 1});
  check_table(server, chunk_cases());
  check_table(server, malformed_chunk_cases());
}

TEST_CASE("trailers are no part of the body, malformed ones are answered 400", "[http]") {
  check_table(ServerProcess({.workers = 1}), trailer_cases());
}
