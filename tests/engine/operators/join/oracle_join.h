#pragma once
// The interval join as slowly and plainly as possible: every row ever is kept in a list, every question is a loop over
// it.

#include <algorithm>
#include <vector>

#include "tests/engine/operators/join/join_fixture.h"

namespace twinspan::engine::join_testing {

class OracleJoin {
 public:
  explicit OracleJoin(const IntervalJoinSpec& spec) : spec_(spec) {}

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
    raise();
    input_[0] = input_[1] = {kMaxTime, kMaxTime};
    expire();
    raise();
    results.watermark = watermark_;
  }
  std::size_t kept() const {
    std::size_t n = 0;
    for (unsigned s = 0; s < 2; ++s)
      for (const Row& r : rows_[s]) n += alive(s, r.in.time) && !r.gone;
    return n;
  }

  Results results;

 private:
  struct Row {
    JoinRowIn in;
    bool matched = false, gone = false;
  };

  bool left_join() const { return spec_.type == IntervalJoinSpec::Type::left; }
  bool first() const { return spec_.matches == IntervalJoinSpec::Matches::first; }
  bool alive(unsigned side, EventTime t) const {
    return side == 0 ? t > shift(input_[1].retention, -spec_.upper) : t > shift(input_[0].retention, spec_.lower);
  }
  bool matches(const JoinRowIn& l, const JoinRowIn& r) const {
    return l.key && r.key && *l.key == *r.key && l.time + spec_.lower <= r.time && r.time <= l.time + spec_.upper;
  }

  void raise() {
    Watermark w;
    const auto combine = [&](EventTime l, EventTime r) {
      if (spec_.time == IntervalJoinSpec::Time::left) return std::min(l, shift(r, -spec_.upper));
      return std::min(r, shift(l, left_join() && spec_.lower > 0 ? 0 : spec_.lower));
    };
    w.firing = combine(input_[0].firing, input_[1].firing);
    w.retention = combine(input_[0].retention, input_[1].retention);
    for (const Row& r : rows_[0]) {
      if (!left_join() || r.matched || r.gone) continue;
      w.firing = std::min(w.firing, r.in.time - 1);
      w.retention = std::min(w.retention, r.in.time - 1);
    }
    watermark_.retention = std::max(watermark_.retention, std::min(w.retention, w.firing));
    watermark_.firing = std::max({watermark_.firing, w.firing, watermark_.retention});
    results.watermark = watermark_;
  }

  void expire() {
    std::vector<Row*> dead;
    for (Row& r : rows_[0])
      if (!r.gone && !alive(0, r.in.time)) dead.push_back(&r);
    std::stable_sort(dead.begin(), dead.end(), [](const Row* a, const Row* b) { return a->in.time < b->in.time; });
    for (Row* r : dead) {
      r->gone = true;
      if (left_join() && !r->matched) results.pairs.push_back({r->in.id, -1, r->in.time, watermark_});
    }
  }

  void emit(const JoinRowIn& l, const JoinRowIn& r) {
    results.pairs.push_back({l.id, r.id, spec_.time == IntervalJoinSpec::Time::left ? l.time : r.time, watermark_});
  }

  void row(unsigned input, const JoinRowIn& in) {
    std::vector<Row*> found;
    for (Row& r : rows_[1 - input]) {
      if (r.gone || !alive(1 - input, r.in.time)) continue;
      if (input == 0 ? !matches(in, r.in) : !matches(r.in, in)) continue;
      if (input == 1 && first() && r.matched) continue;
      found.push_back(&r);
    }
    if (input == 0 && first() && found.size() > 1) found.resize(1);  // rows_ is in arrival order
    std::stable_sort(found.begin(), found.end(), [](const Row* a, const Row* b) { return a->in.time < b->in.time; });
    for (Row* r : found) {
      if (input == 0) {
        emit(in, r->in);
      } else {
        emit(r->in, in);
        r->matched = true;
      }
    }
    const bool matched = !found.empty();
    if (alive(input, in.time)) {
      rows_[input].push_back({in, matched, false});
      return;
    }
    const bool of_interest = in.key || (input == 0 && left_join());
    if (!matched && of_interest && in.time <= input_[input].retention)
      results.late.push_back(in.id);
    else if (!matched && input == 0 && left_join())
      results.pairs.push_back({in.id, -1, in.time, watermark_});
  }

  const IntervalJoinSpec spec_;
  std::vector<Row> rows_[2];
  Watermark input_[2], watermark_;
};

}  // namespace twinspan::engine::join_testing
