// Time functions on milliseconds since 1970 UTC. Where a function takes a zone, it is a constant; without one, UTC.

#include <fmt/format.h>

#include "engine/expr/overload.h"
#include "engine/expr/time_format.h"
#include "engine/expr/time_units.h"
#include "engine/expr/time_zone.h"

namespace twinspan::engine {

namespace {

using View = std::string_view;

struct TimeState {
  TimeUnit unit{};
  std::shared_ptr<const TimeZone> zone, other_zone;
  std::optional<TimeFormat> format;
};

const TimeState& state(const KernelCall& call) { return call.params->as<TimeState>(); }

std::optional<View> constant_text(std::span<const ArgInfo> args, std::size_t i, const char* what, std::string& error,
                                  std::size_t& bad) {
  bad = i;
  if (args[i].constant != nullptr && !args[i].constant->is_null(0)) return args[i].constant->at<View>(0);
  error = fmt::format("the {} must be a constant", what);
  return std::nullopt;
}

bool read_zone(std::span<const ArgInfo> args, std::size_t i, std::shared_ptr<const TimeZone>& out, std::string& error,
               std::size_t& bad) {
  const auto name = constant_text(args, i, "time zone", error, bad);
  if (!name) return false;
  out = TimeZone::find(*name);
  if (out == nullptr) error = fmt::format("unknown time zone `{}`: names look like 'Asia/Shanghai' or '+08:00'", *name);
  return out != nullptr;
}

bool read_unit(std::span<const ArgInfo> args, TimeUnit last, TimeUnit& out, std::string& error, std::size_t& bad) {
  const auto name = constant_text(args, 0, "unit", error, bad);
  if (!name) return false;
  if (parse_time_unit(*name, out) && out <= last) return true;
  error = fmt::format("unknown unit `{}`: use millisecond, second, minute, hour, day, week, month, quarter{}", *name,
                      last == TimeUnit::year ? " or year" : ", year, dow, isodow, doy or epoch");
  return false;
}

bool read_format(std::span<const ArgInfo> args, std::size_t i, std::optional<TimeFormat>& out, std::string& error,
                 std::size_t& bad) {
  const auto pattern = constant_text(args, i, "format", error, bad);
  if (!pattern) return false;
  out = TimeFormat::compile(*pattern, error);
  return out.has_value();
}

// unit_last: of the unit in argument 0, or none; format, zone: their arguments (-1: none), optional ones at the end.
template <bool unit, TimeUnit last, int format, int zone>
bool prepare(std::span<const ArgInfo> args, KernelChoice& k, std::string& error, std::size_t& bad) {
  auto s = std::make_shared<TimeState>();
  if (!unit) s->unit = last;
  if (unit && !read_unit(args, last, s->unit, error, bad)) return false;
  const auto given = static_cast<int>(args.size());
  if (format >= 0 && format < given && !read_format(args, static_cast<std::size_t>(format), s->format, error, bad))
    return false;
  if (zone >= 0 && zone < given && !read_zone(args, static_cast<std::size_t>(zone), s->zone, error, bad)) return false;
  k.params.state = std::move(s);
  return true;
}

// f(ms, out) for rows with a time of the calendar in argument `arg`.
template <class T, class F>
void each_time(KernelCall& call, std::size_t arg, F&& f) {
  T* out = call.result<T>();
  for (std::uint32_t i = 0; i < call.rows; ++i) {
    out[i] = T{};
    if (!call.computes(i)) continue;
    const std::int64_t ms = call.args[arg].at<std::int64_t>(i);
    if (!is_calendar_time(ms) || !f(ms, out[i], i)) {
      out[i] = T{};
      call.fail(i, "timestamp out of the calendar's range");
    }
  }
}

// The start of the unit in the zone. Up to an hour is cut off as it stands, so that the hour the clock shows twice is
// two hours; days and more begin at the first moment of their date.
std::int64_t truncate_in(ZoneCursor& zone, TimeUnit unit, std::int64_t ms) {
  const std::int64_t local = ms + zone.offset(ms), start = truncate_time(unit, local);
  return unit <= TimeUnit::hour ? ms - (local - start) : zone.to_utc(start);
}

void date_trunc(KernelCall& call) {
  ZoneCursor zone(state(call).zone.get());
  each_time<std::int64_t>(call, 1, [&](std::int64_t ms, std::int64_t& out, std::uint32_t) {
    out = truncate_in(zone, state(call).unit, ms);
    return true;
  });
}

void date_ceil(KernelCall& call) {
  ZoneCursor zone(state(call).zone.get());
  const TimeUnit unit = state(call).unit;
  each_time<std::int64_t>(call, 1, [&](std::int64_t ms, std::int64_t& out, std::uint32_t) {
    out = truncate_in(zone, unit, ms);
    if (out == ms) return true;
    const std::int64_t start = unit <= TimeUnit::hour ? out : truncate_time(unit, ms + zone.offset(ms));
    if (!add_time(unit, 1, start, out)) return false;
    if (unit > TimeUnit::hour) out = zone.to_utc(out);
    return true;
  });
}

template <int arg>
void extract(KernelCall& call) {
  ZoneCursor zone(state(call).zone.get());
  const TimeUnit unit = state(call).unit;
  each_time<std::int64_t>(call, arg, [&](std::int64_t ms, std::int64_t& out, std::uint32_t) {
    out = extract_time(unit, unit == TimeUnit::epoch ? ms : ms + zone.offset(ms));
    return true;
  });
}

void same(KernelCall& call) {
  call.each<std::int64_t>([&](std::uint32_t i) { return call.args[0].at<std::int64_t>(i); });
}

void seconds_to_timestamp(KernelCall& call) {
  auto* out = call.result<std::int64_t>();
  for (std::uint32_t i = 0; i < call.rows; ++i) {
    out[i] = 0;
    if (!call.computes(i)) continue;
    if (__builtin_mul_overflow(call.args[0].at<std::int64_t>(i), std::int64_t{1000}, &out[i]))
      call.fail(i, "timestamp out of range");
  }
}

void unix_timestamp(KernelCall& call) {
  each_time<std::int64_t>(call, 0, [](std::int64_t ms, std::int64_t& out, std::uint32_t) {
    out = extract_time(TimeUnit::epoch, ms);
    return true;
  });
}

std::string shown(View s) {
  std::size_t n = std::min<std::size_t>(s.size(), 40);
  while (n > 0 && n < s.size() && (static_cast<unsigned char>(s[n]) & 0xC0) == 0x80) --n;
  return std::string(s.substr(0, n));
}

// text [, format [, zone]]; a zone in the text itself counts more. seconds: of the result.
template <bool seconds>
void text_to_timestamp(KernelCall& call) {
  const bool plain = call.params->state == nullptr || !state(call).format;
  auto* out = call.result<std::int64_t>();
  for (std::uint32_t i = 0; i < call.rows; ++i) {
    out[i] = 0;
    if (!call.computes(i)) continue;
    const View s = call.args[0].at<View>(i);
    std::optional<std::int64_t> ms;
    if (plain) {
      ms = parse_timestamp(s);
    } else if (const auto p = state(call).format->parse(s)) {
      ms = p->offset ? p->local - *p->offset : state(call).zone ? state(call).zone->to_utc(p->local) : p->local;
    }
    if (!ms)
      call.fail(i, fmt::format("`{}` is not a timestamp", shown(s)));
    else
      out[i] = seconds ? extract_time(TimeUnit::epoch, *ms) : *ms;
  }
}

// params: a = 1: argument 0 counts seconds
void date_format(KernelCall& call) {
  ZoneCursor zone(state(call).zone.get());
  static const TimeFormat kDefault = [] {
    std::string error;
    return *TimeFormat::compile("yyyy-MM-dd HH:mm:ss", error);
  }();
  const TimeFormat& format = state(call).format ? *state(call).format : kDefault;
  std::string text;
  auto* out = call.result<View>();
  for (std::uint32_t i = 0; i < call.rows; ++i) {
    out[i] = {};
    if (!call.computes(i)) continue;
    std::int64_t ms = call.args[0].at<std::int64_t>(i);
    if ((call.params->a != 0 && __builtin_mul_overflow(ms, std::int64_t{1000}, &ms)) || !is_calendar_time(ms)) {
      call.fail(i, "timestamp out of the calendar's range");
      continue;
    }
    text.clear();
    const std::int64_t offset = zone.offset(ms);
    format.format(ms + offset, offset, text);
    out[i] = call.bytes->copy(text);
  }
}
bool prepare_from_unixtime(std::span<const ArgInfo> args, KernelChoice& k, std::string& error, std::size_t& bad) {
  k.params.a = 1;
  return prepare<false, TimeUnit::second, 1, 2>(args, k, error, bad);
}

void from_utc(KernelCall& call) {
  ZoneCursor zone(state(call).zone.get());
  each_time<std::int64_t>(call, 0, [&](std::int64_t ms, std::int64_t& out, std::uint32_t) {
    out = ms + zone.offset(ms);
    return true;
  });
}
void to_utc(KernelCall& call) {
  each_time<std::int64_t>(call, 0, [&](std::int64_t local, std::int64_t& out, std::uint32_t) {
    out = state(call).zone->to_utc(local);
    return true;
  });
}

bool prepare_convert(std::span<const ArgInfo> args, KernelChoice& k, std::string& error, std::size_t& bad) {
  auto s = std::make_shared<TimeState>();
  s->format = TimeFormat::compile("yyyy-MM-dd HH:mm:ss", error);
  if (!read_zone(args, 1, s->zone, error, bad) || !read_zone(args, 2, s->other_zone, error, bad)) return false;
  k.params.state = std::move(s);
  return true;
}
void convert_tz(KernelCall& call) {
  const TimeState& s = state(call);
  ZoneCursor to(s.other_zone.get());
  std::string text;
  auto* out = call.result<View>();
  for (std::uint32_t i = 0; i < call.rows; ++i) {
    out[i] = {};
    if (!call.computes(i)) continue;
    const View from = call.args[0].at<View>(i);
    const auto local = s.format->parse(from);
    if (!local) {
      call.fail(i, fmt::format("`{}` is not a timestamp", shown(from)));
      continue;
    }
    const std::int64_t ms = s.zone->to_utc(local->local), offset = to.offset(ms);
    text.clear();
    s.format->format(ms + offset, offset, text);
    out[i] = call.bytes->copy(text);
  }
}

void timestampadd(KernelCall& call) {
  each_time<std::int64_t>(call, 2, [&](std::int64_t ms, std::int64_t& out, std::uint32_t i) {
    return add_time(state(call).unit, call.args[1].at<std::int64_t>(i), ms, out);
  });
}
void timestampdiff(KernelCall& call) {
  each_time<std::int64_t>(call, 1, [&](std::int64_t from, std::int64_t& out, std::uint32_t i) {
    const std::int64_t to = call.args[2].at<std::int64_t>(i);
    if (!is_calendar_time(to)) return false;
    out = time_difference(state(call).unit, from, to);
    return true;
  });
}

void last_day(KernelCall& call) {
  each_time<std::int64_t>(call, 0, [](std::int64_t ms, std::int64_t& out, std::uint32_t) {
    if (!add_time(TimeUnit::month, 1, truncate_time(TimeUnit::month, ms), out)) return false;
    out -= 86'400'000;
    return true;
  });
}

void make_timestamp(KernelCall& call) {
  auto* out = call.result<std::int64_t>();
  for (std::uint32_t i = 0; i < call.rows; ++i) {
    out[i] = 0;
    if (!call.computes(i)) continue;
    const auto part = [&](std::size_t k) { return call.args[k].at<std::int64_t>(i); };
    const bool clock = part(3) >= 0 && part(3) <= 23 && part(4) >= 0 && part(4) <= 59 && part(5) >= 0 && part(5) <= 59;
    std::int64_t local = 0;
    if (!clock || !make_time(part(0), part(1), part(2), ((part(3) * 60 + part(4)) * 60 + part(5)) * 1000, local))
      call.fail(i, "there is no such date and time");
    else
      out[i] = state(call).zone ? state(call).zone->to_utc(local) : local;
  }
}

constexpr Overload part(std::string_view name, std::string_view signature, std::string_view doc, Prepare prepare) {
  return {{name, "time", signature, doc}, "ts?", 'i', extract<0>, 8, prepare};
}

}  // namespace

std::span<const Overload> time_functions() {
  using enum TimeUnit;
  static const Overload table[] = {
      {{"timestamp_ms", "time", "timestamp_ms(ms int64) -> timestamp", "The timestamp of milliseconds since 1970 UTC."},
       "i",
       't',
       same,
       1},
      {{"to_timestamp", "time", "to_timestamp(ms int64) -> timestamp", "The timestamp of milliseconds since 1970 UTC."},
       "i",
       't',
       same,
       1},
      {{"to_timestamp", "time", "to_timestamp(text string [, format string [, zone string]]) -> timestamp",
        "An ISO 8601 text, or one of this format, as a timestamp; without a zone it is UTC."},
       "ss?s?",
       't',
       text_to_timestamp<false>,
       60,
       prepare<false, second, 1, 2>},
      {{"timestamp_seconds", "time", "timestamp_seconds(s int64) -> timestamp",
        "The timestamp of seconds since 1970 UTC."},
       "i",
       't',
       seconds_to_timestamp,
       1},
      {{"unix_millis", "time", "unix_millis(ts timestamp) -> int64", "Milliseconds since 1970 UTC."},
       "t",
       'i',
       same,
       1},
      {{"unix_timestamp", "time", "unix_timestamp(ts timestamp) -> int64", "Seconds since 1970 UTC."},
       "t",
       'i',
       unix_timestamp,
       3},
      {{"unix_timestamp", "time", "unix_timestamp(text string, format string [, zone string]) -> int64",
        "Seconds since 1970 UTC of a text of this format."},
       "sss?",
       'i',
       text_to_timestamp<true>,
       60,
       prepare<false, second, 1, 2>},
      {{"from_unixtime", "time", "from_unixtime(s int64 [, format string [, zone string]]) -> string",
        "Seconds since 1970 UTC as a text, 'yyyy-MM-dd HH:mm:ss' if no format is given."},
       "is?s?",
       's',
       date_format,
       200,
       prepare_from_unixtime},
      {{"date_trunc", "time", "date_trunc(unit string, ts timestamp [, zone string]) -> timestamp",
        "The start of the unit (millisecond to year; weeks begin on Monday). Also floor(ts TO unit)."},
       "sts?",
       't',
       date_trunc,
       6,
       prepare<true, year, -1, 2>},
      {{"date_ceil", "time", "date_ceil(unit string, ts timestamp [, zone string]) -> timestamp",
        "The first start of a unit not before the time. Also ceil(ts TO unit)."},
       "sts?",
       't',
       date_ceil,
       10,
       prepare<true, year, -1, 2>},
      {{"extract", "time", "extract(unit FROM ts timestamp [, zone string]) -> int64",
        "A field: millisecond to year, ISO week, quarter, dow (1 = Sunday), isodow (1 = Monday), doy, epoch "
        "(seconds)."},
       "sts?",
       'i',
       extract<1>,
       8,
       prepare<true, epoch, -1, 2>},
      part("year", "year(ts timestamp [, zone string]) -> int64", "Year.", prepare<false, year, -1, 1>),
      part("quarter", "quarter(ts timestamp [, zone string]) -> int64", "Quarter, 1 to 4.",
           prepare<false, quarter, -1, 1>),
      part("month", "month(ts timestamp [, zone string]) -> int64", "Month, 1 to 12.", prepare<false, month, -1, 1>),
      part("week", "week(ts timestamp [, zone string]) -> int64", "ISO week, 1 to 53.", prepare<false, week, -1, 1>),
      part("day", "day(ts timestamp [, zone string]) -> int64", "Day of the month.", prepare<false, day, -1, 1>),
      part("dayofmonth", "dayofmonth(ts timestamp [, zone string]) -> int64", "Day of the month.",
           prepare<false, day, -1, 1>),
      part("dayofweek", "dayofweek(ts timestamp [, zone string]) -> int64", "Day of the week, 1 = Sunday.",
           prepare<false, dow, -1, 1>),
      part("dayofyear", "dayofyear(ts timestamp [, zone string]) -> int64", "Day of the year.",
           prepare<false, doy, -1, 1>),
      part("hour", "hour(ts timestamp [, zone string]) -> int64", "Hour, 0 to 23.", prepare<false, hour, -1, 1>),
      part("minute", "minute(ts timestamp [, zone string]) -> int64", "Minute, 0 to 59.",
           prepare<false, minute, -1, 1>),
      part("second", "second(ts timestamp [, zone string]) -> int64", "Second, 0 to 59.",
           prepare<false, second, -1, 1>),
      {{"date_format", "time", "date_format(ts timestamp, format string [, zone string]) -> string",
        "The time by a constant format of yyyy MM dd HH mm ss SSS E D h a XXX; text in quotes."},
       "tss?",
       's',
       date_format,
       200,
       prepare<false, second, 1, 2>},
      {{"from_utc_timestamp", "time", "from_utc_timestamp(ts timestamp, zone string) -> timestamp",
        "What the clock of the zone shows then, as if it were UTC. Also ts AT TIME ZONE 'zone'."},
       "ts",
       't',
       from_utc,
       6,
       prepare<false, second, -1, 1>},
      {{"to_utc_timestamp", "time", "to_utc_timestamp(local timestamp, zone string) -> timestamp",
        "The moment at which the clock of the zone shows this; the first of two, the jump itself when it skips this."},
       "ts",
       't',
       to_utc,
       60,
       prepare<false, second, -1, 1>},
      {{"convert_tz", "time", "convert_tz(text string, from string, to string) -> string",
        "A 'yyyy-MM-dd HH:mm:ss' of one zone in another."},
       "sss",
       's',
       convert_tz,
       300,
       prepare_convert},
      {{"timestampadd", "time", "timestampadd(unit, n int64, ts timestamp) -> timestamp",
        "n units later; months and years keep the day of the month, or take its last."},
       "sit",
       't',
       timestampadd,
       10,
       prepare<true, year, -1, -1>},
      {{"timestampdiff", "time", "timestampdiff(unit, from timestamp, to timestamp) -> int64",
        "Whole units between two times, negative when `to` is earlier."},
       "stt",
       'i',
       timestampdiff,
       15,
       prepare<true, year, -1, -1>},
      {{"last_day", "time", "last_day(ts timestamp) -> timestamp", "Midnight of the last day of the month, UTC."},
       "t",
       't',
       last_day,
       12},
      {{"make_timestamp", "time",
        "make_timestamp(year int64, month int64, day int64, hour int64, minute int64, second int64 [, zone string]) -> "
        "timestamp",
        "The timestamp of these numbers; an error when there is none."},
       "iiiiiis?",
       't',
       make_timestamp,
       30,
       prepare<false, second, -1, 6>},
  };
  return table;
}

}  // namespace twinspan::engine
