#include "server/commands/crashes.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <system_error>
#include <vector>

#include "common/text/columns.h"
#include "common/text/json_text.h"
#include "server/options/values/values.h"
#include "supervisor/crash/crash_directory.h"
#include "supervisor/crash/stack/stack_frames.h"

namespace pronghorn::server {
namespace {

using nlohmann::json;
using supervisor::Frame;

// Null if the file is not a report.
json read_report(const std::string& path) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored)) return nullptr;
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  json report = try_parse_json(text);
  return report.is_object() ? report : json(nullptr);
}

std::string lines_of(const json& value) { return dump_json(value, 2) + '\n'; }

// A report may be damaged or of another version, so every member may be missing.
std::string text_at(const json& object, const char* name) {
  const auto found = object.is_object() ? object.find(name) : object.end();
  if (!object.is_object() || found == object.end() || found->is_null()) return {};
  return printable(found->is_string() ? found->get<std::string>() : dump_json(*found));
}

json member(const json& object, const char* name) {
  const auto found = object.is_object() ? object.find(name) : object.end();
  return object.is_object() && found != object.end() ? *found : json(nullptr);
}

std::vector<Frame> frames_in(const json& report) {
  try {
    return supervisor::frames_from_json(member(report, "backtrace"));
  } catch (const std::exception&) {
    return {};
  }
}

std::string request_text(const json& request) {
  std::string text = text_at(request, "line");
  std::string id = text_at(request, "request_id");  // that of a trusted proxy is in the logs
  if (id.empty()) id = text_at(request, "id");
  if (!id.empty()) text += " id=" + id;
  if (const std::string time = text_at(request, "for_ms"); !time.empty()) text += fmt::format(", for {} ms", time);
  return text;
}

std::string megabytes(const json& object, const char* name) {
  const json bytes = member(object, name);
  return bytes.is_number_unsigned() ? fmt::format("{:.1f} MiB", bytes.get<double>() / (1024 * 1024)) : "unknown";
}

class Text {
 public:
  void line(const char* name, const std::string& value) {
    if (!value.empty()) text_ += fmt::format("{:<12} {}\n", name, value);
  }
  void list(const char* name, const std::vector<std::string>& lines) {
    if (lines.empty()) return;
    text_ += fmt::format("\n{}:\n", name);
    for (const std::string& each : lines) text_ += "  " + each + '\n';
  }
  [[nodiscard]] std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

std::string signal_text(const json& signal, const std::string& own_pid) {
  if (!signal.is_object()) return {};
  std::string text = text_at(signal, "name");
  if (const std::string meaning = text_at(signal, "meaning"); !meaning.empty()) text += ": " + meaning;
  if (const std::string address = text_at(signal, "address"); !address.empty()) text += ", at " + address;
  if (const std::string sender = text_at(signal, "sender_pid"); !sender.empty() && sender != own_pid) {
    text += ", sent by pid " + sender;
  }
  return text;
}

std::vector<std::string> row_of(const std::string& name, const json& report) {
  if (!report.is_object()) return {name, "", "", "not a report", "", ""};
  return {name,
          text_at(report, "time"),
          text_at(report, "slot"),
          text_at(report, "reason"),
          text_at(member(report, "request"), "line"),
          printable(supervisor::short_name(supervisor::top_function(frames_in(report))))};
}

std::string none_in(const std::string& directory) { return "no crash reports in " + directory; }

// Oldest first. Whoever may not read the directory must not take it for an empty one.
std::vector<std::string> reports_in(const std::string& directory) {
  std::error_code error;
  const std::filesystem::directory_iterator tried(directory, error);
  if (error && error != std::errc::no_such_file_or_directory) {
    throw std::runtime_error(fmt::format("cannot read {}: {}", directory, error.message()));
  }
  return supervisor::list_reports(directory);
}

std::string without_end(const std::string& name) {
  return name.ends_with(".json") ? name.substr(0, name.size() - 5) : name;
}

}  // namespace

std::string list_crashes(const std::string& data_dir, bool as_json) {
  const std::string directory = supervisor::crash_directory(data_dir);
  std::vector<std::string> names = reports_in(directory);
  std::reverse(names.begin(), names.end());
  if (as_json) {
    json list = json::array();
    for (const std::string& name : names) {
      if (json report = read_report(directory + '/' + name); report.is_object()) list.push_back(std::move(report));
    }
    return lines_of(list);
  }
  if (names.empty()) return none_in(printable(directory)) + '\n';
  std::vector<std::vector<std::string>> rows{{"NAME", "TIME", "SLOT", "REASON", "REQUEST", "FUNCTION"}};
  for (const std::string& name : names) {
    rows.push_back(row_of(printable(without_end(name)), read_report(directory + '/' + name)));
  }
  return in_columns(rows);
}

std::string show_crash(const std::string& data_dir, const std::string& name, bool as_json) {
  const std::string directory = supervisor::crash_directory(data_dir);
  const std::vector<std::string> names = reports_in(directory);
  if (names.empty()) throw std::runtime_error(none_in(directory));
  const auto found =
      name == "last" ? names.end() - 1 : std::find(names.begin(), names.end(), without_end(name) + ".json");
  if (found == names.end()) {
    throw std::runtime_error(
        fmt::format("no crash report {} in {}; \"crashes\" lists the reports", in_quotes(name), directory));
  }
  const json report = read_report(directory + '/' + *found);
  if (!report.is_object()) throw std::runtime_error(fmt::format("{}/{} is not a report", directory, *found));
  return as_json ? lines_of(report) : crash_text(report);
}

std::string crash_text(const json& report) {
  Text text;
  text.line("worker", fmt::format("slot {}, pid {}, generation {}", text_at(report, "slot"), text_at(report, "pid"),
                                  text_at(report, "generation")));
  text.line("ended", fmt::format("{}, after {} s and {} requests", text_at(report, "time"), text_at(report, "uptime_s"),
                                 text_at(report, "requests")));
  text.line("application", text_at(report, "app"));
  text.line("reason", text_at(report, "reason"));
  text.line("signal", signal_text(member(report, "signal"), text_at(report, "pid")));
  if (text_at(report, "thread") == "other") text.line("thread", "not the loop's: the request may not be the cause");
  const std::string request = request_text(member(report, "request"));
  text.line("request", request.empty() ? "none: the loop was idle" : request);
  const json memory = member(report, "memory");
  text.line("memory", megabytes(memory, "rss_bytes") + " resident at most");
  if (!member(memory, "limit_bytes").is_null()) {
    text.line("", fmt::format("{} of {} used in {}", megabytes(memory, "current_bytes"),
                              megabytes(memory, "limit_bytes"), text_at(memory, "cgroup")));
  }
  text.line("", text_at(memory, "verdict"));
  std::vector<std::string> lines;
  for (const Frame& frame : frames_in(report)) {
    lines.push_back(printable(fmt::format("#{:<2} {}", lines.size(), supervisor::describe(frame))));
  }
  if (text_at(report, "names") == "pending") {
    lines.emplace_back("(function names are being looked up: run the command again in a moment)");
  }
  text.list("backtrace", lines);
  lines.clear();
  for (const json& other : member(report, "other_requests")) {
    lines.push_back(request_text(other) + (text_at(other, "response_begun") == "true" ? ", response begun" : ""));
  }
  text.list("other requests in flight", lines);
  lines.clear();
  for (const json& line : member(report, "log")) {
    if (line.is_string()) lines.push_back(printable(line.get<std::string>()));
  }
  text.list("its last log lines", lines);
  return text.take();
}

}  // namespace pronghorn::server
