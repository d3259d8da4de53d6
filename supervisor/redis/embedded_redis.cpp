#include "supervisor/redis/embedded_redis.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <system_error>

#include "common/ipc/scoreboard.h"
#include "common/log.h"
#include "supervisor/system/directories.h"
#include "supervisor/system/exit_status.h"
#include "supervisor/system/programs.h"

namespace pronghorn::supervisor {
namespace {

constexpr Milliseconds kStartLimit{5'000};
constexpr Milliseconds kLookEvery{5};
constexpr Milliseconds kLookRarely{100};

std::string redis_directory(const Config& config) { return config.data_dir + "/redis"; }

// The files of an earlier version may be readable by everybody.
void make_private(const std::filesystem::path& moved) {
  namespace fs = std::filesystem;
  constexpr fs::perms kOthers = fs::perms::group_all | fs::perms::others_all;
  std::error_code error;  // the folder around it is private whatever comes of this
  fs::permissions(moved, kOthers, fs::perm_options::remove, error);
  for (const auto& entry : fs::recursive_directory_iterator(moved, error)) {
    fs::permissions(entry.path(), kOthers, fs::perm_options::remove, error);
  }
}

std::streamoff size_of(const std::string& file) {
  std::error_code error;
  const auto size = std::filesystem::file_size(file, error);
  return error ? 0 : static_cast<std::streamoff>(size);
}

// The last line of the log of Redis behind `begin`, if it is a warning: why it has ended. "4599:M 01 Dec 2026
// 14:32:05.416 # Bad file format …". Empty: none.
std::string last_warning(const std::string& log_file, std::streamoff begin) {
  constexpr std::streamoff kLongest = 1024;
  constexpr std::string_view kMark = " # ";
  std::ifstream log(log_file, std::ios::binary | std::ios::ate);
  const std::streamoff size = log.tellg();
  if (size <= begin) return {};
  log.seekg(std::max(size - kLongest, begin));
  std::string last;
  for (std::string line; std::getline(log, line);) last = std::move(line);
  const std::size_t mark = last.find(kMark);
  return mark == std::string::npos ? std::string() : last.substr(mark + kMark.size());
}

}  // namespace

void require_redis_server(const Config& config) {
  const std::string problem = why_not_runnable(config.redis_server);
  if (problem.empty()) return;
  throw ConfigurationError(fmt::format(
      "redis embedded: the program {} cannot be run: {}; install it (Debian: apt install redis-server), name another "
      "one with --redis-server, or run without state: --redis none",
      config.redis_server, problem));
}

void prepare_redis_directory(const Config& config) {
  const std::filesystem::path from = config.data_dir;
  const std::filesystem::path to = redis_directory(config);
  make_private_directory(to, "data_dir");
  std::filesystem::permissions(to, std::filesystem::perms::owner_all);
  for (const char* name : {"appendonlydir", "appendonly.aof", "dump.rdb", "redis.log"}) {
    if (!std::filesystem::exists(from / name) || std::filesystem::exists(to / name)) continue;
    std::error_code error;
    std::filesystem::rename(from / name, to / name, error);
    if (error) {
      throw ConfigurationError(
          fmt::format("data_dir {}: cannot move {} into {}: {}", config.data_dir, name, to.native(), error.message()));
    }
    make_private(to / name);
  }
}

EmbeddedRedis::EmbeddedRedis(uv_loop_t* loop, Children& children, std::string program, const Config& config,
                             const Fd& lock)
    : children_(children),
      program_(std::move(program)),
      config_(config),
      lock_(lock),
      socket_(redis_address(config).substr(std::string_view("unix:").size())),
      directory_(redis_directory(config)),
      log_file_(directory_ + "/redis.log"),
      probe_(socket_),
      look_(loop, [this] { look(); }),
      restart_(loop, [this] { spawn(); }),
      rest_(loop, [this] { look_at_rest(); }),
      limit_(loop, [this] {
        if (stopping_ || ending_) {
          log_error("redis did not exit in time: killing it", {{"pid", pid_ == 0 ? group_ : pid_}});
          kill();
          if (pid_ == 0) rest_ended();
          return;
        }
        log_warning(socket_file_ ? "redis is still loading its data; requests that need it are answered 503 until then"
                                 : fmt::format("redis does not accept connections yet; see {}", log_file_),
                    {{"pid", pid_}});
        settle();
      }) {}

void EmbeddedRedis::start(std::function<void()> settled) {
  settled_ = std::move(settled);
  limit_.start(kStartLimit);
  spawn();
}

std::vector<std::string> EmbeddedRedis::command_line() const {
  // Redis opens its log for each line, so the log can be rotated.
  return {program_,
          "redis",
          std::to_string(::getpid()),
          config_.redis_server,
          "--port",
          "0",
          "--unixsocket",
          socket_,
          "--unixsocketperm",
          "700",
          "--dir",
          directory_,
          "--appendonly",
          "yes",
          "--save",
          "",
          "--maxmemory",
          std::to_string(config_.redis_memory),
          "--maxmemory-policy",
          "volatile-ttl",
          "--daemonize",
          "no",
          "--supervised",
          "no",
          "--logfile",
          log_file_};
}

void EmbeddedRedis::spawn() {
  up_ms_ = 0;
  socket_file_.reset();
  started_ms_ = monotonic_ms();
  log_begin_ = size_of(log_file_);
  restore_directories();
  const Fd output(::open(log_file_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  const auto pid =
      output ? children_.spawn(
                   command_line(), {lock_.get()}, [this](const ChildExit& exit) { exited(exit); }, output.get())
             : std::unexpected(fmt::format("cannot open {}: {}", log_file_, std::strerror(errno)));
  if (!pid) {
    log_error(fmt::format("cannot start redis: {}", pid.error()));
    restart_.start(policy_.after_exit(monotonic_ms(), Milliseconds(-1), 0));
    return settle();
  }
  pid_ = *pid;
  write_lock_pid(lock_, pid_);
  look_.start(Milliseconds(1), kLookEvery);
}

// Whoever has deleted the socket (the cleaning of temporary files) may have deleted its directory.
void EmbeddedRedis::restore_directories() const {
  try {
    make_private_directory(config_.runtime_dir, "runtime_dir");
    make_private_directory(directory_, "data_dir");
  } catch (const std::exception& error) {
    log_error(error.what());
  }
}

// The socket can still be that of an earlier server's Redis, which is ending. The process group tells: it is that of the
// guard, also when the configured program is a script that starts Redis.
bool EmbeddedRedis::is_listening() const noexcept {
  const int pid = listening_pid(socket_);
  return pid != 0 && ::getpgid(pid) == pid_;
}

void EmbeddedRedis::look() {
  const std::uint64_t now = monotonic_ms();
  if (now - started_ms_ > 2'000) look_.start(kLookRarely, kLookRarely);  // a slow start costs fewer looks
  if (!socket_file_) {
    if (!is_listening()) return;
    socket_file_ = file_id(socket_);
  }
  // It listens before it has loaded its data, and refuses all commands until then.
  static_cast<void>(probe_.look(now));
  if (!probe_.is_serving()) return;
  look_.stop();
  up_ms_ = now;
  log_info(fmt::format("redis is up after {} ms", up_ms_ - started_ms_),
           {{"pid", pid_}, {"data_dir", config_.data_dir}});
  settle();
}

void EmbeddedRedis::adopt(int pid) {
  pid_ = pid;
  up_ms_ = started_ms_ = monotonic_ms();
  socket_file_ = file_id(socket_);
  children_.adopt(pid, [this](const ChildExit& exit) { exited(exit); });
}

void EmbeddedRedis::watch() {
  if (pid_ == 0 || !socket_file_ || stopping_ || ending_) return;
  if (const auto file = file_id(socket_); !file || file != socket_file_) return restart_without_socket();
  const Milliseconds silent = probe_.look(monotonic_ms());
  if (silent < kAnswerLimit) return;
  log_error(fmt::format("redis has not answered for {} s: killing it, to start it again with what it has written",
                        silent.count() / 1000),
            {{"pid", pid_}});
  ending_ = true;
  kill();
}

void EmbeddedRedis::restart_without_socket() {
  log_error(fmt::format("the socket {} of redis was deleted: restarting redis", socket_), {{"pid", pid_}});
  ending_ = true;
  limit_.start(kStopLimit);
  children_.kill(pid_, SIGTERM);
}

void EmbeddedRedis::exited(const ChildExit& exit) {
  look_.stop();
  probe_.reset();
  if (std::exchange(ending_, false)) limit_.stop();
  const int pid = std::exchange(pid_, 0);
  if (stopping_) {
    group_ = pid;
    log_info("redis has stopped", {{"pid", pid}, {"reason", describe(exit)}});
    if (::kill(-group_, SIGTERM) != 0) return rest_ended();
    return rest_.start(kLookEvery, kLookEvery);
  }
  ::kill(-pid, SIGKILL);  // what a script has started: two must not write to the same files
  const std::uint64_t now = monotonic_ms();
  const auto up_for = up_ms_ == 0 ? Milliseconds(-1) : Milliseconds(static_cast<std::int64_t>(now - up_ms_));
  const auto delay =
      policy_.after_exit(monotonic_ms(), up_for, std::uniform_real_distribution<double>(-1.0, 1.0)(random_));
  log_error(
      fmt::format("redis (pid {}) ended: {}; restarting it in {} ms; {}", pid, describe(exit), delay.count(), advice()),
      {{"pid", pid}});
  restart_.start(delay);
  settle();
}

// On a full disk Redis can write neither its data nor the reason.
std::string EmbeddedRedis::advice() const {
  const std::string probe = directory_ + "/probe";
  const Fd file(::open(probe.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  constexpr std::string_view kBlock = "a few bytes, which need a block of the disk";
  const bool written = file && ::write(file.get(), kBlock.data(), kBlock.size()) == static_cast<ssize_t>(kBlock.size());
  const int error = errno;
  if (file) ::unlink(probe.c_str());
  if (written) {
    const std::string reason = last_warning(log_file_, log_begin_);
    return reason.empty() ? "see " + log_file_ : fmt::format("{}; see {}", reason, log_file_);
  }
  return fmt::format("it cannot write to {}: {}", directory_, std::strerror(error));
}

void EmbeddedRedis::settle() {
  if (!settled_) return;
  limit_.stop();
  std::exchange(settled_, nullptr)();
}

void EmbeddedRedis::stop(std::function<void()> stopped, Milliseconds limit) {
  stopping_ = true;
  settled_ = nullptr;
  restart_.stop();
  look_.stop();
  stopped_ = std::move(stopped);
  if (pid_ == 0) return std::exchange(stopped_, nullptr)();
  limit_.start(limit);
  children_.kill(pid_, SIGTERM);
  if (process_state(pid_) != 'T') return;
  log_error("redis is stopped by a signal and cannot end in order: killing it", {{"pid", pid_}});
  kill();
}

// The program may be a script, which ends before the Redis that it has started.
void EmbeddedRedis::look_at_rest() {
  if (::kill(-group_, 0) != 0) rest_ended();
}

void EmbeddedRedis::rest_ended() {
  group_ = 0;
  rest_.stop();
  limit_.stop();
  if (stopped_) std::exchange(stopped_, nullptr)();
}

// The group too: the program may be a script that has started Redis.
void EmbeddedRedis::kill() noexcept {
  if (pid_ == 0 && group_ != 0) ::kill(-group_, SIGKILL);
  if (!children_.contains(pid_)) return;
  ::kill(-pid_, SIGKILL);
  children_.kill(pid_, SIGKILL);
}

}  // namespace pronghorn::supervisor
