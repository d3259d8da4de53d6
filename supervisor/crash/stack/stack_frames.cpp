#include "supervisor/crash/stack/stack_frames.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <ranges>
#include <span>

#include "common/config/record.h"

namespace pronghorn::supervisor {
namespace {

using nlohmann::json;

std::string file_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

std::string hex(std::span<const std::uint8_t> bytes) {
  std::string text;
  for (const std::uint8_t byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

// Frames of the C and C++ libraries between a bug and the signal say nothing about the bug.
bool is_machinery(const Frame& frame) {
  const std::string name = file_name(frame.module);
  for (const char* library : {"libc.so", "libc-", "libstdc++.so", "libgcc_s.so", "libm.so", "libpthread", "ld-linux",
                              "linux-vdso", "libasan.so", "libubsan.so"}) {
    if (name.starts_with(library)) return true;
  }
  return false;
}

// std::invoke and the parts of std::function. Names of templates begin with their return type.
bool is_glue(const std::string& function) {
  return function.starts_with("std::") || function.starts_with("void std::") ||
         function.find(" std::__invoke") != std::string::npos;
}

// The function as its source names it. GCC calls the body of a coroutine "f(f(int)::_Z1fi.Frame*) [clone .actor]".
std::string_view source_name(std::string_view function) {
  function = function.substr(0, function.find(" [clone "));  // "f(int) [clone .cold]"
  if (!function.ends_with(".Frame*)") && !function.ends_with(".frame*)")) return function;
  const std::size_t end = function.rfind("::_Z");
  if (end == std::string_view::npos) return function;
  int depth = 0;
  for (std::size_t i = end; i-- > 0;) {
    if (function[i] == ')') ++depth;
    if (function[i] == '(' && depth-- == 0) return function.substr(i + 1, end - i - 1);
  }
  return function;
}

// Another call of the same function, or another stop at the same place of one whose name is unknown.
bool is_same_code(const Frame& a, const Frame& b) {
  if (!a.function.empty() || !b.function.empty()) return source_name(a.function) == source_name(b.function);
  return a.module == b.module && a.offset == b.offset && !a.module.empty();
}

}  // namespace

std::vector<Frame> frames_of(const StackTrace& stack, const ModuleTable& modules) {
  const auto count = std::min<std::size_t>(stack.count.load(std::memory_order_acquire), kMaxFrames);
  const std::span known(modules.modules.data(),
                        std::min<std::size_t>(modules.count.load(std::memory_order_acquire), kMaxModules));
  std::vector<Frame> frames(count);
  for (std::size_t i = 0; i < count; ++i) {
    Frame& frame = frames[i];
    frame.address = stack.addresses[i];
    const auto module = std::find_if(known.begin(), known.end(), [&frame](const Module& each) {
      return frame.address >= each.begin && frame.address < each.end;
    });
    if (module == known.end()) continue;
    frame.module = text_of(module->path);
    frame.bias = module->bias;
    frame.offset = frame.address - module->bias;
    frame.build_id = hex(std::span(module->build_id).first(std::min<std::size_t>(module->build_id_size, 20)));
  }
  return frames;
}

std::string short_name(const std::string& function) {
  constexpr std::size_t kLongestParameters = 40;
  std::string name;
  int depth = 0;
  for (const char c : source_name(function)) {
    const bool is_operator = name.ends_with("operator") || name.ends_with("operator<") || name.ends_with("operator-");
    if (c == '<' && !is_operator && depth++ == 0) name += "<…>";
    if (depth == 0) name += c;
    if (c == '>' && depth > 0 && !is_operator) --depth;
  }
  // The parameters: the last parentheses, unless a lambda or an unnamed namespace has them.
  const std::size_t begin = name.rfind('(');
  const std::size_t end = name.rfind(')');
  if (begin == std::string::npos || end == std::string::npos || end - begin <= kLongestParameters) return name;
  return name.substr(0, begin + 1) + "…" + name.substr(end);
}

std::string describe(const Frame& frame) {
  std::string text = frame.function.empty() ? "" : short_name(frame.function) + ' ';
  if (!frame.file.empty()) text += fmt::format("({}:{}) ", file_name(frame.file), frame.line);
  if (frame.inlined) return text + "inlined";
  if (frame.module.empty()) return text + fmt::format("at {:#x}", frame.address);
  return text + fmt::format("{}{}+{:#x}", text.empty() ? "" : "in ", file_name(frame.module), frame.offset);
}

std::string top_function(const std::vector<Frame>& frames) {
  for (const Frame& frame : frames) {
    if (!is_machinery(frame) && !frame.function.empty() && !is_glue(frame.function)) return frame.function;
  }
  return {};
}

std::vector<Frame> telling_frames(const std::vector<Frame>& frames) {
  std::vector<Frame> telling;
  bool in_app = false;
  const auto is_app = [](const Frame& frame) { return !is_machinery(frame) && !frame.module.empty(); };
  const auto first = std::ranges::find_if(frames, is_app);
  for (const Frame& frame : std::ranges::subrange(first == frames.end() ? frames.begin() : first, frames.end())) {
    const bool servers = file_name(frame.module).starts_with("libpronghorn.so");
    if (servers && in_app) break;
    in_app = in_app || (!servers && !is_machinery(frame) && !frame.module.empty());
    if (is_glue(frame.function)) continue;
    if (std::ranges::any_of(telling, [&frame](const Frame& shown) { return is_same_code(shown, frame); })) continue;
    telling.push_back(frame);
  }
  return telling;
}

std::string describe_top(const std::vector<Frame>& frames) {
  constexpr std::size_t kShown = 5;
  const std::vector<Frame> telling = telling_frames(frames);
  std::string text;
  std::size_t shown = 0;
  for (const Frame& frame : telling) {
    if (shown == kShown) break;
    if (shown++ > 0) text += " < ";
    text += frame.function.empty() ? describe(frame) : short_name(frame.function);
    if (!frame.file.empty()) text += fmt::format(" ({}:{})", file_name(frame.file), frame.line);
  }
  return text;
}

json to_json(const std::vector<Frame>& frames) {
  json list = json::array();
  for (const Frame& frame : frames) {
    list.push_back({{"address", fmt::format("{:#x}", frame.address)},
                    {"module", text_to_record(frame.module)},
                    {"bias", fmt::format("{:#x}", frame.bias)},
                    {"offset", fmt::format("{:#x}", frame.offset)},
                    {"build_id", frame.build_id},
                    {"function", text_to_record(frame.function)},
                    {"file", text_to_record(frame.file)},
                    {"line", frame.line},
                    {"inlined", frame.inlined}});
  }
  return list;
}

std::vector<Frame> frames_from_json(const json& list) {
  const auto number = [](const json& record) {
    const auto text = record.get<std::string>();
    try {
      return static_cast<std::uint64_t>(std::stoull(text, nullptr, 16));
    } catch (const std::logic_error&) {
      throw std::runtime_error("not an address: " + text);
    }
  };
  std::vector<Frame> frames;
  for (const json& record : list) {
    Frame frame;
    frame.address = number(record.at("address"));
    frame.module = text_from_record(record.at("module"));
    frame.bias = number(record.at("bias"));
    frame.offset = number(record.at("offset"));
    frame.build_id = record.at("build_id").get<std::string>();
    frame.function = text_from_record(record.at("function"));
    frame.file = text_from_record(record.at("file"));
    frame.line = record.at("line").get<int>();
    frame.inlined = record.at("inlined").get<bool>();
    frames.push_back(std::move(frame));
  }
  return frames;
}

}  // namespace pronghorn::supervisor
