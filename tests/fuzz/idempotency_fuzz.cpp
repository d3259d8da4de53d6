// Idempotency-Key. Input: the value of the field; and the head of a request, as a guardian looks for the field in it.
#include <algorithm>

#include "fuzz/fuzz_target.h"
#include "worker/guardian/verdict.h"
#include "worker/state/idempotency/idempotency_key.h"

namespace pronghorn::fuzz::idempotency {

static void fuzz(std::string_view input) {
  const std::string value(input);
  static_cast<void>(worker::may_repeat_under_key(value));
  const auto key = worker::parse_idempotency_key(value);
  if (!key) return;
  require(!key->empty() && key->size() <= worker::kMaxIdempotencyKey, "a key is short");
  require(std::ranges::all_of(*key, [](char c) { return c >= ' ' && c <= '~'; }), "a key is printable");
  std::string quoted = "\"";
  for (const char c : *key) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  require(worker::parse_idempotency_key(quoted + "\"") == key, "a key is the same when it is quoted");
  if (value.find_first_of("\r\n") == std::string::npos) {
    require(worker::may_repeat_under_key("POST / HTTP/1.1\r\nIdempotency-Key: " + value + "\r\n\r\n"),
            "the guardian finds the field");
  }
}

static std::vector<std::string> seeds() {
  return {
      "8e03978e-40d5-43dd-bc93-6894a57f9324",
      "\"8e03978e-40d5-43dd-bc93-6894a57f9324\"",
      "\"a \\\"b\\\" \\\\ c\"; later=1",
      "\"open",
      "\"a\\",
      "a, b",
      "a;b=c",
      "",
      "\"\"",
      std::string(255, 'k'),
      std::string(256, 'k'),
      "POST / HTTP/1.1\r\nHost: a\r\nidempotency-key: k\r\n\r\n{}",
      "\r\nPATCH / HTTP/1.1\r\nX: y\r\n\r\nIdempotency-Key: k\r\n",
  };
}

static const Registered kRegistered({"idempotency", fuzz, seeds});

}  // namespace pronghorn::fuzz::idempotency
