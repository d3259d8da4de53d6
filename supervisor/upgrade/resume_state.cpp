#include "supervisor/upgrade/resume_state.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "common/fd.h"
#include "common/text/json_text.h"
#include "supervisor/system/read_privilege.h"

namespace pronghorn::supervisor {
namespace {

using nlohmann::json;

constexpr const char* kVariable = "PRONGHORN_RESUME_FD";

// Another version may not have written it: then the value stays as it is. Throws when it is of another type.
template <class Value>
void read(const json& record, const char* name, Value& value) {
  if (const auto found = record.find(name); found != record.end()) found->get_to(value);
}

json to_record(const Listeners::Adopted& listeners) {
  json record{{"addresses", json::array()},
              {"listeners", json::array()},
              {"live", listeners.live},
              {"claims", listeners.claims}};
  for (const Address& address : listeners.addresses) record["addresses"].push_back(address.text);
  for (const auto& listener : listeners.listeners) {
    record["listeners"].push_back({{"address", listener.address},
                                   {"slot", listener.slot ? json(*listener.slot) : json(nullptr)},
                                   {"fd", listener.fd}});
  }
  return record;
}

Listeners::Adopted listeners_from(const json& record) {
  Listeners::Adopted listeners;
  for (const json& text : record.at("addresses")) {
    auto address = parse_address(text.get<std::string>());
    if (!address) throw std::runtime_error(address.error());
    listeners.addresses.push_back(std::move(*address));
  }
  for (const json& entry : record.at("listeners")) {
    Listeners::Listener listener;
    entry.at("address").get_to(listener.address);
    entry.at("fd").get_to(listener.fd);
    if (const auto slot = entry.find("slot"); slot != entry.end() && !slot->is_null()) {
      listener.slot = slot->get<std::uint32_t>();
    }
    if (listener.address >= listeners.addresses.size()) throw std::runtime_error("a listener without an address");
    listeners.listeners.push_back(listener);
  }
  read(record, "live", listeners.live);
  read(record, "claims", listeners.claims);
  return listeners;
}

json to_record(const ResumedWorker& resumed) {
  const WorkerEntry& worker = resumed.worker;
  return {{"pid", worker.pid},
          {"slot", worker.slot},
          {"row", worker.row},
          {"generation", worker.generation},
          {"state", static_cast<int>(worker.state)},
          {"started_ms", worker.started_ms},
          {"ready_ms", worker.ready_ms},
          {"kill_at_ms", worker.kill_at_ms},
          {"channel_fd", resumed.channel_fd},
          {"known_slots", resumed.known_slots},
          {"guardian", resumed.guardian}};
}

ResumedWorker worker_from(const json& record) {
  ResumedWorker resumed;
  WorkerEntry& worker = resumed.worker;
  record.at("pid").get_to(worker.pid);
  record.at("slot").get_to(worker.slot);
  record.at("row").get_to(worker.row);
  record.at("channel_fd").get_to(resumed.channel_fd);
  int state = static_cast<int>(WorkerState::ready);
  read(record, "state", state);
  if (state < static_cast<int>(WorkerState::starting) || state > static_cast<int>(WorkerState::dying)) {
    throw std::runtime_error("a worker in an unknown state");
  }
  worker.state = static_cast<WorkerState>(state);
  read(record, "generation", worker.generation);
  read(record, "started_ms", worker.started_ms);
  read(record, "ready_ms", worker.ready_ms);
  read(record, "kill_at_ms", worker.kill_at_ms);
  read(record, "known_slots", resumed.known_slots);
  read(record, "guardian", resumed.guardian);
  if (worker.slot >= kMaxSlots || worker.row >= kRowsPerSlot) throw std::runtime_error("a worker without a slot");
  return resumed;
}

json to_record(const HistoryPoint& point) {
  return {{"at", point.at},         {"requests", point.requests},
          {"errors", point.errors}, {"restarts", point.restarts},
          {"p50_us", point.p50_us}, {"p99_us", point.p99_us}};
}

// Nothing depends on it, so it never stands in the way of an upgrade.
std::vector<HistoryPoint> history_from(const json& record) {
  std::vector<HistoryPoint> history;
  const auto found = record.find("history");
  if (found == record.end()) return history;
  try {
    for (const json& entry : *found) {
      HistoryPoint& point = history.emplace_back();
      entry.at("at").get_to(point.at);
      read(entry, "requests", point.requests);
      read(entry, "errors", point.errors);
      read(entry, "restarts", point.restarts);
      read(entry, "p50_us", point.p50_us);
      read(entry, "p99_us", point.p99_us);
    }
  } catch (const json::exception&) {
    history.clear();
  }
  return history;
}

std::string read_all(int fd) {
  std::string text;
  std::array<char, 16 * 1024> buffer{};
  ssize_t size = 0;
  while ((size = ::pread(fd, buffer.data(), buffer.size(), static_cast<off_t>(text.size()))) > 0) {
    text.append(buffer.data(), static_cast<std::size_t>(size));
  }
  return text;
}

std::vector<std::string> own_arguments() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  std::vector<std::string> arguments;
  for (std::size_t begin = 0; begin < text.size(); begin = text.find('\0', begin) + 1) {
    arguments.emplace_back(text.c_str() + begin);
  }
  return arguments;
}

}  // namespace

std::vector<int> ResumeState::descriptors() const {
  std::vector<int> all{scoreboard_fd,   control_fd,         runtime_lock_fd,
                       data_lock_fd,    redis_lock_fd,      handoff_give_fd,
                       handoff_take_fd, tls_credentials_fd, previous_tls_credentials_fd,
                       ticket_keys_fd};
  const auto add = [&all](const Listeners::Adopted& adopted) {
    for (const auto& listener : adopted.listeners) all.push_back(listener.fd);
    all.insert(all.end(), adopted.claims.begin(), adopted.claims.end());
  };
  add(listeners);
  if (admin_listeners) add(*admin_listeners);
  for (const ResumedWorker& worker : workers) all.push_back(worker.channel_fd);
  std::erase(all, -1);
  return all;
}

// Configurations are stored as strings, because to_json() has made text of them already.
std::string serialise(const ResumeState& state) {
  json record{{"pid", state.pid},
              {"started_ms", state.started_ms},
              {"generation", state.generation},
              {"last_generation", state.last_generation},
              {"target", state.target},
              {"set_by_hand", state.set_by_hand},
              {"config", to_json(state.config)},
              {"previous_generation", state.previous_generation},
              {"previous_config", to_json(state.previous_config)},
              {"scoreboard_fd", state.scoreboard_fd},
              {"control_fd", state.control_fd},
              {"runtime_lock_fd", state.runtime_lock_fd},
              {"data_lock_fd", state.data_lock_fd},
              {"redis_lock_fd", state.redis_lock_fd},
              {"handoff_give_fd", state.handoff_give_fd},
              {"handoff_take_fd", state.handoff_take_fd},
              {"tls_credentials_fd", state.tls_credentials_fd},
              {"previous_tls_credentials_fd", state.previous_tls_credentials_fd},
              {"ticket_keys_fd", state.ticket_keys_fd},
              {"redis_pid", state.redis_pid},
              {"listeners", to_record(state.listeners)},
              {"admin_listeners", state.admin_listeners ? to_record(*state.admin_listeners) : json(nullptr)},
              {"workers", json::array()},
              {"history", json::array()}};
  for (const ResumedWorker& worker : state.workers) record["workers"].push_back(to_record(worker));
  for (const HistoryPoint& point : state.history) record["history"].push_back(to_record(point));
  return dump_json(record);
}

ResumeState parse_resume_state(const std::string& text) {
  const json record = parse_json(text);
  ResumeState state;
  record.at("pid").get_to(state.pid);
  record.at("scoreboard_fd").get_to(state.scoreboard_fd);
  record.at("control_fd").get_to(state.control_fd);
  state.config = config_from_json(record.at("config").get<std::string>());
  state.listeners = listeners_from(record.at("listeners"));
  for (const json& worker : record.at("workers")) state.workers.push_back(worker_from(worker));
  read(record, "started_ms", state.started_ms);
  read(record, "generation", state.generation);
  state.last_generation = state.generation;
  read(record, "last_generation", state.last_generation);
  state.target = state.config.min_workers;
  read(record, "target", state.target);
  read(record, "set_by_hand", state.set_by_hand);
  read(record, "previous_generation", state.previous_generation);
  if (state.previous_generation != 0) {
    state.previous_config = config_from_json(record.at("previous_config").get<std::string>());
  }
  read(record, "runtime_lock_fd", state.runtime_lock_fd);
  read(record, "data_lock_fd", state.data_lock_fd);
  read(record, "redis_lock_fd", state.redis_lock_fd);
  read(record, "handoff_give_fd", state.handoff_give_fd);
  read(record, "handoff_take_fd", state.handoff_take_fd);
  read(record, "tls_credentials_fd", state.tls_credentials_fd);
  read(record, "previous_tls_credentials_fd", state.previous_tls_credentials_fd);
  read(record, "ticket_keys_fd", state.ticket_keys_fd);
  read(record, "redis_pid", state.redis_pid);
  if (const auto admin = record.find("admin_listeners"); admin != record.end() && !admin->is_null()) {
    state.admin_listeners = listeners_from(*admin);
  }
  state.history = history_from(record);
  return state;
}

std::string exec_with_state(const std::string& program, const ResumeState& state) {
  const std::string text = serialise(state);
  const Fd record(::memfd_create("pronghorn-resume", 0));
  if (!record || ::pwrite(record.get(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
    return fmt::format("cannot write the state for the new program: {}", std::strerror(errno));
  }
  const std::vector<std::string> arguments = own_arguments();
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);

  ::setenv(kVariable, std::to_string(record.get()).c_str(), 1);
  for (const int fd : state.descriptors()) set_inheritable(fd, true);
  block_signals(true);
  ReadPrivilege::pass_on(true);
  ::execv(program.c_str(), argv.data());
  const int error = errno;
  ReadPrivilege::pass_on(false);
  block_signals(false);
  for (const int fd : state.descriptors()) set_inheritable(fd, false);
  ::unsetenv(kVariable);
  return fmt::format("cannot execute {}: {}", program, std::strerror(error));
}

std::optional<ResumeState> take_resume_state() {
  const char* number = std::getenv(kVariable);
  if (number == nullptr) return std::nullopt;
  const Fd record(std::atoi(number));
  ::unsetenv(kVariable);
  try {
    ResumeState state = parse_resume_state(read_all(record.get()));
    if (state.pid != ::getpid()) throw std::runtime_error("it is of another process");
    for (const int fd : state.descriptors()) set_inheritable(fd, false);
    return state;
  } catch (const std::exception& error) {
    throw std::runtime_error(fmt::format("cannot read the state in {}: {}", kVariable, error.what()));
  }
}

void block_signals(bool block) noexcept {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGTTIN, SIGTTOU, SIGCHLD}) {
    sigaddset(&signals, signal);
  }
  ::sigprocmask(block ? SIG_BLOCK : SIG_UNBLOCK, &signals, nullptr);
}

}  // namespace pronghorn::supervisor
