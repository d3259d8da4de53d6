#include "server/commands/status/top.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <string_view>

#include "common/text/utf8.h"
#include "server/commands/control_client.h"
#include "server/commands/status/status_view.h"
#include "server/options/values/values.h"

namespace pronghorn::server {
namespace {

volatile std::sig_atomic_t stopped = 0;  // set by the signal handler

void show(std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = ::write(STDOUT_FILENO, text.data(), text.size());
    if (count <= 0) return;  // the terminal is gone; the next read reports it
    text.remove_prefix(static_cast<std::size_t>(count));
  }
}

// Switches the terminal to its alternate screen, without cursor and echo, for its lifetime. SIGTERM and SIGHUP end the
// loop instead of the process, so that the destructor runs.
class RawTerminal {
 public:
  RawTerminal() {
    if (::tcgetattr(STDIN_FILENO, &before_) != 0 || ::isatty(STDOUT_FILENO) != 1) {
      throw UsageError("top: standard input and output must be a terminal; use \"status\" instead");
    }
    struct sigaction action{};
    action.sa_handler = [](int) { stopped = 1; };
    for (const int signal : {SIGTERM, SIGHUP, SIGINT}) ::sigaction(signal, &action, nullptr);
    termios raw = before_;
    raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    ::tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    show("\x1b[?1049h\x1b[?25l");
  }
  RawTerminal(const RawTerminal&) = delete;
  RawTerminal& operator=(const RawTerminal&) = delete;
  ~RawTerminal() {
    show("\x1b[?25h\x1b[?1049l");
    ::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
  }

 private:
  termios before_{};
};

// The first `width` characters of a line: a wrapped line would scroll the screen.
std::string_view clipped(std::string_view line, std::size_t width) {
  std::size_t end = 0;
  for (std::size_t column = 0; column < width && end < line.size(); ++column) {
    end += std::max<std::size_t>(1, utf8_sequence(line.substr(end)));
  }
  return line.substr(0, end);
}

void draw(std::string_view text) {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0 || size.ws_col == 0) size = {24, 80, 0, 0};
  std::string screen = "\x1b[H";
  for (unsigned row = 1; row < size.ws_row && !text.empty(); ++row) {
    const auto end = std::min(text.find('\n'), text.size());
    screen += clipped(text.substr(0, end), size.ws_col);
    screen += "\x1b[K\r\n";
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  show(screen + "\x1b[J");
}

std::string current(const std::string& path) {
  try {
    return status_table(ask_status(path));
  } catch (const ControlError& error) {
    return printable(error.what()) + '\n';
  }
}

// Waits for a second or a key. False if the key quits or the terminal is gone.
bool go_on() {
  pollfd keys{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
  if (::poll(&keys, 1, 1'000) <= 0) return stopped == 0;
  char key = 0;
  return ::read(STDIN_FILENO, &key, 1) == 1 && key != 'q' && key != 'Q' && key != '\x04' && stopped == 0;
}

}  // namespace

void run_top(const std::string& control_path) {
  const RawTerminal terminal;
  do {
    draw(current(control_path) + "\nq: quit\n");
  } while (go_on());
}

}  // namespace pronghorn::server
