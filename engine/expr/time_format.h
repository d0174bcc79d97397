#pragma once
// Date patterns as Java's (and Flink's) DateTimeFormatter has them, the part of it that people use:
//   yyyy yy  M MM MMM MMMM  d dd  D DDD  E EEEE  H HH  h hh  a  m mm  s ss  S..SSS(SSS)  XXX xx z(as +08:00)
// Text goes in single quotes, other characters stand for themselves. Compiled once. Thread: any (read only).

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace twinspan::engine {

class TimeFormat {
 public:
  static std::optional<TimeFormat> compile(std::string_view pattern, std::string& error);

  // `local` is a calendar time of a clock that is `offset` ms before UTC.
  void format(std::int64_t local, std::int64_t offset, std::string& out) const;

  struct Parsed {
    std::int64_t local = 0;
    std::optional<std::int64_t> offset;  // when the text has one
  };
  // nullopt: the text is not of this form, or no date.
  std::optional<Parsed> parse(std::string_view text) const;

 private:
  struct Part {
    char field = 0;  // 0: literal
    int width = 0;   // letters of the pattern
    std::string literal;
  };
  std::vector<Part> parts_;
};

}  // namespace twinspan::engine
