// Request::cookie() and cookies(). Input: the name that is looked for, a line feed, then Cookie fields, one a line.
#include <memory>

#include "fuzz/fuzz_target.h"
#include "worker/exchange/exchange.h"

namespace pronghorn::fuzz::cookie {

static void fuzz(std::string_view input) {
  const auto exchange = std::make_unique<worker::Exchange>();
  exchange->head.clear();
  const std::size_t line_end = input.find('\n');
  const std::string name(input.substr(0, line_end));
  const std::string fields(line_end == std::string_view::npos ? std::string_view{} : input.substr(line_end + 1));
  std::string_view rest = fields;
  while (!rest.empty() && exchange->head.field_count < worker::kMaxHeaderFields) {
    const std::size_t end = rest.find('\n');
    exchange->head.fields[exchange->head.field_count++] = {"Cookie", rest.substr(0, end)};
    rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
  }
  const auto first = exchange->request.cookie(name);
  const auto all = exchange->request.cookies(name);
  require(first.has_value() == !all.empty() && (all.empty() || all.front() == *first),
          "the first cookie is one of all");
  for (const std::string_view value : all) {
    require(is_within(value, fields), "the value is a part of a field");
    require(value.find_first_of(";\n") == std::string_view::npos, "the value ends with its cookie");
  }
  require(all.empty() || fields.find(name) != std::string::npos, "a cookie that is found was sent");
}

static std::vector<std::string> seeds() {
  return {
      "a\na=b",
      "b\na=b; b=c; c=d",
      "a\na=\"quoted\"",
      "a\na=\"",
      "a\na=",
      "a\n=b",
      "\n=b",
      "a\na",
      "a\n;;; a = b ;",
      "a\nb=a=c; a=b=c",
      "session\nx=1\nsession=0123456789abcdef; y=2",
      "a\na=b, a=c",
      "a\n$Version=1; a=b; $Path=/",
      "a",
      "",
  };
}

static const Registered kRegistered({"cookie", fuzz, seeds});

}  // namespace pronghorn::fuzz::cookie
