#include "gateway/demo/terminal.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

namespace twinspan::gateway {

namespace {

constexpr char kEnter[] = "\x1b[?1049h\x1b[?25l\x1b[2J";
constexpr char kLeave[] = "\x1b[0m\x1b[?25h\x1b[?1049l";
constexpr int kCrashes[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};

// For handlers: plain data, written before it is used. tcsetattr and write are safe in a handler (POSIX).
termios original;
volatile sig_atomic_t entered = 0;

void give_back() {
  if (!entered) return;
  entered = 0;
  [[maybe_unused]] const auto n = ::write(STDOUT_FILENO, kLeave, sizeof kLeave - 1);
  ::tcsetattr(STDIN_FILENO, TCSANOW, &original);
}

void on_crash(int signal) {
  give_back();
  // SA_RESETHAND has put back what the system does with it.
  ::raise(signal);
}

}  // namespace

bool Terminal::available() {
  const char* kind = std::getenv("TERM");
  return ::isatty(STDIN_FILENO) != 0 && ::isatty(STDOUT_FILENO) != 0 && kind != nullptr &&
         std::strcmp(kind, "dumb") != 0;
}

Terminal::Terminal() {
  ::tcgetattr(STDIN_FILENO, &original);
  std::atexit(give_back);
  struct sigaction action {};
  action.sa_handler = on_crash;
  action.sa_flags = static_cast<int>(SA_RESETHAND | SA_NODEFER);
  for (int s : kCrashes) ::sigaction(s, &action, nullptr);
  enter();
}

Terminal::~Terminal() {
  leave();
  for (int s : kCrashes) ::signal(s, SIG_DFL);
}

void Terminal::enter() {
  if (entered) return;
  termios keys = original;
  // ISIG stays: Ctrl-C and Ctrl-Z keep their meaning.
  keys.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
  keys.c_cc[VMIN] = 0;
  keys.c_cc[VTIME] = 0;
  ::tcsetattr(STDIN_FILENO, TCSANOW, &keys);
  entered = 1;
  draw(kEnter);
}

void Terminal::leave() { give_back(); }

TerminalSize Terminal::size() const {
  winsize w{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) != 0 || w.ws_col == 0 || w.ws_row == 0) return {};
  return {w.ws_col, w.ws_row};
}

bool Terminal::draw(std::string_view frame) {
  while (!frame.empty()) {
    const auto n = ::write(STDOUT_FILENO, frame.data(), frame.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    frame.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

std::optional<char> Terminal::key() {
  pollfd waiting{STDIN_FILENO, POLLIN, 0};
  if (::poll(&waiting, 1, 0) <= 0) return std::nullopt;
  char c = 0;
  const auto n = ::read(STDIN_FILENO, &c, 1);
  if (n < 0) return errno == EINTR || errno == EAGAIN ? std::nullopt : std::optional<char>('q');
  if (n == 0) return 'q';
  if (c != '\x1b') return c;
  // An arrow or a function key: its rest is not a key of ours.
  char rest[16];
  if (::poll(&waiting, 1, 0) > 0) (void)!::read(STDIN_FILENO, rest, sizeof rest);
  return std::nullopt;
}

}  // namespace twinspan::gateway
