#include "supervisor/upgrade/state_check.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <exception>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "common/text/json_text.h"
#include "common/version.h"

namespace pronghorn::supervisor {
namespace {

using nlohmann::json;

std::string contents_of(int fd) {
  constexpr std::size_t kLongest = 16 * 1024 * 1024;
  std::string text;
  std::array<char, 16 * 1024> buffer{};
  ssize_t size = 0;
  while (text.size() < kLongest &&
         (size = ::pread(fd, buffer.data(), buffer.size(), static_cast<off_t>(text.size()))) > 0) {
    text.append(buffer.data(), static_cast<std::size_t>(size));
  }
  return text;
}

Fd record_with(const std::string& text) {
  Fd record(::memfd_create("pronghorn-check-state", MFD_CLOEXEC));
  if (record && ::pwrite(record.get(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size()))
    record.reset();
  return record;
}

// What the program printed first, such as the complaint of the dynamic linker.
std::string first_line(int fd) {
  std::array<char, 300> buffer{};
  const ssize_t size = ::read(fd, buffer.data(), buffer.size());
  const std::string_view text(buffer.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
  return std::string(text.substr(0, text.find('\n')));
}

std::string quoted(const std::string& printed) {
  return printed.empty() ? "" : fmt::format("; it printed \"{}\"", printed);
}

// Empty: the program accepts the state.
std::string refusal_in(const std::string& text, const std::string& program, const ChildExit& exit,
                       const std::string& printed) {
  const json answer = try_parse_json(text);
  const bool understood = answer.is_object() && answer.value("program", "") == "pronghorn" && answer.contains("error");
  if (!understood) {
    return fmt::format("{} does not answer as a Pronghorn that can take over ({}): it is another program, or too old{}",
                       program, describe(exit), quoted(printed));
  }
  return answer.at("error").is_string() ? answer.at("error").get<std::string>() : "";
}

}  // namespace

StateCheck::StateCheck(uv_loop_t* loop, Children& children, std::string program)
    : children_(children), program_(std::move(program)), limit_(loop, [this] {
        if (pid_ == 0) return finish(failure_);
        failure_ = fmt::format("{} did not answer within {} s{}", program_, kLimit.count(),
                               quoted(first_line(printed_.get())));
        children_.kill(pid_, SIGKILL);
      }) {}

void StateCheck::start(const ResumeState& state, Done done) {
  done_ = std::move(done);
  failure_.clear();
  const Fd record = record_with(serialise(state));
  answer_ = record_with("");
  // A program that is no Pronghorn may print without end: then it waits in this pipe until it is killed.
  std::array<int, 2> pipe{-1, -1};
  const bool piped = ::pipe2(pipe.data(), O_CLOEXEC | O_NONBLOCK) == 0;
  printed_ = Fd(pipe[0]);
  const Fd output(pipe[1]);
  if (record && answer_ && piped) {
    const auto pid = children_.spawn(
        {program_, "check-state"}, {record.get(), answer_.get()}, [this](const ChildExit& exit) { exited(exit); },
        output.get());
    pid_ = pid.value_or(0);
    if (!pid) failure_ = pid.error();
  } else {
    failure_ = fmt::format("cannot write the state: {}", std::strerror(errno));
  }
  limit_.start(pid_ != 0 ? std::chrono::milliseconds(kLimit) : std::chrono::milliseconds(0));
}

void StateCheck::cancel() noexcept {
  if (pid_ != 0) children_.kill(pid_, SIGKILL);
}

void StateCheck::exited(const ChildExit& exit) {
  pid_ = 0;
  const Fd answer = std::move(answer_);
  const Fd printed = std::move(printed_);
  finish(failure_.empty() ? refusal_in(contents_of(answer.get()), program_, exit, first_line(printed.get()))
                          : failure_);
}

void StateCheck::finish(const std::string& error) {
  limit_.stop();
  if (const Done done = std::exchange(done_, nullptr)) done(error);
}

int run_check_state() {
  json answer{{"program", "pronghorn"}, {"version", kVersion}, {"error", nullptr}};
  try {
    static_cast<void>(parse_resume_state(contents_of(kStateInFd)));
  } catch (const std::exception& error) {
    answer["error"] = fmt::format("version {} cannot take over from the running one: {}", kVersion, error.what());
  }
  const std::string text = dump_json(answer);
  return ::write(kStateOutFd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) ? 0 : 1;
}

}  // namespace pronghorn::supervisor
