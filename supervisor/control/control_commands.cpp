#include "supervisor/control/control_commands.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>
#include <vector>

#include "common/ipc/status/status.h"
#include "common/text/json_text.h"
#include "common/version.h"
#include "supervisor/crash/exit_facts.h"

namespace pronghorn::supervisor {
namespace {

using nlohmann::json;

constexpr std::int64_t kLongestCanaryMs = 365LL * 24 * 3'600'000;

// Text from requests and from shared memory need not be UTF-8.
std::string failure(const std::string& error) { return dump_json({{"ok", false}, {"error", error}}); }
std::string success(const std::string& message) { return dump_json({{"ok", true}, {"message", message}}); }

// A string, or the digits of an integer. Empty: the field is absent or something else.
std::string text_of(const json& request, const char* name) {
  const auto found = request.find(name);
  if (found == request.end()) return {};
  if (found->is_string()) return found->get<std::string>();
  return found->is_number_integer() ? dump_json(*found) : std::string();
}

std::optional<std::int64_t> parse_number(std::string_view digits) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (digits.empty() || error != std::errc() || end != digits.data() + digits.size() || number < 0) return std::nullopt;
  return number;
}

}  // namespace

const ControlCommands::Command ControlCommands::kCommands[] = {
    {"status", &ControlCommands::status},
    {"scale", &ControlCommands::scale},
    {"reload", &ControlCommands::reload},
    {"rollback", &ControlCommands::rollback},
    {"quarantine", &ControlCommands::quarantine},
    {"upgrade", &ControlCommands::upgrade},
    {"upgrade-result", &ControlCommands::upgrade_result},
    {"stop", &ControlCommands::stop},
    {"log-level", &ControlCommands::log_level},
    {"requests", &ControlCommands::requests},
    {"jobs", &ControlCommands::jobs},
};

ControlCommands::ControlCommands(const Scoreboard& board, const Rollouts& rollouts, QuarantineRelay& quarantine,
                                 Actions actions)
    : board_(board), rollouts_(rollouts), quarantine_(quarantine), actions_(std::move(actions)) {}

void ControlCommands::run(const std::string& line, const ControlSocket::Reply& reply) {
  const json request = try_parse_json(line);
  if (!request.is_object()) return reply(failure("the request is not a JSON object"));
  const std::string name = text_of(request, "command");
  const auto wait = request.find("wait");
  const Request parsed{.argument = text_of(request, "argument"),
                       .wait = wait != request.end() && wait->is_boolean() && wait->get<bool>()};
  std::vector<std::string_view> names;
  for (const Command& command : kCommands) {
    if (name == command.name) return (this->*command.run)(parsed, reply);
    names.emplace_back(command.name);
  }
  reply(failure(fmt::format("unknown command \"{}\"; use one of {}", name, fmt::join(names, ", "))));
}

void ControlCommands::status(const Request&, const ControlSocket::Reply& reply) {
  reply(dump_json({{"ok", true}, {"status", status_json(board_)}}));
}

void ControlCommands::scale(const Request& request, const ControlSocket::Reply& reply) {
  const std::string& argument = request.argument;
  const bool relative = argument.starts_with('+') || argument.starts_with('-');
  const auto number = parse_number(std::string_view(argument).substr(relative ? 1 : 0));
  if (!number || *number > kMaxWorkers) {
    return reply(failure(
        fmt::format("scale: \"{}\" is not a number of workers; use N, +N or -N, up to {}", argument, kMaxWorkers)));
  }
  const auto scaled = actions_.scale(argument.starts_with('-') ? -*number : *number, relative);
  if (!scaled) return reply(failure(scaled.error()));
  reply(dump_json({{"ok", true}, {"workers", *scaled}, {"message", counted(*scaled, "worker")}}));
}

// The argument replaces the option `canary`, in milliseconds.
void ControlCommands::reload(const Request& request, const ControlSocket::Reply& reply) {
  std::optional<Milliseconds> canary;
  if (!request.argument.empty()) {
    const auto number = parse_number(request.argument);
    if (!number || *number > kLongestCanaryMs) {
      return reply(
          failure(fmt::format("reload: \"{}\" is not a canary time; use a number of milliseconds", request.argument)));
    }
    canary = Milliseconds(*number);
  }
  Rollouts::Waiter waiter = waiter_for(request, "the rollout has begun", reply);
  if (!request.wait) {  // the rollout that runs may be a canary of hours
    waiter.queued = [reply] {
      reply(success("a rollout is running; the new one follows it, and the log says how it ends"));
    };
  }
  actions_.reload(std::move(waiter), canary);
}

void ControlCommands::rollback(const Request& request, const ControlSocket::Reply& reply) {
  actions_.rollback(waiter_for(request, "the rollback has begun", reply));
}

// Without an argument lists the quarantine; the argument is what to release.
void ControlCommands::quarantine(const Request& request, const ControlSocket::Reply& reply) {
  if (request.argument.empty()) {
    return reply(dump_json({{"ok", true}, {"quarantine", status_json(board_).at("quarantine")}}));
  }
  const auto released = quarantine_.release(request.argument);
  if (!released) return reply(failure(released.error()));
  reply(dump_json({{"ok", true}, {"released", *released}, {"message", fmt::format("{} released", *released)}}));
}

// Replies right before the program is replaced; the new one has the result.
void ControlCommands::upgrade(const Request&, const ControlSocket::Reply& reply) {
  actions_.upgrade(
      [reply](const std::string& error) { reply(error.empty() ? success("replacing the program") : failure(error)); });
}

void ControlCommands::upgrade_result(const Request&, const ControlSocket::Reply& reply) {
  actions_.upgrade_result([this, reply](const std::string& error) {
    if (!error.empty()) return reply(failure(error));
    reply(success(fmt::format("the supervisor runs version {}; all workers are of generation {}", kVersion,
                              rollouts_.launch().generation)));
  });
}

void ControlCommands::stop(const Request&, const ControlSocket::Reply& reply) {
  reply(success("stopping"));
  actions_.stop();
}

void ControlCommands::log_level(const Request& request, const ControlSocket::Reply& reply) {
  const std::string error = actions_.set_log_level(request.argument);
  if (!error.empty()) return reply(failure(error));
  reply(success(fmt::format("the log level is {} until the next reload", request.argument)));
}

void ControlCommands::requests(const Request&, const ControlSocket::Reply& reply) { actions_.list_requests(reply); }

// The argument is for a worker.
void ControlCommands::jobs(const Request& request, const ControlSocket::Reply& reply) {
  actions_.jobs(request.argument, reply);
}

Rollouts::Waiter ControlCommands::waiter_for(const Request& request, const char* begun,
                                             const ControlSocket::Reply& reply) const {
  const auto answer = [this, reply, wait = request.wait, begun](const std::string& error) {
    if (!error.empty()) return reply(failure(error));
    const std::string& left_out = rollouts_.left_out();
    const std::string note = left_out.empty() ? "" : fmt::format("; {} left out: a restart is needed", left_out);
    if (!wait) return reply(success(begun + note));
    const std::uint32_t generation = rollouts_.launch().generation;
    reply(dump_json({{"ok", true},
                     {"generation", generation},
                     {"message", fmt::format("all workers are of generation {}{}", generation, note)}}));
  };
  if (request.wait) return {.checked = {}, .finished = answer};
  return {.checked = answer, .finished = {}};
}

}  // namespace pronghorn::supervisor
