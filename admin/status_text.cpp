#include "admin/status_text.h"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <map>
#include <ostream>

#include "admin/text_table.h"
#include "admin/time_text.h"

namespace twinspan::admin {
namespace {

namespace json = boost::json;

// The server may be newer or older than this program: what is absent reads as unknown.
const json::value& member(const json::value& object, std::string_view key) {
  static const json::value kNull;
  if (!object.is_object()) return kNull;
  const json::value* found = object.as_object().if_contains(key);
  return found == nullptr ? kNull : *found;
}
std::string text(const json::value& object, std::string_view key) {
  const json::value& v = member(object, key);
  return v.is_string() ? std::string(v.as_string()) : "";
}
std::int64_t number(const json::value& object, std::string_view key) {
  const json::value& v = member(object, key);
  json::error_code error;
  const auto n = v.to_number<std::int64_t>(error);
  return error ? -1 : n;
}
double real(const json::value& object, std::string_view key) {
  const json::value& v = member(object, key);
  json::error_code error;
  const auto n = v.to_number<double>(error);
  return error ? 0 : n;
}
bool flag(const json::value& object, std::string_view key) {
  const json::value& v = member(object, key);
  return v.is_bool() && v.as_bool();
}
const json::array& list(const json::value& object, std::string_view key) {
  static const json::array kNone;
  const json::value& v = member(object, key);
  return v.is_array() ? v.as_array() : kNone;
}

std::string dash(std::string s) { return s.empty() ? "-" : s; }
std::string ago(std::int64_t at, std::int64_t now_ms) {
  return at < 0 ? "-" : format_duration(std::max<std::int64_t>(0, now_ms - at));
}
std::string time_or_dash(const json::value& object, std::string_view key) {
  return member(object, key).is_null() ? "-" : format_timestamp(number(object, key));
}

// "east up, west down"
std::string cluster_line(const json::value& of) {
  std::string out;
  for (const json::value& c : list(of, "clusters")) {
    out += (out.empty() ? "" : ", ") + text(c, "name") + ' ' + text(c, "state");
  }
  return dash(out);
}

std::string limit_text(const json::value& limits, std::string_view key, bool bytes) {
  const std::int64_t n = number(limits, key);
  if (n < 0) return "unlimited";
  if (n == 0) return "paused";
  return bytes ? format_bytes(static_cast<double>(n)) + "/s" : format_count(n) + " /s";
}

std::string target_text(const json::value& target) {
  if (flag(target, "latest")) return "latest";
  if (const std::int64_t ms = number(target, "timestamp"); ms >= 0) return format_timestamp(ms);
  return "keep last " + format_duration(number(target, "keep_last_ms"));
}

void print_ranges(const json::value& of, std::ostream& out) {
  TextTable table({"SOURCE", "CLUSTER", "TOPIC", ">PARTITION", ">FROM", ">TO", ">RECORDS", "SPAN"});
  for (const json::value& r : list(of, "ranges")) {
    const std::int64_t first = number(r, "first_at"), last = number(r, "last_at");
    const bool pending = flag(r, "pending");
    table.add({text(r, "source"), text(r, "cluster"), text(r, "topic"), std::to_string(number(r, "partition")),
               pending ? "pending" : std::to_string(number(r, "from")),
               pending ? "at return" : std::to_string(number(r, "to")),
               pending ? "-" : format_count(number(r, "records")),
               first >= 0 && last >= first ? format_duration(last - first) : "-"});
  }
  if (!table.empty()) table.print(out);
}

}  // namespace

std::string discard_amount(const json::value& of) {
  const std::int64_t pending = number(of, "pending_lanes");
  std::string amount = format_count(number(of, "records")) + " records";
  if (pending > 0)
    amount += fmt::format(", {} lane{} when {} cluster returns", pending, pending == 1 ? "" : "s",
                          pending == 1 ? "its" : "their");
  return amount;
}

void print_pipelines(const json::value& all, std::int64_t now_ms, std::ostream& out) {
  TextTable table({"PIPELINE", "STATE", ">LAG", ">RATE IN", "CLUSTERS", "SINKS", ">CHECKPOINT"});
  for (const json::value& p : list(all, "pipelines")) {
    std::int64_t lag = -1;
    double rate = 0;
    std::map<std::string, std::string> clusters;  // worst state over sources wins
    for (const json::value& s : list(p, "sources")) {
      if (const std::int64_t n = number(s, "lag_records"); n >= 0) lag = std::max<std::int64_t>(lag, 0) + n;
      rate += real(s, "records_per_s");
      for (const json::value& c : list(s, "clusters")) {
        std::string& state = clusters[text(c, "name")];
        if (state.empty() || text(c, "state") != "up") state = text(c, "state");
      }
    }
    std::string cluster_text, sink_text;
    for (const auto& [name, state] : clusters) cluster_text += (cluster_text.empty() ? "" : ", ") + name + ' ' + state;
    for (const json::value& s : list(p, "sinks")) {
      sink_text += (sink_text.empty() ? "" : ", ") + text(s, "name") + " -> " + dash(text(s, "active_cluster"));
      if (flag(s, "holding")) sink_text += " (holding)";
    }
    const std::int64_t at = number(member(p, "last_checkpoint"), "at");
    table.add({text(p, "name"), text(p, "state"), format_count(lag), format_rate(rate), dash(cluster_text),
               dash(sink_text), at < 0 ? "none" : ago(at, now_ms) + " ago"});
  }
  if (table.empty())
    out << "no pipelines\n";
  else
    table.print(out);
}

void print_pipeline(const json::value& p, std::int64_t now_ms, std::ostream& out) {
  out << text(p, "name") << ": " << text(p, "state");
  if (const std::int64_t since = number(p, "since_at"); since >= 0) out << " for " << ago(since, now_ms);
  if (const std::string reason = text(p, "reason"); !reason.empty()) out << " (" << reason << ')';
  out << ", " << dash(text(p, "delivery")) << ", " << number(p, "shards") << " shard"
      << (number(p, "shards") == 1 ? "" : "s") << '\n';
  const json::value& c = member(p, "last_checkpoint");
  if (number(c, "epoch") > 0) {
    out << "last checkpoint: epoch " << number(c, "epoch") << ", " << ago(number(c, "at"), now_ms) << " ago, took "
        << format_duration(number(c, "took_ms")) << ", " << format_bytes(real(c, "bytes")) << '\n';
  } else {
    out << "last checkpoint: none yet\n";
  }
  if (const std::string error = text(c, "last_error"); !error.empty()) out << "checkpoint error: " << error << '\n';
  out << "dead letters: " << format_count(number(p, "dead_letters"))
      << "   discarded: " << format_count(number(p, "discarded_records")) << "\n\n";

  TextTable sources({"SOURCE", "CLUSTER", "STATE", ">FOR", ">LAST DATA", ">LAG", ">LANES", "LAST ERROR"});
  TextTable rates({"SOURCE", ">RATE", ">BYTES", ">RECORDS", "LIMITS", "WATERMARK", "RETAINED FROM"});
  for (const json::value& s : list(p, "sources")) {
    for (const json::value& cluster : list(s, "clusters")) {
      std::int64_t lag = -1, lanes = 0;
      for (const json::value& lane : list(s, "lanes")) {
        if (text(lane, "cluster") != text(cluster, "name")) continue;
        ++lanes;
        if (const std::int64_t n = number(lane, "lag"); n >= 0) lag = std::max<std::int64_t>(lag, 0) + n;
      }
      sources.add({text(s, "name"), text(cluster, "name"), text(cluster, "state"),
                   ago(number(cluster, "since_at"), now_ms), format_duration(number(cluster, "last_data_ms_ago")),
                   format_count(lag), std::to_string(lanes), text(cluster, "last_error")});
    }
    const json::value& limits = member(s, "limits");
    const json::value& w = member(s, "watermark");
    rates.add({text(s, "name"), format_rate(real(s, "records_per_s")), format_bytes(real(s, "bytes_per_s")) + "/s",
               format_count(number(s, "records")),
               limit_text(limits, "records_per_s", false) + ", " + limit_text(limits, "bytes_per_s", true),
               time_or_dash(w, "firing"), time_or_dash(w, "retention")});
  }
  sources.print(out);
  out << '\n';
  rates.print(out);

  TextTable steps({"STEP", "KIND", ">IN", ">OUT", ">LATE", ">FAILED", ">STATE ROWS", ">STATE"});
  for (const json::value& s : list(p, "steps")) {
    const double limit = real(s, "state_budget");
    const std::string budget = limit > 0 ? " of " + format_bytes(limit) : "";
    steps.add({text(s, "id"), text(s, "kind"), format_count(number(s, "rows_in")), format_count(number(s, "rows_out")),
               format_count(number(s, "rows_late")), format_count(number(s, "rows_failed")),
               format_count(number(s, "state_rows")), format_bytes(real(s, "state_bytes")) + budget});
  }
  if (!steps.empty()) {
    out << '\n';
    steps.print(out);
  }
  TextTable sinks(
      {"SINK", "ROUTE", ">SWITCHES", ">LAST SWITCH", ">RATE", ">RECORDS", ">UNACKNOWLEDGED", "CLUSTERS", "REASON"});
  for (const json::value& s : list(p, "sinks")) {
    sinks.add({text(s, "name"), dash(text(s, "active_cluster")) + (flag(s, "holding") ? " (holding)" : ""),
               std::to_string(number(s, "switches")), format_duration(number(s, "last_switch_took_ms")),
               format_rate(real(s, "records_per_s")), format_count(number(s, "records")),
               format_bytes(real(s, "unacknowledged_bytes")), cluster_line(s), text(s, "route_reason")});
  }
  if (!sinks.empty()) {
    out << '\n';
    sinks.print(out);
  }
}

void print_lag(const json::value& p, bool partitions, std::ostream& out) {
  if (partitions) {
    TextTable table({"SOURCE", "CLUSTER", "TOPIC", ">PARTITION", ">POSITION", ">END", ">LAG", "WATERMARK", "NOTE"});
    for (const json::value& s : list(p, "sources")) {
      for (const json::value& l : list(s, "lanes")) {
        std::string note = text(l, "note");
        if (note.empty() && flag(l, "pending_cut")) note = "lag discard pending";
        if (note.empty() && flag(l, "stopped")) note = "stopped";
        const std::int64_t end = number(l, "end");
        table.add({text(s, "name"), text(l, "cluster"), text(l, "topic"), std::to_string(number(l, "partition")),
                   std::to_string(number(l, "position")), end < 0 ? "-" : std::to_string(end),
                   format_count(number(l, "lag")), time_or_dash(l, "watermark"), note});
      }
    }
    table.print(out);
    return;
  }
  TextTable table({"SOURCE", "CLUSTER", "STATE", ">LANES", ">LAG", ">LARGEST"});
  for (const json::value& s : list(p, "sources")) {
    for (const json::value& c : list(s, "clusters")) {
      std::int64_t lag = -1, largest = -1, lanes = 0;
      for (const json::value& l : list(s, "lanes")) {
        if (text(l, "cluster") != text(c, "name")) continue;
        ++lanes;
        const std::int64_t n = number(l, "lag");
        if (n < 0) continue;
        lag = std::max<std::int64_t>(lag, 0) + n;
        largest = std::max(largest, n);
      }
      table.add({text(s, "name"), text(c, "name"), text(c, "state"), std::to_string(lanes), format_count(lag),
                 format_count(largest)});
    }
  }
  table.print(out);
}

void print_throttle(const json::value& throttle, std::ostream& out) {
  TextTable table({"SOURCE", ">RECORDS", ">BYTES"});
  for (const json::value& s : list(throttle, "sources")) {
    table.add({text(s, "source"), limit_text(s, "records_per_s", false), limit_text(s, "bytes_per_s", true)});
  }
  table.print(out);
}

void print_plan(const json::value& plan, std::int64_t now_ms, std::ostream& out) {
  out << "plan " << text(plan, "plan") << " for " << text(plan, "pipeline") << ", to "
      << target_text(member(plan, "target")) << ", valid for "
      << format_duration(std::max<std::int64_t>(0, number(plan, "expires_at") - now_ms)) << '\n';
  print_ranges(plan, out);
  out << "drops " << discard_amount(plan);
  const std::int64_t first = number(plan, "first_at"), last = number(plan, "last_at");
  if (first >= 0 && last >= first) out << ", " << format_duration(last - first) << " of time";
  out << '\n';
  std::string steps;
  for (const json::value& s : list(plan, "touched_steps")) {
    if (s.is_string()) steps += (steps.empty() ? "" : ", ") + std::string(s.as_string());
  }
  if (!steps.empty()) out << "incomplete afterwards: " << steps << '\n';
}

void print_discard(const json::value& discard, std::ostream& out) {
  print_ranges(discard, out);
  out << "dropped " << discard_amount(discard) << " in " << format_duration(number(discard, "took_ms")) << " (discard "
      << text(discard, "id") << ")\n";
}

void print_discards(const json::value& all, std::ostream& out) {
  TextTable table({"DISCARD", "WHEN", "TARGET", ">RECORDS", ">PENDING", "DURABLE", "REASON"});
  for (const json::value& d : list(all, "discards")) {
    const std::int64_t epoch = number(d, "durable_in");
    table.add({text(d, "id"), time_or_dash(d, "executed_at"), target_text(member(d, "target")),
               format_count(number(d, "records")), std::to_string(number(d, "pending_lanes")),
               epoch < 0 ? "not yet" : fmt::format("epoch {}", epoch), text(d, "reason")});
  }
  if (table.empty())
    out << "nothing was discarded\n";
  else
    table.print(out);
}

}  // namespace twinspan::admin
