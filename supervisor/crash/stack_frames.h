// A stack as people read it.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "common/crash_record.h"

namespace pronghorn::supervisor {

struct Frame {
  std::uint64_t address = 0;  // in the worker
  std::string module;         // path of the file of code; empty: in none that is known
  std::uint64_t bias = 0;     // address less offset
  std::uint64_t offset = 0;   // in the file's own numbering, as addr2line takes it
  std::string build_id;       // of the file that was loaded, in hex; empty: it has none
  std::string function;       // demangled; this and what follows are empty until symbolised
  std::string file;
  int line = 0;          // 0: unknown
  bool inlined = false;  // into the next frame, which has the same address
};

// The frames of a trace that a worker has left, each in its module. The worker may have died while it wrote.
[[nodiscard]] std::vector<Frame> frames_of(const StackTrace& stack, const ModuleTable& modules);

// "demo::crash(pronghorn::Request&) (crash.cpp:22) in demo.so+0x1a2b", as much of it as is known.
[[nodiscard]] std::string describe(const Frame& frame);

// The function to blame at first sight: the first one that is not of the C or C++ library; empty when no name is known.
[[nodiscard]] std::string top_function(const std::vector<Frame>& frames);

// What a log shows of a stack, innermost first: without the calls that the standard library makes in between, without
// those by which the server has come to the handler, and a recursion once.
[[nodiscard]] std::vector<Frame> telling_frames(const std::vector<Frame>& frames);

// For one field of a log line: the first of those that are not of the C library, by function, " < " between them.
[[nodiscard]] std::string describe_top(const std::vector<Frame>& frames);

// For records and reports. from_json throws nlohmann::json::exception or std::runtime_error.
[[nodiscard]] nlohmann::json to_json(const std::vector<Frame>& frames);
[[nodiscard]] std::vector<Frame> frames_from_json(const nlohmann::json& frames);

}  // namespace pronghorn::supervisor
