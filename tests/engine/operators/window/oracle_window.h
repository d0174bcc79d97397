#pragma once
// The slow, obvious window step: keeps every row, computes every result from all rows of its key. Shares no code with
// the engine but the specification. OracleWindow: tumbling, cumulate, sliding and global windows; OracleSessions:
// sessions. Windows lie as in UTC, unless `windows` says where those of a row are.

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/engine/operators/window/window_fixture.h"

namespace twinspan::testing {

// What all references have in common.
class OracleBase {
 public:
  explicit OracleBase(const WindowSpec& spec) : spec_(spec) {}
  std::vector<std::string> rows;
  std::vector<EventTime> late_rows;

 protected:
  std::string key_of(const Row& r) const {
    std::string k;
    for (const int c : spec_.key_columns)
      k += c == kName ? (r.name ? " '" + *r.name + "'" : " NULL") : fmt::format(" {}", r.shard);
    return k;
  }
  bool closed(EventTime end) const {
    return now_.retention != kMinTime && end - 1 + spec_.allow_lateness <= now_.retention;
  }
  static EventTime floor_to(EventTime t, std::int64_t unit, std::int64_t offset) {
    EventTime start = (t - offset) / unit * unit + offset;
    return start > t ? start - unit : start;
  }
  std::string line(const char* op, bool provisional, const char* mark, const std::string& window,
                   const std::vector<std::string>& values, EventTime time, Watermark before) const {
    std::string text = std::string(op) + (provisional ? "?" : "") + mark + window;
    for (const std::string& x : values) text += " " + x;
    const EventTime r = before.retention == kMinTime ? kMinTime : before.retention - spec_.allow_lateness;
    return text + fmt::format(" @{} after {}/{}", time, before.firing, r);
  }
  static std::int64_t sign(const Row& r) { return r.op == RowOp::update_before || r.op == RowOp::remove ? -1 : 1; }
  static bool is_distinct_count(const AggregateSpec& a) { return a.distinct && a.function == AggregateFunction::count; }
  bool passes(const AggregateSpec& a, const Row& r) const { return a.filter < 0 || (r.ok && *r.ok); }
  std::string argument(const AggregateSpec& a, const Row& r) const {
    switch (a.argument) {
      case kV: return r.v ? fmt::format("{}", *r.v) : "";
      case kDevice: return r.device ? "'" + *r.device + "'" : "";
      case kRatio: return r.ratio ? fmt::format("{}", *r.ratio) : "";
      default: return r.price ? fmt::format("{}", *r.price) : "";
    }
  }

  std::string value_of(const AggregateSpec& a, const std::vector<const Row*>& counted) const {
    std::vector<const Row*> in;
    for (const Row* r : counted) {
      if (!passes(a, *r) || (a.argument >= 0 && argument(a, *r).empty())) continue;
      if (sign(*r) > 0) {
        in.push_back(r);
        continue;
      }
      const auto former = std::find_if(
          in.begin(), in.end(), [&](const Row* x) { return a.argument < 0 || argument(a, *x) == argument(a, *r); });
      TS_CHECK(former != in.end());
      in.erase(former);
    }
    const auto n = static_cast<std::int64_t>(in.size());
    if (a.function == AggregateFunction::count || a.function == AggregateFunction::approx_count_distinct) {
      if (!a.distinct && a.function == AggregateFunction::count) return fmt::format("{}", n);
      std::set<std::string> values;
      for (const Row* r : in) values.insert(argument(a, *r));
      return fmt::format("{}", values.size());
    }
    if (a.function == AggregateFunction::top_k) return top_of(a, in);
    if (n == 0) return "NULL";
    if (a.function >= AggregateFunction::first && a.function <= AggregateFunction::max_by) return picked(a, in);
    if (a.function == AggregateFunction::percentile) return percentile(a, in);
    if (a.function == AggregateFunction::string_agg || a.function == AggregateFunction::array_agg) return list(a, in);
    if (a.function == AggregateFunction::min || a.function == AggregateFunction::max) {
      auto less = [&](const Row* x, const Row* y) {
        if (a.argument == kDevice) return *x->device < *y->device;
        if (a.argument == kRatio) return *x->ratio < *y->ratio;
        return a.argument == kV ? *x->v < *y->v : *x->price < *y->price;
      };
      const Row* r = a.function == AggregateFunction::min ? *std::min_element(in.begin(), in.end(), less)
                                                          : *std::max_element(in.begin(), in.end(), less);
      if (a.argument == kPrice) return decimal_to_string(*r->price, 2);
      return a.argument == kRatio ? fmt::format("{:.9g}", *r->ratio) : argument(a, *r);
    }
    double ratio = 0;
    std::int64_t v = 0, price = 0;
    for (const Row* r : in) {
      if (r->ratio) ratio += *r->ratio;
      if (r->v) v += *r->v;
      if (r->price) price += *r->price;
    }
    const bool sum = a.function == AggregateFunction::sum;
    if (a.argument == kRatio) return fmt::format("{:.9g}", sum ? ratio : ratio / static_cast<double>(n));
    if (a.argument == kV)
      return sum ? fmt::format("{}", v) : fmt::format("{:.9g}", static_cast<double>(v) / static_cast<double>(n));
    if (sum) return decimal_to_string(price, 2);
    const std::int64_t micro = price * 10'000;
    const std::int64_t up = (std::abs(micro) * 2 + n) / (2 * n);
    return decimal_to_string(micro < 0 ? -up : up, 6);
  }

  // `by` is v or nothing.
  std::string picked(const AggregateSpec& a, const std::vector<const Row*>& in) const {
    const Row* best = nullptr;
    for (const Row* r : in) {
      if (a.by >= 0 && !r->v) continue;
      bool better = best == nullptr;
      if (!better) {
        switch (a.function) {
          case AggregateFunction::first: better = r->time < best->time; break;
          case AggregateFunction::last: better = r->time >= best->time; break;
          case AggregateFunction::min_by: better = std::pair(*r->v, r->time) < std::pair(*best->v, best->time); break;
          default: better = std::pair(-*r->v, r->time) < std::pair(-*best->v, best->time);
        }
      }
      if (better) best = r;
    }
    if (best == nullptr) return "NULL";
    return a.argument == kPrice ? decimal_to_string(*best->price, 2) : argument(a, *best);
  }

  // The middle of the bucket of the value with this rank: 64 to a power of two.
  std::string percentile(const AggregateSpec& a, const std::vector<const Row*>& in) const {
    std::vector<double> values;
    for (const Row* r : in)
      values.push_back(a.argument == kRatio ? *r->ratio
                       : a.argument == kV   ? static_cast<double>(*r->v)
                                            : static_cast<double>(*r->price));
    std::sort(values.begin(), values.end());
    const double v = values[static_cast<std::size_t>(a.parameters.fraction * static_cast<double>(values.size() - 1))];
    if (v == 0) return "0";
    int exponent = 0;
    const double part = std::floor(std::frexp(std::abs(v), &exponent) * 128);  // 64 to 127
    const double low = std::ldexp(part, exponent - 7), high = std::ldexp(part + 1, exponent - 7);
    const double middle = 2 * low * high / (low + high) / (a.argument == kPrice ? 100 : 1);
    return fmt::format("{:.9g}", v < 0 ? -middle : middle);
  }

  // Of the device, whose text needs no escapes.
  static std::string top_of(const AggregateSpec& a, const std::vector<const Row*>& in) {
    std::map<std::string, std::int64_t> counts;
    for (const Row* r : in) ++counts[*r->device];
    std::vector<std::pair<std::int64_t, std::string>> order;
    for (const auto& [v, n] : counts) order.emplace_back(-n, v);
    std::sort(order.begin(), order.end());
    std::string out;
    for (std::size_t i = 0; i < order.size() && i < static_cast<std::size_t>(a.parameters.number); ++i)
      out += fmt::format("{}{{\"value\":\"{}\",\"count\":{},\"error\":0}}", i == 0 ? "" : ",", order[i].second,
                         -order[i].first);
    return "[" + out + "]";
  }
  static std::string list(const AggregateSpec& a, std::vector<const Row*> in) {
    std::stable_sort(in.begin(), in.end(), [](const Row* x, const Row* y) { return x->time < y->time; });
    std::vector<std::string> values;
    for (const Row* r : in)
      if (!a.distinct || std::find(values.begin(), values.end(), *r->device) == values.end())
        values.push_back(*r->device);
    if (values.size() > static_cast<std::size_t>(a.parameters.number))
      values.resize(static_cast<std::size_t>(a.parameters.number));
    const bool json = a.function == AggregateFunction::array_agg;
    return json ? fmt::format("[\"{}\"]", fmt::join(values, "\",\""))
                : fmt::format("'{}'", fmt::join(values, a.parameters.text));
  }

  const WindowSpec spec_;
  Watermark now_;
};

class OracleWindow : public OracleBase {
 public:
  using OracleBase::OracleBase;

  void run(const std::vector<Event>& events) {
    for (const Event& e : events) {
      if (e.at != now_) step(e.at);
      if (e.is_row) take(e.row);
    }
    step({kMaxTime, kMaxTime});
  }

  // Where the windows of a row at this time are: start and end, in order.
  std::function<std::vector<std::pair<EventTime, EventTime>>(EventTime)> windows = [this](EventTime t) {
    std::vector<std::pair<EventTime, EventTime>> out;
    if (spec_.kind == WindowKind::global) return out = {{kMinTime, kMaxTime}};
    const std::int64_t unit = spec_.kind == WindowKind::sliding ? spec_.every : spec_.size;
    for (EventTime start = floor_to(t, unit, spec_.offset); start > t - spec_.size; start -= unit)
      out.insert(out.begin(), {start, start + spec_.size});
    return out;
  };

 private:
  struct Held {
    Row row;
    EventTime pane;     // the end of the first pane that it counts in
    bool told = false;  // discarding: in a record already
  };
  struct Result {
    bool changed = false, emitted = false;
    std::vector<std::string> last;            // values of the last record
    std::vector<std::int64_t> distinct_told;  // discarding
  };
  struct PaneOracle {
    bool fired = false;
    std::map<std::string, Result> results;
  };
  struct WindowOracle {
    EventTime start = 0, end = 0;
    std::vector<std::string> keys;  // in order of arrival
    std::map<std::string, std::vector<Held>> rows;
    std::map<EventTime, PaneOracle> panes;
  };

  void take(const Row& r) {
    newest_ = std::max(newest_, r.time);
    bool counted = false;
    for (const auto& [start, end] : windows(r.time)) counted |= take(r, start, end);
    if (!counted) late_rows.push_back(r.time);
  }

  bool take(const Row& r, EventTime start, EventTime end) {
    EventTime pane = end;
    if (spec_.kind == WindowKind::cumulate) {
      pane = start + spec_.every;
      while (pane <= r.time || (pane < end && closed(pane))) pane += spec_.every;
      pane = std::min(pane, end);
    }
    if (end != kMaxTime && closed(pane)) return false;
    WindowOracle& w = windows_[end];
    w.start = start;
    w.end = end;
    const std::string key = key_of(r);
    if (!w.rows.contains(key)) w.keys.push_back(key);
    auto& held = w.rows[key];
    if (!w.panes.contains(pane)) w.panes[pane].fired = now_.firing >= pane - 1;
    if (spec_.mode == EmitMode::discarding) {
      // A DISTINCT value that now counts in an earlier step counts one less in the later one.
      std::map<EventTime, std::vector<std::int64_t>> before;
      for (auto& [e, p] : w.panes) before[e] = distinct_counts(held, e);
      held.push_back({r, pane});
      for (auto& [e, p] : w.panes)
        if (e > pane && before[e] != distinct_counts(held, e)) p.results[key].changed = true;
    } else {
      held.push_back({r, pane});
      for (auto& [e, p] : w.panes)
        if (e > pane && p.fired && p.results.contains(key)) p.results[key].changed = true;
    }
    w.panes[pane].results[key].changed = true;
    return true;
  }

  void step(Watermark to) {
    const Watermark before = now_;
    now_ = to;
    for (auto w = windows_.begin(); w != windows_.end();) {
      for (auto& [end, pane] : w->second.panes) {
        const bool complete = to.retention >= end - 1;
        if (!pane.fired && to.firing >= end - 1) {
          pane.fired = true;
          EventTime time = end - 1;
          if (end == kMaxTime)  // the input ends: for the next moment
            time = before.firing == kMinTime ? newest_
                                             : floor_to(before.firing + 1, spec_.early, spec_.offset) + spec_.early - 1;
          fire(w->second, end, pane, !complete, before, time);
        } else if (pane.fired) {
          if (complete) fire(w->second, end, pane, false, before);
        } else if (spec_.kind == WindowKind::global) {
          const EventTime moment = floor_to(to.firing + 1, spec_.early, spec_.offset);
          if (before.firing < moment - 1) fire(w->second, end, pane, to.retention < moment - 1, before, moment - 1);
        } else if (spec_.kind != WindowKind::cumulate && spec_.early > 0) {
          EventTime moment = kMinTime;
          for (EventTime m = w->second.start + spec_.early; m < end; m += spec_.early)
            if (before.firing < m - 1 && to.firing >= m - 1) moment = m;
          if (moment != kMinTime) fire(w->second, end, pane, to.retention < moment - 1, before);
        }
      }
      w = w->first != kMaxTime && closed(w->first) ? windows_.erase(w) : std::next(w);
    }
  }

  void fire(WindowOracle& w, EventTime end, PaneOracle& pane, bool provisional, Watermark before) {
    fire(w, end, pane, provisional, before, end - 1);
  }
  void fire(WindowOracle& w, EventTime end, PaneOracle& pane, bool provisional, Watermark before, EventTime time) {
    for (const std::string& key : w.keys) {
      const auto found = pane.results.find(key);
      if (found == pane.results.end() || !found->second.changed) continue;
      Result& result = found->second;
      std::vector<Held>& all = w.rows[key];
      std::vector<const Row*> counted;
      for (Held& h : all) {
        if (spec_.mode == EmitMode::discarding ? h.pane == end && !h.told : h.pane <= end) counted.push_back(&h.row);
        if (h.pane == end) h.told = true;
      }
      std::vector<std::string> values;
      std::vector<std::int64_t> distinct = distinct_counts(all, end);
      for (std::size_t a = 0; a < spec_.aggregates.size(); ++a) {
        if (is_distinct_count(spec_.aggregates[a]) && spec_.mode == EmitMode::discarding) {
          result.distinct_told.resize(spec_.aggregates.size());
          values.push_back(fmt::format("{}", distinct[a] - result.distinct_told[a]));
        } else {
          values.push_back(value_of(spec_.aggregates[a], counted));
        }
      }
      result.distinct_told = distinct;
      auto say = [&](const char* op, const std::vector<std::string>& v, const char* mark = "") {
        const std::string window = end == kMaxTime ? " NULL NULL" : fmt::format(" {} {}", w.start, end);
        rows.push_back(line(op, provisional, mark, key + window, v, time, before));
      };
      const bool again = result.emitted && spec_.mode != EmitMode::discarding;
      if (spec_.updating && spec_.mode != EmitMode::discarding) {
        std::int64_t left = 0;
        for (const Row* r : counted) left += sign(*r);
        if (left <= 0) {
          if (again) say("-D", result.last);
          result.emitted = result.changed = false;
          continue;
        }
      }
      if (again && spec_.mode == EmitMode::retracting) say("-U", result.last);
      if (again && spec_.mode != EmitMode::retracting && spec_.feeds_steps) say("-U", result.last, "s");
      say(again ? "+U" : "+I", values);
      result.last = values;
      result.emitted = true;
      result.changed = false;
    }
  }

  // Of each DISTINCT aggregate: values that count first in the pane that ends then.
  std::vector<std::int64_t> distinct_counts(const std::vector<Held>& all, EventTime end) const {
    std::vector<std::int64_t> out(spec_.aggregates.size());
    for (std::size_t a = 0; a < spec_.aggregates.size(); ++a) {
      if (!is_distinct_count(spec_.aggregates[a])) continue;
      std::map<std::string, EventTime> first;
      for (const Held& h : all) {
        const std::string v = argument(spec_.aggregates[a], h.row);
        if (v.empty() || !passes(spec_.aggregates[a], h.row)) continue;
        auto [at, fresh] = first.emplace(v, h.pane);
        if (!fresh) at->second = std::min(at->second, h.pane);
      }
      for (const auto& [v, pane] : first) out[a] += pane == end ? 1 : 0;
    }
    return out;
  }

  std::map<EventTime, WindowOracle> windows_;
  EventTime newest_ = kMinTime;
};

class OracleSessions : public OracleBase {
 public:
  using OracleBase::OracleBase;

  void run(const std::vector<Event>& events) {
    for (const Event& e : events) {
      if (e.at != now_) step(e.at);
      if (e.is_row) take(e.row);
    }
    step({kMaxTime, kMaxTime});
  }

 private:
  struct Held {
    Row row;
    bool told = false;
  };
  struct Session {
    std::string key;
    EventTime start = 0, end = 0;
    std::vector<Held> held;
    bool fired = false, changed = false, emitted = false;
    std::vector<std::string> last;
    std::vector<std::int64_t> distinct_told;
  };

  void take(const Row& r) {
    Session merged;
    merged.key = key_of(r);
    merged.start = r.time;
    merged.end = r.time + spec_.size;
    merged.distinct_told.resize(spec_.aggregates.size());
    std::vector<Session> met, others;
    for (Session& s : sessions_) {
      const bool meets = s.key == merged.key && s.start < r.time + spec_.size && r.time < s.end;
      (meets ? met : others).push_back(std::move(s));
    }
    for (const Session& s : met) {
      merged.start = std::min(merged.start, s.start);
      merged.end = std::max(merged.end, s.end);
    }
    sessions_ = std::move(others);
    if (met.empty() && closed(merged.end)) {
      late_rows.push_back(r.time);
      return;
    }
    for (const Session& s : met) {
      const bool same = s.start == merged.start && s.end == merged.end;
      if (same) {
        merged.emitted = s.emitted;
        merged.last = s.last;
      } else if (s.emitted && spec_.mode != EmitMode::discarding) {
        say("-D", s, now_.retention < s.end - 1, "", s.last, now_);
      }
      merged.held.insert(merged.held.end(), s.held.begin(), s.held.end());
      for (std::size_t a = 0; a < merged.distinct_told.size(); ++a) merged.distinct_told[a] += s.distinct_told[a];
    }
    merged.held.push_back({r});
    merged.changed = true;
    merged.fired = now_.firing >= merged.end - 1;
    sessions_.push_back(std::move(merged));
  }

  void step(Watermark to) {
    const Watermark before = now_;
    now_ = to;
    const EventTime moment =
        spec_.early == 0 || to.firing == kMaxTime ? kMinTime : floor_to(to.firing + 1, spec_.early, spec_.offset);
    for (Session& s : sessions_) {
      if (!s.fired && to.firing >= s.end - 1) {
        s.fired = true;
        if (s.changed) fire(s, to.retention < s.end - 1, before);
      } else if (s.fired) {
        if (s.changed && to.retention >= s.end - 1) fire(s, false, before);
      } else if (spec_.early > 0 && before.firing < moment - 1 && s.changed) {
        fire(s, to.retention < moment - 1, before);
      }
    }
    std::erase_if(sessions_, [&](const Session& s) { return closed(s.end); });
  }

  void say(const char* op, const Session& s, bool provisional, const char* mark, const std::vector<std::string>& v,
           Watermark before) {
    rows.push_back(line(op, provisional, mark, s.key + fmt::format(" {} {}", s.start, s.end), v, s.end - 1, before));
  }

  void fire(Session& s, bool provisional, Watermark before) {
    std::vector<const Row*> all, counted;
    for (Held& h : s.held) {
      all.push_back(&h.row);
      if (spec_.mode != EmitMode::discarding || !h.told) counted.push_back(&h.row);
      h.told = true;
    }
    std::vector<std::string> values;
    for (std::size_t a = 0; a < spec_.aggregates.size(); ++a) {
      if (is_distinct_count(spec_.aggregates[a]) && spec_.mode == EmitMode::discarding) {
        const std::int64_t now = std::stoll(value_of(spec_.aggregates[a], all));
        values.push_back(fmt::format("{}", now - s.distinct_told[a]));
        s.distinct_told[a] = now;
      } else {
        values.push_back(value_of(spec_.aggregates[a], counted));
      }
    }
    const bool again = s.emitted && spec_.mode != EmitMode::discarding;
    if (again && spec_.mode == EmitMode::retracting) say("-U", s, provisional, "", s.last, before);
    if (again && spec_.mode != EmitMode::retracting && spec_.feeds_steps)
      say("-U", s, provisional, "s", s.last, before);
    say(again ? "+U" : "+I", s, provisional, "", values, before);
    s.last = values;
    s.emitted = true;
    s.changed = false;
  }

  std::vector<Session> sessions_;
};

}  // namespace twinspan::testing
