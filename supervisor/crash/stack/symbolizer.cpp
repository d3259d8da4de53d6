#include "supervisor/crash/stack/symbolizer.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "common/log.h"
#include "common/text/json_text.h"

namespace pronghorn::supervisor {
namespace {

// A memfd at position 0: unlike a pipe, it needs no reader while the other side writes. Empty: it cannot be created.
Fd make_record(std::string_view text) {
  Fd fd(::memfd_create("pronghorn-symbolize", MFD_CLOEXEC));
  if (!fd) return {};
  if (::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) return {};
  return ::lseek(fd.get(), 0, SEEK_SET) == 0 ? std::move(fd) : Fd();
}

std::vector<Frame> read_answer(int fd) {
  constexpr std::size_t kLongest = 4 * 1024 * 1024;
  std::string text;
  std::array<char, 16 * 1024> buffer;
  ssize_t size = 0;
  if (::lseek(fd, 0, SEEK_SET) != 0) return {};
  while (text.size() < kLongest && (size = ::read(fd, buffer.data(), buffer.size())) > 0) {
    text.append(buffer.data(), static_cast<std::size_t>(size));
  }
  return frames_from_json(parse_json(text));
}

}  // namespace

Symbolizer::Symbolizer(uv_loop_t* loop, Children& children, std::string program)
    : children_(children), program_(std::move(program)), limit_(loop, [this] { children_.kill(pid_, SIGKILL); }) {}

void Symbolizer::ask(std::vector<Frame> frames, Done done) {
  if (frames.empty() || waiting_.size() >= kMostWaiting) return done(std::move(frames));
  waiting_.push_back({std::move(frames), std::move(done)});
  if (waiting_.size() == 1) begin_next();
}

void Symbolizer::cancel() noexcept {
  if (waiting_.size() > 1) {
    // exited() answers the first one.
    std::deque<Request> dropped(std::make_move_iterator(waiting_.begin() + 1), std::make_move_iterator(waiting_.end()));
    waiting_.resize(1);
    for (Request& request : dropped) request.done(std::move(request.frames));
  }
  if (pid_ != 0) children_.kill(pid_, SIGKILL);
}

void Symbolizer::begin_next() {
  while (!waiting_.empty() && !spawn(waiting_.front().frames)) {
    Request request = std::move(waiting_.front());
    waiting_.pop_front();
    request.done(std::move(request.frames));
  }
}

bool Symbolizer::spawn(const std::vector<Frame>& frames) {
  const Fd record = make_record(dump_json(to_json(frames)));
  answer_ = make_record({});
  if (!record || !answer_) return false;
  const auto pid = children_.spawn({program_, "symbolize"}, {record.get(), answer_.get()},
                                   [this](const ChildExit& exit) { exited(exit); });
  if (!pid) {
    log_warning("stacks have no function names: " + pid.error());
    return false;
  }
  pid_ = *pid;
  limit_.start(kLimit);
  return true;
}

void Symbolizer::exited(const ChildExit& exit) {
  limit_.stop();
  pid_ = 0;
  const Fd answer = std::move(answer_);
  Request request = std::move(waiting_.front());
  waiting_.pop_front();
  try {
    if (exit.signal != 0 || exit.status != 0) throw std::runtime_error(supervisor::describe(exit));
    request.frames = read_answer(answer.get());
  } catch (const std::exception& error) {
    log_warning("stacks have no function names: the symbolizer failed", {{"reason", error.what()}});
  }
  begin_next();
  request.done(std::move(request.frames));
}

}  // namespace pronghorn::supervisor
