// Crashing a worker, and its report.
#pragma once

#include <algorithm>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include "support/catch.h"
#include "support/processes/server_process.h"

namespace pronghorn::test {

inline std::vector<std::string> report_files(const ServerProcess& server) {
  std::vector<std::string> files;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(server.file("data/crashes"), error)) {
    files.push_back(entry.path());
  }
  return files;
}

// The only report; if `named`, waits until it has function names: on a busy machine those of an instrumented program
// take half a minute.
inline nlohmann::json wait_report(const ServerProcess& server, bool named) {
  nlohmann::json report;
  const bool there = eventually(90s, [&] {
    const auto files = report_files(server);
    if (files.size() != 1 || !files[0].ends_with(".json")) return false;
    report = nlohmann::json::parse(read_file(files[0]), nullptr, false);
    if (!report.is_object()) return false;
    const auto& frames = report.at("backtrace");
    return !named || std::any_of(frames.begin(), frames.end(), [](const auto& frame) {
      return !frame.at("function").template get<std::string>().empty();
    });
  });
  INFO(server.log());
  REQUIRE(there);
  return report;
}

inline bool has_function(const nlohmann::json& report, const std::string& name) {
  const auto& frames = report.at("backtrace");
  return std::any_of(frames.begin(), frames.end(), [&name](const auto& frame) {
    return frame.at("function").template get<std::string>().find(name) != std::string::npos;
  });
}

// POST /crash?how=… on a server with one worker; returns when that has been replaced.
inline void crash(const ServerProcess& server, const std::string& how) {
  const auto victim = server.worker_pids().at(0);
  HttpConnection connection(server.address(), 15s);
  // A handler that exits looks like a worker that was killed: nobody knows what it has done.
  CHECK(connection.request("POST", "/crash?how=" + how).status == (how == "exit" ? 503 : 500));
  REQUIRE(eventually(10s, [&] { return server.worker_pids() != std::vector{victim} && server.wait_ready(1, 0ms); }));
}

}  // namespace pronghorn::test
