#pragma once
// Times, durations and counts as people write and read them: in request bodies, on the command line, in
// tables. Thread: any.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace twinspan::admin {

// "500ms", "30s", "5m", "1h", "2d", "1h30m" -> milliseconds. A bare number is refused: units are part of
// values.
std::optional<std::int64_t> parse_duration(std::string_view text);
// "2026-01-01T00:00:00Z", with optional fraction and offset (+08:00) -> milliseconds since 1970 UTC.
std::optional<std::int64_t> parse_timestamp(std::string_view text);
// "200000", "200k", "1.5M", "64MiB" -> a count.
std::optional<std::uint64_t> parse_count(std::string_view text);

std::string format_timestamp(std::int64_t ms);  // 2026-01-01T00:00:00.000Z; "-" if < 0
std::string format_duration(std::int64_t ms);   // 350 ms | 4.1 s | 12 min 5 s | 3 h 20 min | 2 d 4 h; "-" if < 0
std::string format_count(std::int64_t n);       // 4,312,903; "-" if < 0
std::string format_bytes(double bytes);         // 22.1 MiB
std::string format_rate(double per_second);     // 105.2 k/s

}  // namespace twinspan::admin
