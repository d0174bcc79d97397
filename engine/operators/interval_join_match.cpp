// Rows: what each of a batch finds on the other side, and what is kept of it.
#include <algorithm>

#include <xxhash.h>

#include "engine/operators/interval_join.h"

namespace twinspan::engine {

namespace {

EventTime after(EventTime t) { return t == kMaxTime ? t : t + 1; }

constexpr std::size_t kTreePortion = 512;  // rows of a hot key that are looked at together

}  // namespace

// Keys, hashes and time ranges of a group, and everything the probes will touch on its way into the caches.
void IntervalJoin::look_up(std::uint32_t begin, unsigned n) {
  const Batch& batch = work_.batch;
  const unsigned input = work_.input;
  const RowCodec& codec = key_codec_[input];
  std::size_t sizes[kGroup], total = 0;
  for (unsigned i = 0; i < n; ++i) total += sizes[i] = codec.encoded_size(batch, begin + i);
  if (keys_.size() < total) keys_.resize(total);
  char* to = keys_.data();
  Watermark before = input_[input];
  const std::int64_t down = input == 0 ? spec_.lower : -spec_.upper, up = input == 0 ? spec_.upper : -spec_.lower;
  for (unsigned i = 0; i < n; ++i) {
    const std::uint32_t row = begin + i;
    Probe& p = probes_[i];
    codec.encode(batch, row, to);
    p.key = {to, sizes[i]};
    to += sizes[i];
    p.hash = batch.hash != nullptr ? batch.hash[row] : XXH3_64bits(p.key.data(), p.key.size());
    p.null_key = codec.any_null(batch, row);
    p.matches = -1;
    __builtin_prefetch(sides_[1 - input].line_of(p.hash));
    __builtin_prefetch(sides_[input].line_of(p.hash), 1);
    if (batch.firing != nullptr) before.firing = std::max(before.firing, batch.firing[row]);
    if (batch.retention != nullptr)
      before.retention = std::max(before.retention, shift(batch.retention[row], -spec_.allow));
    p.before = before;
    // Of the other side only what the row's own watermark has left alive.
    const EventTime time = std::max(batch.time[row], after(before.retention));
    p.low = shift(time, down);
    p.high = shift(batch.time[row], up);
    if (before.retention == kMaxTime) p.high = kMinTime;
    if (earliest()) {
      // A left row takes of those that are closed, at once; a right row is taken as it is closed.
      if (input == 0)
        p.high = std::min(p.high, input_[1].retention);
      else if (batch.time[row] > before.retention)
        p.high = kMinTime;
    }
  }
  JoinSide& other = sides_[1 - input];
  for (unsigned i = 0; i < n; ++i) {
    Probe& p = probes_[i];
    p.at = 0;
    p.tree = nullptr;
    if (p.null_key || p.low > p.high) continue;
    const JoinSide::Rows rows = other.rows_of(p.hash);
    p.at = rows.newest;
    p.tree = rows.tree;
    if (p.at == 0) continue;
    if (other.log().is_spilled(p.at)) [[unlikely]] {
      other.log().want(p.at);
      continue;
    }
    const char* row = reinterpret_cast<const char*>(other.at(p.at));
    __builtin_prefetch(row);
    __builtin_prefetch(row + 64);
  }
}

// All chains of the group one step at a time, so that their misses overlap (after AMAC, Kocberber 2015).
void IntervalJoin::walk_chains(unsigned n) {
  JoinSide& other = sides_[1 - work_.input];
  candidates_.clear();
  unsigned active[kGroup];
  unsigned actives = 0, steps = 0;
  for (unsigned i = 0; i < n; ++i) {
    if (probes_[i].at != 0) active[actives++] = i;
  }
  while (actives > 0) {
    other.log().fetch_wanted();
    steps += actives;
    unsigned left = 0;
    for (unsigned k = 0; k < actives; ++k) {
      Probe& p = probes_[active[k]];
      JoinRow* row = other.at(p.at);
      if (row->time >= p.low && row->time <= p.high && JoinSide::counts(row) && row->key() == p.key) {
        const char* kept = row->kept_data();
        __builtin_prefetch(kept + 64);
        candidates_.push_back({p.at, row, p.matches, work_.group + active[k]});
        p.matches = static_cast<std::int32_t>(candidates_.size() - 1);
      }
      p.at = other.previous(row);
      if (p.at == 0) continue;
      active[left++] = active[k];
      if (other.log().is_spilled(p.at)) [[unlikely]] {
        other.log().want(p.at);
        continue;
      }
      const char* next = reinterpret_cast<const char*>(other.at(p.at));
      __builtin_prefetch(next);
      __builtin_prefetch(next + 64);
    }
    actives = left;
  }
  visited_ += steps;
  fuel_ -= steps;
}

// The condition on all candidates of the group; those that are gone by the time their row comes are left out then.
void IntervalJoin::test_candidates() {
  condition_errors_.clear();
  std::uint32_t rows[JoinCondition::kPairs];
  const char* stored[JoinCondition::kPairs];
  std::uint8_t verdicts[JoinCondition::kPairs];
  for (std::size_t begin = 0; begin < candidates_.size(); begin += JoinCondition::kPairs) {
    const auto n = static_cast<std::uint32_t>(std::min<std::size_t>(JoinCondition::kPairs, candidates_.size() - begin));
    for (std::uint32_t i = 0; i < n; ++i) {
      rows[i] = candidates_[begin + i].incoming;
      stored[i] = candidates_[begin + i].row->kept_data();
    }
    errors_.clear();
    condition_->test(work_.batch, work_.input, rows, stored, n, verdicts, errors_);
    for (std::uint32_t i = 0; i < n; ++i) candidates_[begin + i].passes = verdicts[i] != 0;
    for (EvalError& e : errors_) {
      candidates_[begin + e.row].error = static_cast<std::int32_t>(condition_errors_.size());
      condition_errors_.push_back(std::move(e.message));
    }
  }
}

bool IntervalJoin::process_row(Output& out) {
  const Probe& probe = probes_[work_.row - work_.group];
  if (work_.phase == Work::Phase::enter) {
    ++stats_.rows_in;
    --fuel_;
    work_.matched = work_.failed = false;
    work_.scan = {};
    if (hold_changed_) refresh_watermark();
    work_.phase = enter(work_.input, probe.before) ? Work::Phase::expire : Work::Phase::match;
  }
  if (work_.phase == Work::Phase::expire) {
    if (!expire(out)) return false;
    refresh_watermark();
    work_.failed = false;
    work_.scan = {};
    work_.phase = Work::Phase::match;
  }
  if (!match(probe, out)) return false;
  settle_row(probe, out);
  work_.phase = Work::Phase::enter;
  return true;
}

// One match more of the row in hand.
void IntervalJoin::take(const Candidate& c, Output& out) {
  const unsigned input = work_.input, other = 1 - input;
  const EventTime time = work_.batch.time[work_.row];
  work_.matched = true;
  const bool takes_left = other == 0 && once();
  if (outer(other) && !c.row->has(JoinRow::kMatched)) {
    if (c.row->has(JoinRow::kOut))
      output_.add(JoinOutput::kNone, c.row->kept_data(), c.row->time, current_, out,
                  static_cast<std::uint8_t>(RowOp::remove));
    if (!takes_left) sides_[other].set_matched(c.address);
  }
  if (pairs()) {
    const bool own_time = (spec_.time == Time::left) == (input == 0);
    output_.add(work_.row, c.row->kept_data(), own_time ? time : c.row->time, current_, out);
  }
  hold_changed_ |= held_;
  if (takes_left) sides_[0].remove(probes_[work_.row - work_.group].hash, c.address);
}

// The row in hand goes on as if the pair were no match; said once a row.
void IntervalJoin::fail(std::string_view reason, Output& out) {
  if (work_.failed) return;
  work_.failed = true;
  ++stats_.rows_failed;
  out.failed(work_.batch, work_.row, reason);
}

bool IntervalJoin::match(const Probe& probe, Output& out) {
  if (probe.tree != nullptr) [[unlikely]]
    return match_tree(probe, out);
  if (probe.matches >= 0) match_chain(probe, out);
  return true;
}

void IntervalJoin::match_chain(const Probe& probe, Output& out) {
  found_.clear();
  const Candidate* failed = nullptr;  // the first by time: what is said does not depend on how rows are kept
  for (std::int32_t i = probe.matches; i >= 0; i = candidates_[i].next) {
    const Candidate& c = candidates_[i];
    if (!JoinSide::counts(c.row)) continue;  // taken by a row before
    if (c.error >= 0 && (failed == nullptr || by_time(c, *failed))) [[unlikely]]
      failed = &c;
    if (c.passes) found_.push_back(c);
  }
  if (failed != nullptr) [[unlikely]]
    fail(condition_errors_[failed->error], out);
  if (found_.empty()) return;
  if (work_.input == 0 && once()) {
    return take(*std::min_element(found_.begin(), found_.end(), earliest() ? by_time : by_arrival), out);
  }
  if (found_.size() > 1) std::sort(found_.begin(), found_.end(), by_time);
  fuel_ -= static_cast<std::int64_t>(found_.size());
  for (const Candidate& c : found_) take(c, out);
}

// The next rows of a hot key into found_, from where work_.scan stands.
void IntervalJoin::find_in_tree(const TimeTree& tree, unsigned side, std::string_view key, EventTime low,
                                EventTime high, unsigned needs) {
  Scan& scan = work_.scan;
  found_.clear();
  bool more = false;
  std::size_t seen = 0;
  tree.scan_while(scan.started ? scan.time : low, scan.started ? scan.sequence : 0, high,
                  [&](const TimeTree::Entry& e) {
                    if (seen == kTreePortion) {
                      scan.time = e.time;
                      scan.sequence = e.sequence;
                      more = true;
                      return false;
                    }
                    ++seen;
                    JoinRow* row = sides_[side].at(e.address);
                    if (JoinSide::counts(row) && (row->flags & needs) == needs && row->key() == key)
                      found_.push_back({e.address, row, -1, work_.row});
                    return true;
                  });
  scan.started = true;
  scan.ended = !more;
  visited_ += seen;
  fuel_ -= static_cast<std::int64_t>(seen) + 1;
}

// The condition on found_; `closing`: with this right row, not with the row in hand.
void IntervalJoin::test_found(const JoinRow* closing, Output& out) {
  if (!condition_ || found_.empty()) return;
  std::uint32_t rows[JoinCondition::kPairs];
  const char *stored[JoinCondition::kPairs], *right[JoinCondition::kPairs];
  std::uint8_t verdicts[JoinCondition::kPairs];
  const auto n = static_cast<std::uint32_t>(found_.size());
  for (std::uint32_t i = 0; i < n; ++i) {
    rows[i] = work_.row;
    stored[i] = found_[i].row->kept_data();
    right[i] = closing != nullptr ? closing->kept_data() : nullptr;
  }
  errors_.clear();
  if (closing == nullptr) {
    condition_->test(work_.batch, work_.input, rows, stored, n, verdicts, errors_);
    if (!errors_.empty()) fail(errors_.front().message, out);
  } else {
    condition_->test(stored, right, n, verdicts, errors_);
    if (!errors_.empty() && !work_.failed) {
      // No row of a batch: the pair itself is what failed.
      work_.failed = true;
      ++stats_.rows_failed;
      Batch pair;
      pair.schema = &spec_.schema;
      pair.rows = 1;
      Arena& arena = pair.add_arena();
      pair.columns = decode_rows(spec_.left.kept_types, stored + errors_.front().row, 1, arena);
      for (const Column& c : decode_rows(spec_.right.kept_types, right, 1, arena)) pair.columns.push_back(c);
      auto* time = arena.make<EventTime>(1);
      *time = closing->time;
      pair.time = time;
      out.failed(pair, 0, errors_.front().message);
    }
  }
  for (std::uint32_t i = 0; i < n; ++i) found_[i].passes = verdicts[i] != 0;
}

bool IntervalJoin::match_tree(const Probe& probe, Output& out) {
  const unsigned other = 1 - work_.input;
  const bool one = work_.input == 0 && once();
  Scan& scan = work_.scan;
  if (one && !earliest() && !condition_ && !scan.started) {
    if (const TimeTree::Entry* e = probe.tree->earliest_arrival(probe.low, probe.high); e != nullptr) {
      JoinRow* row = sides_[other].at(e->address);
      ++visited_;
      if (row->key() == probe.key) {
        take({e->address, row, -1, work_.row}, out);
        return true;
      }  // else another key with the same hash came first
    } else {
      return true;
    }
  }
  for (;;) {
    find_in_tree(*probe.tree, other, probe.key, probe.low, probe.high, 0);
    test_found(nullptr, out);
    for (const Candidate& c : found_) {
      if (!c.passes) continue;
      if (!one) {
        take(c, out);
      } else if (scan.best.row == nullptr || (!earliest() && by_arrival(c, scan.best))) {
        scan.best = c;  // rows come by time
      }
    }
    if (!one) fuel_ -= static_cast<std::int64_t>(found_.size());
    // With a condition all are looked at, as in a chain: one that fails is told of either way.
    const bool sure = scan.best.row != nullptr && !condition_ && (earliest() || left_only());
    if (scan.ended || sure) {
      if (scan.best.row != nullptr) take(scan.best, out);
      return true;
    }
    if (stopped()) return false;
  }
}

void IntervalJoin::settle_row(const Probe& probe, Output& out) {
  const unsigned input = work_.input;
  const Batch& batch = work_.batch;
  const EventTime time = batch.time[work_.row];
  if (time > sides_[input].horizon()) {  // may match what is still to come
    if (probe.null_key && !outer(input)) return;
    if (input == 0 && work_.matched && once()) return;
    if (probe.key.size() > JoinRow::kMaxKey ||
        probe.key.size() + kept_codec_[input].encoded_size(batch, work_.row) > JoinRow::kMaxSize) [[unlikely]] {
      ++stats_.rows_failed;
      out.failed(batch, work_.row, "the row is too large to be kept by a join");
      return;
    }
    keep(probe, out);
  } else if (work_.matched) {
    return;
  } else if (time <= input_[input].retention && (!probe.null_key || outer(input))) {
    late_.push_back(work_.row);
  } else if (outer(input)) {
    output_.add(work_.row, nullptr, time, current_, out);
  }
}

void IntervalJoin::keep(const Probe& probe, Output& out) {
  const unsigned input = work_.input;
  const Batch& batch = work_.batch;
  const EventTime time = batch.time[work_.row];
  const RowCodec& codec = kept_codec_[input];
  unsigned flags = 0;
  if (probe.null_key) flags |= JoinRow::kNullKey;
  if (work_.matched) {
    flags |= JoinRow::kMatched;
  } else if (early_ && outer(input) && time <= due_through(input)) {
    flags |= JoinRow::kOut;
    output_.add(work_.row, nullptr, time, current_, out, kProvisionalFlag);
  } else if (waits(input)) {
    flags |= JoinRow::kWaits;
  }
  JoinRow* kept = sides_[input].insert(probe.hash, time, JoinSequence::of(++arrivals_, probe.hash), probe.key,
                                       codec.encoded_size(batch, work_.row), flags);
  codec.encode(batch, work_.row, kept->kept_data());
}

}  // namespace twinspan::engine
