// X-Request-Id and traceparent (W3C Trace Context). Input: the value of a field.
#include <algorithm>
#include <string>

#include "fuzz/fuzz_target.h"
#include "worker/exchange/correlation.h"

namespace pronghorn::fuzz::correlation {

namespace {

constexpr std::string_view kDigits = "0123456789abcdef";

bool is_hex(std::string_view text) { return text.find_first_not_of(kDigits) == std::string_view::npos; }

void check_id(std::string_view field) {
  if (!worker::is_request_id(field)) return;
  require(!field.empty() && field.size() <= worker::kMaxClientId, "an id is short");
  require(std::ranges::all_of(field, [](char c) { return c > ' ' && c < 0x7f && c != '"' && c != '\\' && c != ','; }),
          "an id can be written into a log and a field");
}

void check_trace(std::string_view field) {
  const auto caller = worker::parse_traceparent(field);
  char text[worker::kTraceparent];
  worker::write_traceparent(text, caller, field.size() + 1, 7);
  const std::string_view written(text, sizeof text);
  const auto again = worker::parse_traceparent(written);
  require(again.has_value(), "what is written is a traceparent");
  if (!caller) return;
  require(is_within(caller->trace_id, field) && is_within(caller->flags, field), "views point into the field");
  require(caller->trace_id.size() == worker::kTraceId && is_hex(caller->trace_id), "a trace id is 32 hex digits");
  require(caller->flags.size() == 2 && is_hex(caller->flags), "flags are two hex digits");
  require(again->trace_id == caller->trace_id, "a trace goes on");
  const std::size_t flags = kDigits.find(caller->flags[1]) & 3;
  require(again->flags == std::string("0") + kDigits[flags], "the two flags that are known go on");
}

}  // namespace

static void fuzz(std::string_view input) {
  const std::string field(input);
  check_id(field);
  check_trace(field);
}

static std::vector<std::string> seeds() {
  const std::string trace = "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  return {
      "00-" + trace,
      "01-" + trace,
      "01-" + trace + "-more",
      "00-" + trace + "-more",
      "ff-" + trace,
      "00-00000000000000000000000000000000-b7ad6b7169203331-01",
      "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
      "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
      "00-" + trace.substr(0, 51),
      "550e8400-e29b-41d4-a716-446655440000",
      "a.b_c~d+e/f=g:h@i-j",
      "a b",
      "a\"b",
      "",
      std::string(128, 'a'),
      std::string(129, 'a'),
  };
}

static const Registered kRegistered({"correlation", fuzz, seeds});

}  // namespace pronghorn::fuzz::correlation
