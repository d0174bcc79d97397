#pragma once
// The terminal while the live screen is on it: alternate screen, no cursor, single keys, and all of it put
// back on every way out: the destructor, exit(), and the signals of a crash. One at a time (it is a
// terminal). Thread: main.

#include <optional>
#include <string>
#include <string_view>

namespace twinspan::gateway {

struct TerminalSize {
  int columns = 80, rows = 24;
};

class Terminal {
 public:
  // Standard input and output are terminals that understand cursor movement.
  static bool available();

  Terminal();
  ~Terminal();
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  TerminalSize size() const;
  // Draws in one write; false when the terminal is gone.
  bool draw(std::string_view frame);
  std::optional<char> key();  // does not wait; an end of input is 'q'
  // Gives the terminal back (for Ctrl-Z), takes it again.
  void leave();
  void enter();
};

}  // namespace twinspan::gateway
