#pragma once
// Values that carry their unit: `1h30m`, `64MiB`, `200k/s`. A bare number is refused, because nobody can tell what it
// means. Thread: any.

#include "engine/base/result.h"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace twinspan::config {

using Duration = std::chrono::milliseconds;

struct Rate {  // records per second
  double per_second = 0;
};
struct ByteRate {  // bytes per second
  double per_second = 0;
};

struct UnitError {
  bool bare_number = false;
  std::string message;
  std::string hint;
};

template <class T>
using UnitResult = outcome::basic_result<T, UnitError, outcome::policy::terminate>;

// ms s m h d, largest first, each once: `500ms`, `1h30m`, `-10s`.
UnitResult<Duration> parse_duration(std::string_view text);
// B, kB MB GB TB (1000), KiB MiB GiB TiB (1024); a decimal point is allowed: `1.5GiB`.
UnitResult<std::uint64_t> parse_bytes(std::string_view text);
// `500/s`, `200k/s`, `1.5M/s`.
UnitResult<Rate> parse_rate(std::string_view text);
// `10MiB/s`.
UnitResult<ByteRate> parse_byte_rate(std::string_view text);
// `2026-01-01T00:00:00Z`, with fraction and offset (`+08:00`); milliseconds since 1970. The zone is required.
UnitResult<std::int64_t> parse_timestamp(std::string_view text);

// The shortest text that parses to the same value.
std::string duration_text(Duration value);
std::string bytes_text(std::uint64_t value);
std::string rate_text(Rate value);
std::string byte_rate_text(ByteRate value);

}  // namespace twinspan::config
