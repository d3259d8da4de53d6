// Stacks, from addresses to readable text.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "common/crash_record.h"

namespace pronghorn::supervisor {

struct Frame {
  std::uint64_t address = 0;  // in the worker
  std::string module;         // path of the program or library; empty: unknown
  std::uint64_t bias = 0;     // address - offset
  std::uint64_t offset = 0;   // in the file, as addr2line takes it
  std::string build_id;       // of the loaded file, in hex; empty: it has none
  std::string function;       // demangled; this and the following are empty until symbolized
  std::string file;
  int line = 0;          // 0: unknown
  bool inlined = false;  // into the function of the next frame, which has the same address
};

// The frames of a trace, each with its module. Robust against a worker that died while it wrote the trace.
[[nodiscard]] std::vector<Frame> frames_of(const StackTrace& stack, const ModuleTable& modules);

// "demo::crash(pronghorn::Request&) (crash.cpp:22) in demo.so+0x1a2b", without the parts that are unknown.
[[nodiscard]] std::string describe(const Frame& frame);

// The first function outside the C and C++ libraries. Empty: no name is known.
[[nodiscard]] std::string top_function(const std::vector<Frame>& frames);

// The frames that a log shows, innermost first: from the application's first frame on, without calls within the
// standard library and without the server's frames that lead to the handler; each function once, however deep the
// recursion. Without a frame of the application, those of the libraries.
[[nodiscard]] std::vector<Frame> telling_frames(const std::vector<Frame>& frames);

// The name of a function without its template arguments, without what the compiler has added ("[clone .cold]", the
// frame of a coroutine) and, when they are long, without its parameters: "visit<…>(…)".
[[nodiscard]] std::string short_name(const std::string& function);

// The first functions outside the C library, joined by " < ", for a field of a log line.
[[nodiscard]] std::string describe_top(const std::vector<Frame>& frames);

// For records and reports. frames_from_json() throws nlohmann::json::exception or std::runtime_error.
[[nodiscard]] nlohmann::json to_json(const std::vector<Frame>& frames);
[[nodiscard]] std::vector<Frame> frames_from_json(const nlohmann::json& frames);

}  // namespace pronghorn::supervisor
