// Dictionaries of structured fields: Priority of requests, responses and PRIORITY_UPDATE. Input: one field value a line.
#include <algorithm>
#include <cstdint>
#include <optional>

#include "fuzz/fuzz_target.h"
#include "worker/fields/dictionary.h"
#include "worker/http2/protocol/priority.h"

namespace pronghorn::fuzz::dictionary {

namespace {

using worker::DictionaryReader;
using Members = std::vector<DictionaryReader::Member>;

bool same(const Members& a, const Members& b) {
  const auto is_same = [](const DictionaryReader::Member& x, const DictionaryReader::Member& y) {
    if (x.key != y.key || x.value.index() != y.value.index()) return false;
    if (const auto* const number = std::get_if<std::int64_t>(&x.value))
      return *number == std::get<std::int64_t>(y.value);
    if (const bool* const flag = std::get_if<bool>(&x.value)) return *flag == std::get<bool>(y.value);
    return true;
  };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), is_same);
}

bool is_key(std::string_view text) {
  const auto is_lower = [](char c) { return c >= 'a' && c <= 'z'; };
  if (text.empty() || (!is_lower(text[0]) && text[0] != '*')) return false;
  for (const char c : text) {
    if (!is_lower(c) && (c < '0' || c > '9') && std::string_view("_-.*").find(c) == std::string_view::npos)
      return false;
  }
  return true;
}

// nullopt if malformed.
std::optional<Members> read(std::string_view field) {
  constexpr std::int64_t kMost = 999'999'999'999'999;
  Members members;
  DictionaryReader reader(field);
  while (const auto member = reader.next()) {
    require(is_within(member->key, field) && is_key(member->key), "a key is one");
    const auto* const number = std::get_if<std::int64_t>(&member->value);
    require(number == nullptr || (*number >= -kMost && *number <= kMost), "a number has at most 15 digits");
    members.push_back(*member);
  }
  require(!reader.next(), "the end stays");
  if (reader.malformed()) return std::nullopt;
  require(members.size() <= (field.size() + 1) / 2, "a member has a key and a comma");
  return members;
}

void check(const std::string& field) {
  const auto members = read(field);
  const auto priority = worker::read_priority(field);
  require(priority.has_value() == members.has_value(), "a priority is malformed if its dictionary is");
  require(!priority || (priority->urgency <= 7 && (priority->inc == 0 || priority->inc == 1)), "a priority is valid");
  const bool has_key = field.find_first_not_of(' ') != std::string::npos;
  require(has_key || (members && members->empty()), "blanks are the empty dictionary");
  require(!read(field + ","), "a comma is between two members");
  const std::string padded_field = "  " + field + "  ";
  const auto padded = read(padded_field);
  require(padded.has_value() == members.has_value() && (!members || same(*padded, *members)), "blanks say nothing");
}

// Lines that are well-formed by themselves are so when they are joined, and have the members of both.
void check_joined(const std::string& one, const std::string& other) {
  auto first = read(one);
  const auto second = read(other);
  if (!first || !second || first->empty() || second->empty()) return;
  const std::string both = one + ", " + other;
  const auto joined = read(both);
  first->insert(first->end(), second->begin(), second->end());
  require(joined && same(*joined, *first), "two dictionaries are joined by a comma");
}

}  // namespace

static void fuzz(std::string_view input) {
  std::string before;
  while (!input.empty()) {
    const std::string line(take_line(input));
    check(line);
    check_joined(before, line);
    before = line;
  }
}

static std::vector<std::string> seeds() {
  return {
      "u=1, i\nu=7\ni=?0",
      "",
      "  ",
      " a=1 \t,\t*b-_.*9=?0  ",
      "a=-999999999999999, b=0012",
      "a=1234567890123456",
      "a=123456789012.123, b=-0.5\na=1.1234\na=1.",
      "a=\"x, \\\"y\\\\\", c\na=\"\\n\"\na=\"",
      "a=tok:en/*!, b=*x, c=:aGVsbG8=:, d=::\na=:a b:",
      "a=(), b=( 1  \"x\";y=2;  z t ), c=(1);d=\"e\"\na=(1,2)\na=(1",
      "a;b;c=1.5, d=2;e=:YQ==:;f\na;\na ;b\na=1;b=()",
      "a=1, a=2\na,,b\n,a\na,",
      "A\n1\na=\na= 1\na =1\n\ta\na=--1\na=?2",
  };
}

static const Registered kRegistered({"dictionary", fuzz, seeds});

}  // namespace pronghorn::fuzz::dictionary
