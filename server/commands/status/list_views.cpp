#include "server/commands/status/list_views.h"

#include <fmt/format.h>

#include "common/text/json_text.h"
#include "server/commands/status/table.h"

namespace pronghorn::server {
namespace {

using nlohmann::json;

// The WebSockets that `pronghorn requests` lists.
std::string socket_table(const json& answer) {
  Table table({"slot", "age", "queued", "<socket", "<client", "<id", "<topics"});
  for (const json& socket : at(answer, {"requests"})) {
    if (at(socket, {"state"}) != "socket") continue;
    std::string topics;
    for (const json& topic : at(socket, {"topics"})) topics += (topics.empty() ? "" : " ") + text_of(topic);
    const double more = number_of(at(socket, {"topic_count"})) - static_cast<double>(at(socket, {"topics"}).size());
    std::string shown = cut(topics);
    if (more > 0) shown += fmt::format(" +{:.0f}", more);
    table.add({text_of(at(socket, {"slot"})), fmt::format("{:.1f}s", number_of(at(socket, {"age_ms"})) / 1000),
               bytes(at(socket, {"queued_bytes"})), cut(text_of(at(socket, {"route"}))),
               text_of(at(socket, {"client"})), text_of(at(socket, {"id"})), shown});
  }
  return table.empty() ? "" : "\n" + table.render();
}

}  // namespace

std::string requests_table(const json& answer) {
  Table table({"slot", "age", "<state", "<request", "<route", "<client", "<id"});
  for (const json& request : at(answer, {"requests"})) {
    if (at(request, {"state"}) == "socket") continue;
    table.add({text_of(at(request, {"slot"})), fmt::format("{:.1f}s", number_of(at(request, {"age_ms"})) / 1000),
               text_of(at(request, {"state"})), cut(text_of(at(request, {"request"}))),
               cut(text_of(at(request, {"route"}))), text_of(at(request, {"client"})),
               cut(text_of(at(request, {"id"})))});
  }
  std::string out = table.empty() ? "no requests are in flight\n" : table.render();
  for (const json& request : at(answer, {"requests"})) {
    if (at(request, {"blocked_ms"}).is_null()) continue;
    const double waiting = number_of(at(request, {"waiting"}));
    const double connections = number_of(at(request, {"connections"}));
    out += fmt::format("slot {} has been blocked for {:.1f}s: {:.0f} more {} in it, {:.0f} {}\n",
                       text_of(at(request, {"slot"})), number_of(at(request, {"blocked_ms"})) / 1000, waiting,
                       waiting == 1 ? "request waits" : "requests wait", connections,
                       connections == 1 ? "connection" : "connections");
  }
  return out + socket_table(answer);
}

std::string jobs_view(const JobCommand& command, const json& answer) {
  const std::string& action = command.action;
  const json& rows = at(answer, {"answer"});
  if (action == "retry" || action == "drop") {
    const std::string changed = rows.empty() ? "0" : text_of(at(rows.front(), {"changed"}));
    return fmt::format("{} {}\n", changed, action == "drop" ? "dropped" : "will run again");
  }
  if (action == "show") {
    std::string out;
    for (const json& row : rows) {
      for (const auto& [name, value] : row.items()) {
        const std::string text = value.is_array() ? dump_json(value) : text_of(value);
        if (text != "-") out += fmt::format("{:<14} {}\n", name, text);
      }
    }
    return out;
  }
  if (action == "list") {
    Table jobs({"<id", "<state", "attempts", "failures", "kills", "<enqueued", "<reason"});
    for (const json& row : rows) {
      jobs.add({text_of(at(row, {"id"})), text_of(at(row, {"state"})), text_of(at(row, {"attempts"})),
                text_of(at(row, {"failures"})), text_of(at(row, {"kills"})), text_of(at(row, {"enqueued"})),
                cut(text_of(at(row, {"reason"})))});
    }
    return jobs.empty() ? fmt::format("no {} jobs\n", listed_state(command)) : jobs.render();
  }
  Table names({"<name", "waiting", "running", "done", "failed", "dead"});
  for (const json& row : rows) {
    names.add({text_of(at(row, {"name"})), text_of(at(row, {"waiting"})), text_of(at(row, {"running"})),
               text_of(at(row, {"done"})), text_of(at(row, {"failed"})), text_of(at(row, {"dead"}))});
  }
  return names.empty() ? "no jobs have been enqueued\n" : names.render();
}

std::string quarantine_table(const json& answer) {
  Table table({"<id", "<method", "<route", "<shape", "<since", "<until", "kills", "refused", "<where"});
  for (const json& entry : at(answer, {"quarantine"})) {
    const json& shared = at(entry, {"shared"});
    table.add({text_of(at(entry, {"id"})), text_of(at(entry, {"method"})), text_of(at(entry, {"route"})),
               cut(text_of(at(entry, {"shape"}))), text_of(at(entry, {"since"})), text_of(at(entry, {"until"})),
               text_of(at(entry, {"kills"})), text_of(at(entry, {"refused"})),
               shared.is_boolean() && shared.get<bool>() ? "all machines" : "this machine"});
  }
  return table.empty() ? "no requests are quarantined\n" : table.render();
}

}  // namespace pronghorn::server
