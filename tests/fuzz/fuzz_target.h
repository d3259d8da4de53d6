// A fuzz target: one parser of bytes from clients, and what it promises for any input.
//
// To add one, write NAME_fuzz.cpp in this folder, which registers it in a namespace of its own, and add NAME to
// CMakeLists.txt. ./scripts/fuzz runs it. Put an input that broke a promise into regressions/NAME/, with the fix.
#pragma once

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pronghorn::fuzz {

struct Target {
  std::string_view name;
  // Parses one input. Ends the program if a promise is broken; the sanitizers find the other errors.
  void (*fuzz)(std::string_view input);
  // Inputs to start from: valid and invalid ones.
  std::vector<std::string> (*seeds)();
};

// The targets that this program is linked with: one for libFuzzer, all to replay them.
inline std::vector<Target>& targets() {
  static std::vector<Target> list;
  return list;
}

struct Registered {
  explicit Registered(const Target& target) { targets().push_back(target); }
};

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

// Removes a line with its line feed from the front of an input, and returns it without the line feed.
inline std::string_view take_line(std::string_view& input) {
  const std::size_t end = input.find('\n');
  const std::string_view line = input.substr(0, end);
  input = end == std::string_view::npos ? std::string_view{} : input.substr(end + 1);
  return line;
}

// The whole input as one piece, for comparison with Pieces.
class OnePiece {
 public:
  explicit OnePiece(std::string_view input) : input_(input) {}
  [[nodiscard]] bool empty() const { return input_.empty(); }
  [[nodiscard]] std::string_view next() { return std::exchange(input_, {}); }

 private:
  std::string_view input_;
};

// Cuts an input into pieces of 1 to 16 bytes, always the same ones for the same input.
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
