// A fuzz target: one parser of bytes that come from clients, and what it promises whatever they are.
//
// To add one, write NAME_fuzz.cpp in this folder with the two functions below; nothing else has to know of it.
// ./scripts/fuzz runs it; an input that it has crashed on goes into regressions/NAME/ with the fix.
#pragma once

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pronghorn::fuzz {

// Parses one input, of any bytes. Ends the program when a promise is broken; the sanitizers do so for the rest.
void fuzz(std::string_view input);

// Inputs to begin with: what clients send, and what they had better not.
std::vector<std::string> seeds();

// Ends the program with `promise` unless it holds.
inline void require(bool holds, const char* promise) {
  if (holds) return;
  std::fprintf(stderr, "broken promise: %s\n", promise);
  std::abort();
}

// Whether `part` lies within `whole`. An empty part may lie anywhere.
inline bool is_within(std::string_view part, std::string_view whole) {
  return part.empty() || (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

// Takes a line off an input, without its line feed. All of it when there is none.
inline std::string_view take_line(std::string_view& input) {
  const std::size_t end = input.find('\n');
  const std::string_view line = input.substr(0, end);
  input = end == std::string_view::npos ? std::string_view{} : input.substr(end + 1);
  return line;
}

// An input that is not cut: what Pieces is compared with.
class OnePiece {
 public:
  explicit OnePiece(std::string_view input) : input_(input) {}
  [[nodiscard]] bool empty() const { return input_.empty(); }
  [[nodiscard]] std::string_view next() { return std::exchange(input_, {}); }

 private:
  std::string_view input_;
};

// Where to cut an input into pieces of 1 to 16 bytes: always the same for the same input.
class Pieces {
 public:
  explicit Pieces(std::string_view input) : input_(input) {
    for (const char c : input) state_ = (state_ ^ static_cast<unsigned char>(c)) * 16777619U;
  }
  [[nodiscard]] bool empty() const { return at_ == input_.size(); }
  [[nodiscard]] std::string_view next() {
    state_ = state_ * 1664525U + 1013904223U;
    const std::string_view piece = input_.substr(at_, 1 + (state_ >> 28));
    at_ += piece.size();
    return piece;
  }

 private:
  std::string_view input_;
  std::size_t at_ = 0;
  unsigned state_ = 2166136261U;
};

}  // namespace pronghorn::fuzz
