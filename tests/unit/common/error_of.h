// The message of what a call throws; empty when it throws nothing. Alike in Catch2 2 and 3, whose matchers differ.
#pragma once

#include <exception>
#include <string>

template <class Call>
std::string error_of(Call&& call) {
  try {
    call();
  } catch (const std::exception& error) {
    return error.what();
  }
  return {};
}

inline bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }
