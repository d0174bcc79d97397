#pragma once
// The interval join as slowly and plainly as possible: every row ever is kept in a list, every question is a loop over
// it.

#include <algorithm>
#include <deque>
#include <functional>
#include <vector>

#include "tests/engine/operators/join/join_fixture.h"

namespace twinspan::engine::join_testing {

// 1 a match, 0 none, -1 an error, of two rows with equal keys and times within the bounds.
using Condition = std::function<int(const JoinRowIn& left, const JoinRowIn& right)>;

class OracleJoin {
 public:
  // `slice_ms`: of the sides' rows that wait; the output watermark is held at the beginning of a slice.
  OracleJoin(const IntervalJoinSpec& spec, Condition condition, std::int64_t left_slice_ms, std::int64_t right_slice_ms)
      : spec_(spec), condition_(std::move(condition)), slice_ms_{left_slice_ms, right_slice_ms} {}

  void event(const Event& e) {
    raise();
    Watermark w = e.before;
    w.retention = shift(w.retention, -spec_.allow);
    input_[e.input].firing = std::max(input_[e.input].firing, w.firing);
    input_[e.input].retention = std::max(input_[e.input].retention, w.retention);
    expire();
    raise();
    if (e.row) row(e.input, *e.row);
  }
  void finish() {
    for (Watermark& w : input_) {
      raise();
      w = {kMaxTime, kMaxTime};
      expire();
    }
    raise();
    results.watermark = watermark_;
  }

  Results results;

 private:
  using Type = IntervalJoinSpec::Type;
  struct Row {
    JoinRowIn in;
    bool matched = false;  // some result has it
    bool out = false;      // went out unmatched; a match takes that back
    bool gone = false;     // has nothing to wait for
    bool closed = false;   // `earliest`: right rows
    std::size_t arrival = 0;
  };

  bool is(std::initializer_list<Type> types) const {
    return std::find(types.begin(), types.end(), spec_.type) != types.end();
  }
  bool outer(unsigned side) const {
    return side == 0 ? is({Type::left, Type::full, Type::anti}) : is({Type::right, Type::full});
  }
  bool left_only() const { return is({Type::semi, Type::anti}); }
  bool earliest() const { return spec_.matches == IntervalJoinSpec::Matches::earliest; }
  bool once() const { return left_only() || spec_.matches != IntervalJoinSpec::Matches::all; }
  bool of_left() const { return spec_.time == IntervalJoinSpec::Time::left; }
  bool early() const { return spec_.provisional || spec_.emit_unmatched_after; }
  bool waits(unsigned side, const Row& r) const {
    return !r.matched && !r.out && !r.gone && (outer(side) || (side == 0 && earliest()));
  }
  EventTime horizon(unsigned side) const {  // rows up to here are dead
    if (side == 0) return shift(input_[1].retention, -spec_.upper);
    const EventTime h = shift(input_[0].retention, spec_.lower);
    return earliest() ? std::min(h, input_[1].retention) : h;
  }
  EventTime due_through(unsigned side) const {  // unmatched rows up to here go out
    if (!early()) return horizon(side);
    std::int64_t after = side == 0 ? spec_.upper : -spec_.lower;
    if (spec_.emit_unmatched_after) after = std::min(after, *spec_.emit_unmatched_after);
    return std::max(horizon(side), shift(input_[1 - side].firing, -after));
  }
  bool in_reach(const JoinRowIn& l, const JoinRowIn& r) const {
    return l.key && r.key && *l.key == *r.key && l.time + spec_.lower <= r.time && r.time <= l.time + spec_.upper;
  }

  // What a row that waits since `time` lets the output watermark reach, if everything up to `through` is out.
  EventTime held_at(EventTime time, EventTime through, std::int64_t slice_ms) const {
    const auto slice = [&](EventTime t) { return t / slice_ms - (t % slice_ms < 0); };
    const std::int64_t next = slice(through) + 1;
    const bool by_slice = slice(time) >= next && slice(time) - next < 1024;
    return (by_slice ? slice(time) * slice_ms : time) - 1;
  }

  void raise() {
    const auto combine = [&](EventTime l, EventTime r) {
      const EventTime pairs = of_left() ? std::min(l, shift(r, -spec_.upper)) : std::min(r, shift(l, spec_.lower));
      EventTime w = pairs;
      if (outer(0)) w = std::min(w, l);
      if (outer(1)) w = std::min(w, r);
      if (early() && outer(0)) w = std::min(w, shift(r, -spec_.upper));
      if (early() && outer(1)) w = std::min(w, shift(l, spec_.lower));
      return w;
    };
    Watermark w{combine(input_[0].firing, input_[1].firing), combine(input_[0].retention, input_[1].retention)};
    if (!early()) {
      const auto hold = [&](EventTime at) {
        w.firing = std::min(w.firing, at);
        w.retention = std::min(w.retention, at);
      };
      EventTime first[2] = {kMaxTime, kMaxTime}, unclosed = kMaxTime;
      for (unsigned s = 0; s < 2; ++s)
        for (const Row& r : rows_[s]) {
          if (waits(s, r)) first[s] = std::min(first[s], r.in.time);
          if (s == 1 && !r.closed) unclosed = std::min(unclosed, r.in.time);
        }
      if (first[0] != kMaxTime && (outer(0) || of_left())) hold(held_at(first[0], due_through(0), slice_ms_[0]));
      if (first[1] != kMaxTime) hold(held_at(first[1], due_through(1), slice_ms_[1]));
      if (earliest() && !of_left() && unclosed != kMaxTime) hold(held_at(unclosed, input_[1].retention, slice_ms_[1]));
    }
    watermark_.retention = std::max(watermark_.retention, std::min(w.retention, w.firing));
    watermark_.firing = std::max({watermark_.firing, w.firing, watermark_.retention});
    results.watermark = watermark_;
  }

  // In order of (time, arrival).
  template <class F>
  std::vector<Row*> select(unsigned side, F&& which) {
    std::vector<Row*> out;
    for (Row& r : rows_[side])
      if (which(r)) out.push_back(&r);
    std::stable_sort(out.begin(), out.end(), [](const Row* a, const Row* b) { return a->in.time < b->in.time; });
    return out;
  }

  // Those that meet the condition. A failure is counted once for whoever asks.
  std::vector<Row*> test(const std::vector<Row*>& rows, const std::function<int(const JoinRowIn&)>& ask) {
    std::vector<Row*> out;
    bool failed = false;
    for (Row* r : rows) {
      const int verdict = ask(r->in);
      failed |= verdict < 0;
      if (verdict > 0) out.push_back(r);
    }
    results.failed += failed;
    return out;
  }

  void emit(const JoinRowIn* l, const JoinRowIn* r, EventTime time, std::uint8_t flags = 0) {
    const bool right = r != nullptr && !left_only();
    results.pairs.push_back({l != nullptr ? l->id : -1, right ? r->id : -1, time, watermark_, flags});
  }
  void emit_unmatched(unsigned side, const JoinRowIn& in, std::uint8_t flags) {
    emit(side == 0 ? &in : nullptr, side == 1 ? &in : nullptr, in.time, flags);
  }

  void expire() {
    if (earliest()) {
      for (Row* r : select(1, [&](const Row& r) { return !r.closed && r.in.time <= input_[1].retention; })) {
        r->closed = true;
        const auto found = test(select(0, [&](const Row& l) { return waits(0, l) && in_reach(l.in, r->in); }),
                                [&](const JoinRowIn& l) { return condition_(l, r->in); });
        for (Row* l : found) {
          emit(&l->in, &r->in, of_left() ? l->in.time : r->in.time);
          l->matched = l->gone = r->matched = true;
        }
      }
    }
    for (unsigned s = 0; s < 2; ++s) {
      for (Row* r : select(s, [&](const Row& r) { return waits(s, r) && r.in.time <= due_through(s); })) {
        const bool dead = r->in.time <= horizon(s);
        r->gone = dead;
        r->out = !dead;
        if (outer(s)) emit_unmatched(s, r->in, dead ? 0 : kProvisionalFlag);
      }
    }
  }

  void row(unsigned input, const JoinRowIn& in) {
    const unsigned other = 1 - input;
    const bool takes_now = !earliest() || input == 0 || in.time <= input_[1].retention;
    std::vector<Row*> found;
    if (takes_now) {
      const auto meets = [&](const Row& r) {
        if (input == 0)
          return in_reach(in, r.in) && r.in.time > shift(input_[0].retention, spec_.lower) &&
                 (!earliest() || r.in.time <= input_[1].retention);
        return in_reach(r.in, in) && r.in.time > horizon(0) && !(once() && r.gone);
      };
      found = test(select(other, meets),
                   [&](const JoinRowIn& o) { return input == 0 ? condition_(in, o) : condition_(o, in); });
    }
    if (input == 0 && once() && found.size() > 1) {
      if (!earliest())
        found[0] = *std::min_element(found.begin(), found.end(),
                                     [](const Row* a, const Row* b) { return a->arrival < b->arrival; });
      found.resize(1);
    }
    for (Row* r : found) {
      if (outer(other) && r->out && !r->matched) emit_unmatched(other, r->in, static_cast<std::uint8_t>(RowOp::remove));
      const JoinRowIn& l = input == 0 ? in : r->in;
      const JoinRowIn& right = input == 0 ? r->in : in;
      if (spec_.type != Type::anti) emit(&l, &right, of_left() ? l.time : right.time);
      r->matched = true;
      if (other == 0 && once()) r->gone = true;
    }
    const bool matched = !found.empty();
    Row kept{in, matched, false, input == 0 && matched && once(), in.time <= input_[1].retention, rows_[input].size()};
    if (in.time > horizon(input)) {
      if (waits(input, kept) && outer(input) && early() && in.time <= due_through(input)) {
        kept.out = true;
        emit_unmatched(input, in, kProvisionalFlag);
      }
      if (in.key || outer(input)) rows_[input].push_back(kept);
      return;
    }
    if (matched || !(in.key || outer(input))) {
      return;
    }
    if (in.time <= input_[input].retention)
      results.late.push_back(in.id);
    else if (outer(input))
      emit_unmatched(input, in, 0);
  }

  const IntervalJoinSpec spec_;
  const Condition condition_;
  const std::int64_t slice_ms_[2];
  std::deque<Row> rows_[2];  // addresses stay
  Watermark input_[2], watermark_;
};

}  // namespace twinspan::engine::join_testing
