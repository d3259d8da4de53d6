// What the supervisor does for `pronghorn status`, `scale`, `reload`, `rollback` and `stop`.
#include <fmt/format.h>

#include <charconv>
#include <nlohmann/json.hpp>

#include "common/ipc/status.h"
#include "common/log.h"
#include "supervisor/supervisor_process.h"

namespace pronghorn::supervisor {
namespace {

using nlohmann::json;

constexpr std::int64_t kLongestCanaryMs = 365LL * 24 * 3'600'000;

std::string dump(const json& answer) { return answer.dump(-1, ' ', false, json::error_handler_t::replace); }
std::string failure(const std::string& error) { return dump({{"ok", false}, {"error", error}}); }
std::string success(const std::string& message) { return dump({{"ok", true}, {"message", message}}); }

std::string text_of(const json& request, const char* name) {
  const auto found = request.find(name);
  if (found == request.end()) return {};
  if (found->is_string()) return found->get<std::string>();
  return found->is_number_integer() ? found->dump() : std::string();
}

}  // namespace

void SupervisorProcess::command(const std::string& line, const ControlSocket::Reply& reply) {
  const json request = json::parse(line, nullptr, false);
  if (!request.is_object()) return reply(failure("the request is not a JSON object"));
  const std::string name = text_of(request, "command");
  const auto wait_field = request.find("wait");
  const bool wait = wait_field != request.end() && wait_field->is_boolean() && wait_field->get<bool>();
  if (name == "status") {
    reply(dump({{"ok", true}, {"status", status_json(ground_.board)}}));
  } else if (name == "scale") {
    reply(scale_command(text_of(request, "argument")));
  } else if (name == "reload") {
    reload_command(text_of(request, "argument"), wait, reply);
  } else if (name == "rollback") {
    rollback(rollout_waiter(wait, "the rollback has begun", reply));
  } else if (name == "quarantine") {
    reply(quarantine_command(text_of(request, "argument")));
  } else if (name == "stop") {
    reply(success("stopping"));
    drain();
  } else {
    reply(
        failure(fmt::format("unknown command \"{}\"; use status, scale, reload, rollback, quarantine or stop", name)));
  }
}

std::string SupervisorProcess::scale_command(const std::string& argument) {
  if (phase_ != Phase::running) return failure("the server is starting or stopping");
  const bool relative = argument.starts_with('+') || argument.starts_with('-');
  const std::string_view digits = std::string_view(argument).substr(relative ? 1 : 0);
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (digits.empty() || error != std::errc() || end != digits.data() + digits.size() || number < 0 ||
      number > kMaxWorkers) {
    return failure(
        fmt::format("scale: \"{}\" is not a number of workers; use N, +N or -N, up to {}", argument, kMaxWorkers));
  }
  const std::int64_t target = workers_.slots().target();
  const std::int64_t wanted = !relative ? number : argument[0] == '+' ? target + number : target - number;
  const auto scaled = set_workers(wanted);
  if (!scaled) return failure(scaled.error());
  return dump({{"ok", true}, {"workers", *scaled}, {"message", fmt::format("{} workers", *scaled)}});
}

// `canary_ms`: in place of the option `canary`; empty: not given.
void SupervisorProcess::reload_command(const std::string& canary_ms, bool wait, const ControlSocket::Reply& reply) {
  std::optional<Milliseconds> canary;
  if (!canary_ms.empty()) {
    std::int64_t number = -1;
    const auto [end, error] = std::from_chars(canary_ms.data(), canary_ms.data() + canary_ms.size(), number);
    if (error != std::errc() || end != canary_ms.data() + canary_ms.size() || number < 0 || number > kLongestCanaryMs) {
      return reply(failure(fmt::format("reload: \"{}\" is not a time in milliseconds for the canary", canary_ms)));
    }
    canary = Milliseconds(number);
  }
  reload(rollout_waiter(wait, "the rollout has begun", reply), canary);
}

Rollouts::Waiter SupervisorProcess::rollout_waiter(bool wait, const char* begun, const ControlSocket::Reply& reply) {
  const auto answer = [this, reply, wait, begun](const std::string& error) {
    if (!error.empty()) return reply(failure(error));
    if (!wait) return reply(success(begun));
    reply(dump({{"ok", true},
                {"generation", rollouts_.launch().generation},
                {"message", fmt::format("all workers are of generation {}", rollouts_.launch().generation)}}));
  };
  Rollouts::Waiter waiter;
  (wait ? waiter.finished : waiter.checked) = answer;
  return waiter;
}

}  // namespace pronghorn::supervisor
