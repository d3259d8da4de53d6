#include "supervisor/launch/app_check.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/ipc/handover.h"

namespace pronghorn::supervisor {
namespace {

std::string reason_of(const ChildExit& exit) {
  return exit.signal == 0 && exit.status == 0 ? "it exits while it is loaded (exit status 0)" : describe(exit);
}

}  // namespace

AppCheck::AppCheck(uv_loop_t* loop, Children& children, std::string program, int scoreboard_fd)
    : loop_(loop),
      children_(children),
      program_(std::move(program)),
      scoreboard_fd_(scoreboard_fd),
      limit_(loop, [this] {
        if (reason_.empty()) {
          reason_ = fmt::format("it was not loaded within {:g} s (boot_timeout)",
                                static_cast<double>(boot_timeout_.count()) / 1e3);
        }
        cancel();
      }) {}

void AppCheck::start(const Config& config, std::uint32_t generation, Done done) {
  done_ = std::move(done);
  reason_.clear();
  loads_ = is_of_logs_ = false;
  reason_ = spawn(config, generation);
  // `done` is never called from within start().
  if (!reason_.empty()) return limit_.start(Milliseconds(0));
  boot_timeout_ = config.boot_timeout;
  if (boot_timeout_.count() > 0) limit_.start(boot_timeout_);
}

std::string AppCheck::spawn(const Config& config, std::uint32_t generation) {
  try {
    const auto [ours, theirs] = make_channel_pair();
    const Fd their_end(theirs);
    Channel::Callbacks callbacks;
    callbacks.on_message = [this](const ChannelMessage& message, int fd) {
      if (fd >= 0) ::close(fd);
      if (message.kind == MessageKind::failed) {
        reason_ = message.text;
        is_of_logs_ = message.number == kLogsFailed;
      }
      if (message.kind == MessageKind::ready) loads_ = true;
    };
    channel_ = std::make_unique<Channel>(loop_, ours, std::move(callbacks));
    Handover handover;
    handover.config = config;
    handover.generation = generation;
    handover.supervisor_pid = ::getpid();
    const Fd record(write_handover(handover));
    const auto pid = children_.spawn({program_, "check-app"}, {theirs, scoreboard_fd_, record.get()},
                                     [this](const ChildExit& exit) { exited(exit); });
    if (!pid) return pid.error();
    pid_ = *pid;
    return {};
  } catch (const std::exception& error) {
    return error.what();
  }
}

void AppCheck::cancel() noexcept {
  if (pid_ != 0) return children_.kill(pid_, SIGKILL);
  exited({0, 1, 0});
}

void AppCheck::exited(const ChildExit& exit) {
  limit_.stop();
  pid_ = 0;
  if (channel_) channel_->receive_now();  // its verdict
  channel_.reset();
  if (!done_) return;
  const Done done = std::move(done_);
  done_ = nullptr;
  const bool loads = loads_ && exit.signal == 0 && exit.status == 0 && reason_.empty();
  if (loads) return done("");
  if (is_of_logs_) return done(reason_);
  done("the application does not load: " + (reason_.empty() ? reason_of(exit) : reason_));
}

}  // namespace pronghorn::supervisor
