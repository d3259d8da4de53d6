#include "worker/state/redis/protocol/encode_command.h"

#include <array>
#include <charconv>
#include <cstddef>

namespace pronghorn::worker {
namespace {

void append_number(std::string& output, char kind, std::size_t number) {
  std::array<char, 24> text;
  text[0] = kind;
  char* end = std::to_chars(text.data() + 1, text.data() + text.size() - 2, number).ptr;
  *end++ = '\r';
  *end++ = '\n';
  output.append(text.data(), end);
}

}  // namespace

void append_command(std::string& output, std::span<const std::string_view> words) {
  append_number(output, '*', words.size());
  for (const std::string_view word : words) {
    append_number(output, '$', word.size());
    output.append(word).append("\r\n");
  }
}

}  // namespace pronghorn::worker
