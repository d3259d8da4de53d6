#include "worker/state/redis/protocol/encode_command.h"

#include <charconv>
#include <cstddef>
#include <cstring>

namespace pronghorn::worker {
namespace {

constexpr std::size_t kLongestNumber = 23;  // '$', 20 digits, CRLF

// Both return the end of what they write.
char* put_number(char* at, char kind, std::size_t number) noexcept {
  *at++ = kind;
  if (number < 10) {  // nearly every word
    *at++ = static_cast<char>('0' + number);
  } else {
    at = std::to_chars(at, at + 20, number).ptr;
  }
  *at++ = '\r';
  *at++ = '\n';
  return at;
}

char* put_word(char* at, std::string_view word) noexcept {
  at = put_number(at, '$', word.size());
  if (!word.empty()) std::memcpy(at, word.data(), word.size());
  at += word.size();
  *at++ = '\r';
  *at++ = '\n';
  return at;
}

}  // namespace

// One allocation at most, and none for each word: every request with a session or a limit sends some thirty words.
void append_command(std::string& output, std::span<const std::string_view> words) {
  const std::size_t before = output.size();
  std::size_t most = before + kLongestNumber;
  for (const std::string_view word : words) most += kLongestNumber + word.size() + 2;
  output.resize_and_overwrite(most, [before, words](char* text, std::size_t) noexcept {
    char* at = put_number(text + before, '*', words.size());
    for (const std::string_view word : words) at = put_word(at, word);
    return static_cast<std::size_t>(at - text);
  });
}

}  // namespace pronghorn::worker
