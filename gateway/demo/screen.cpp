#include "gateway/demo/screen.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "admin/time_text.h"

namespace twinspan::gateway {

namespace {

constexpr const char* kReset = "\x1b[0m";
constexpr const char* kBold = "\x1b[1m";
constexpr const char* kDim = "\x1b[2m";
constexpr const char* kRed = "\x1b[31m";
constexpr const char* kGreen = "\x1b[32m";
constexpr const char* kYellow = "\x1b[33m";
constexpr const char* kCyan = "\x1b[36m";
constexpr const char* kReverse = "\x1b[7m";

constexpr std::int64_t kZoneMs = 8 * 3'600'000;
constexpr std::size_t kTrend = 4;  // windows side by side
constexpr int kRoomyRows = 34;     // below, blank lines and what matters least are left out
constexpr int kWideColumns = 100;

// A line that is cut at the width of the terminal, whatever colours are in it. ASCII only.
class Line {
 public:
  Line& add(const std::string& text, const char* style = nullptr) {
    if (style != nullptr) text_ += style;
    text_ += text;
    if (style != nullptr) text_ += kReset;
    return *this;
  }
  // Left- or right-aligned in `width`, and cut there.
  Line& cell(const std::string& text, int width, const char* style = nullptr) {
    return add(fmt::format("{:<{}.{}}", text, width, width), style).add(" ");
  }
  Line& number(const std::string& text, int width, const char* style = nullptr) {
    return add(fmt::format("{:>{}}", text, width), style).add("  ");
  }
  std::string cut(int columns) const {
    std::string out;
    int used = 0;
    for (std::size_t i = 0; i < text_.size();) {
      if (text_[i] == '\x1b') {
        const std::size_t end = text_.find('m', i);
        out.append(text_, i, end - i + 1);
        i = end + 1;
        continue;
      }
      if (used < columns) out += text_[i], ++used;
      ++i;
    }
    return out;
  }

 private:
  std::string text_;
};

const char* color_of(const std::string& state) {
  if (state == "up" || state == "running") return kGreen;
  if (state == "down" || state == "failed") return kRed;
  return kYellow;
}

const char* color_of(DemoEvent::Kind kind) {
  switch (kind) {
    case DemoEvent::Kind::deed: return kCyan;
    case DemoEvent::Kind::good: return kGreen;
    case DemoEvent::Kind::bad: return kRed;
    case DemoEvent::Kind::note: return nullptr;
  }
  return nullptr;
}

std::string upper(std::string s) {
  for (char& c : s) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return s;
}

std::string age(std::int64_t ms) { return ms < 0 ? "-" : admin::format_duration(ms); }

Line title(const std::string& name, const std::string& rest = "") {
  Line line;
  line.add(name, kBold);
  if (!rest.empty()) line.add("  ").add(rest, kDim);
  return line;
}

void head(const DemoView& v, bool roomy, bool wide, std::vector<Line>& out) {
  const std::string state = admin::to_string(v.status.state);
  const std::string clock = event_clock(v.generated_to);
  out.push_back(Line()
                    .add(" twinspan demo ", kReverse)
                    .add(fmt::format("  {} ", v.status.name), kBold)
                    .add(upper(state), color_of(state))
                    .add(v.held ? "  HELD BACK" : "", kYellow)
                    .add(wide ? fmt::format("   {}   event time {} ({:.0f} x)   http://{}", age(v.elapsed_ms), clock,
                                            v.speed, v.address)
                              : fmt::format("  {}  event time {}  {}", age(v.elapsed_ms), clock, v.address)));
  if (!roomy) return;
  out.push_back(
      Line().add("mock brokers: at least once (they know no transactions), 5 MiB a partition, no time look-ups", kDim));
  out.emplace_back();
}

void clusters(const DemoView& v, bool roomy, std::vector<Line>& out) {
  out.push_back(title("CLUSTER  STATE      FOR            LAST DATA   IMPRESSIONS/s  CLICKS/s       LAG  BROKER"));
  for (const auto& c : v.clusters) {
    Line line;
    line.cell(c.name, 8, kBold)
        .cell(upper(c.state), 10, color_of(c.state))
        .cell(age(c.since_ms), 14)
        .cell(age(c.last_data_ms_ago), 11)
        .number(fmt::format("{:.0f}", c.records_per_s[0]), 13)
        .number(fmt::format("{:.0f}", c.records_per_s[1]), 8)
        .number(admin::format_count(c.lag), 8, c.lag > 5'000 ? kYellow : nullptr)
        .add(c.bootstrap)
        .add(c.broken ? "  broken by you" : "", kRed);
    out.push_back(std::move(line));
  }
  if (roomy) out.emplace_back();
}

void flow(const DemoView& v, bool roomy, std::vector<Line>& out) {
  out.push_back(title("SOURCE          RECORDS   RATE/s       LAG  WATERMARK: FIRING  RETENTION"));
  for (const auto& s : v.status.sources) {
    const bool apart = s.watermark.retention < s.watermark.firing;
    Line line;
    line.cell(s.name, 12)
        .number(admin::format_count(static_cast<std::int64_t>(s.records)), 10)
        .number(fmt::format("{:.0f}", s.records_per_s), 7)
        .number(admin::format_count(std::max<std::int64_t>(0, s.lag_records)), 8)
        .number(event_clock(s.watermark.firing), 17)
        .cell(event_clock(s.watermark.retention), 10, apart ? kYellow : nullptr);
    if (s.limits.records_per_s) line.add(fmt::format(" held to {}/s", *s.limits.records_per_s), kYellow);
    out.push_back(std::move(line));
  }
  for (const auto& s : v.status.sinks) {
    if (!roomy && s.name != "uv_out") continue;
    Line line;
    line.cell("> " + s.name, 14)
        .add("to ")
        .add(s.active_cluster, kBold)
        .add(fmt::format("  generation {}  switches {}  records {}  acknowledged {}", s.generation, s.switches,
                         s.records, s.acknowledged));
    if (s.resent > 0) line.add(fmt::format("  resent {}", s.resent));
    if (s.last_switch_took_ms >= 0) line.add(fmt::format("  last switch {}", age(s.last_switch_took_ms)));
    if (s.holding) line.add("  HOLDS: " + s.route_reason, kRed);
    out.push_back(std::move(line));
  }
  const auto& c = v.status.last_checkpoint;
  out.push_back(Line().add(
      fmt::format("checkpoint {}, {} ago, took {}, {}   dead letters {}   discarded {}   repeats dropped {}", c.epoch,
                  age(v.checkpoint_ms_ago), age(c.took_ms), admin::format_bytes(static_cast<double>(c.bytes)),
                  v.status.dead_letters, admin::format_count(static_cast<std::int64_t>(v.status.discarded_records)),
                  v.results.repeats)));
  if (!c.last_error.empty()) out.push_back(Line().add("checkpoint failed: " + c.last_error, kRed));
  if (!v.status.reason.empty()) out.push_back(Line().add(v.status.reason, kRed));
  if (roomy) out.emplace_back();
}

void results(const DemoView& v, bool roomy, std::vector<Line>& out) {
  std::vector<std::pair<EventTime, const ResultSummary::Window*>> latest;
  for (auto it = v.results.windows.rbegin(); it != v.results.windows.rend() && latest.size() < kTrend; ++it)
    latest.emplace_back(it->first, &it->second);
  if (latest.empty()) {
    out.push_back(title("RESULTS", "none yet: the first window waits for the 10 minutes in which clicks may come"));
    if (roomy) out.emplace_back();
    return;
  }
  Line names;
  names.add(fmt::format("RESULTS  day so far to {}   UV  CLICK UV       SPEND  FROM ", event_minute(latest[0].first)),
            kBold);
  for (std::size_t i = 1; i < latest.size(); ++i)
    names.add(fmt::format("  UV {}", event_minute(latest[i].first)), kBold);
  bool final = true;
  for (const auto& [end, window] : latest)
    for (const auto& [region, row] : *window) final &= row.final;
  if (!final) names.add("  yellow: not final yet", kYellow);
  out.push_back(std::move(names));
  for (const std::string& region : v.results.regions) {
    Line line;
    line.cell(printable(region), 24);
    bool first = true;
    for (const auto& [end, window] : latest) {
      const auto it = window->find(region);
      const ResultRow* row = it == window->end() ? nullptr : &it->second;
      const char* color = row != nullptr && !row->final ? kYellow : nullptr;
      line.add(fmt::format("{:>{}}", row != nullptr ? admin::format_count(row->uv) : "-", first ? 8 : 10), color);
      if (first) {
        line.add(fmt::format("{:>10}{:>12}  {:<5}", row != nullptr ? admin::format_count(row->click_uv) : "-",
                             row != nullptr ? printable(row->spend) : "-", row != nullptr ? row->cluster : "-"));
      }
      first = false;
    }
    out.push_back(std::move(line));
  }
  if (roomy) out.emplace_back();
}

}  // namespace

std::string event_clock(EventTime t) {
  if (t == kMinTime || t == kMaxTime) return "-";
  return admin::format_timestamp(t + kZoneMs).substr(11, 8);
}

std::string event_minute(EventTime t) { return event_clock(t).substr(0, 5); }

std::string printable(const std::string& text) {
  std::string out = text;
  for (char& c : out)
    if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) > 0x7e) c = '?';
  return out;
}

std::string render_screen(const DemoView& view, TerminalSize size) {
  std::vector<Line> lines;
  const bool roomy = size.rows >= kRoomyRows;
  const bool wide = size.columns >= kWideColumns;
  head(view, roomy, wide, lines);
  clusters(view, roomy, lines);
  flow(view, roomy, lines);
  results(view, roomy, lines);
  lines.push_back(title("EVENTS"));
  const std::size_t rows = static_cast<std::size_t>(std::max(2, size.rows));
  if (lines.size() > rows - 1) lines.resize(rows - 1);
  const std::size_t room = rows - 1 - lines.size();
  const std::size_t shown = std::min(room, view.events.size());
  for (std::size_t i = view.events.size() - shown; i < view.events.size(); ++i) {
    const DemoEvent& e = view.events[i];
    lines.push_back(Line()
                        .add(fmt::format("{:>6.1f} s  ", static_cast<double>(e.at_ms) / 1000.0), kDim)
                        .add(printable(e.text), color_of(e.kind)));
  }
  while (lines.size() < rows - 1) lines.emplace_back();

  Line keys;
  const auto key = [&](const char* name, const std::string& what) {
    keys.add(name, kReverse).add(" " + what + (wide ? "  " : " "));
  };
  key(" e ", view.clusters[0].broken ? "mend east" : "break east");
  key(" w ", view.clusters[1].broken ? "mend west" : "break west");
  key(" h ", view.held ? "release" : "hold back");
  key(" d ", "discard lag");
  key(" p ", view.status.state == admin::PipelineState::paused ? "resume" : "pause");
  key(" q ", "quit");
  lines.push_back(std::move(keys));

  std::string frame = "\x1b[H";
  for (std::size_t i = 0; i < lines.size(); ++i) {
    frame += lines[i].cut(size.columns);
    frame += kReset;
    frame += "\x1b[K";
    if (i + 1 < lines.size()) frame += "\r\n";
  }
  return frame;
}

}  // namespace twinspan::gateway
