#include "engine/operators/interval_join.h"

#include <algorithm>

#include <xxhash.h>

namespace twinspan::engine {

namespace {

JoinOutput::SideColumns columns_of(const IntervalJoinSpec::Side& side) { return {side.kept, side.kept_types}; }

EventTime after(EventTime t) { return t == kMaxTime ? t : t + 1; }

}  // namespace

IntervalJoin::IntervalJoin(IntervalJoinSpec spec)
    : spec_(std::move(spec)),
      key_codec_{{spec_.left.key, spec_.left.key_types}, {spec_.right.key, spec_.right.key_types}},
      kept_codec_{{spec_.left.kept, spec_.left.kept_types}, {spec_.right.kept, spec_.right.kept_types}},
      sides_{{0, spec_.upper, spec_.segment_bytes}, {1, -spec_.lower, spec_.segment_bytes}},
      output_(&spec_.schema, columns_of(spec_.left), columns_of(spec_.right)) {
  TS_CHECK(spec_.lower <= spec_.upper);
  TS_CHECK(spec_.left.key_types == spec_.right.key_types);
  TS_CHECK(spec_.schema.fields.size() == spec_.left.kept.size() + spec_.right.kept.size());
}

// ---- time ----------------------------------------------------------------------------------------------------------

Watermark IntervalJoin::output_watermark() const {
  Watermark w;
  const auto combine = [&](EventTime left, EventTime right) {
    if (spec_.time == IntervalJoinSpec::Time::left) return std::min(left, shift(right, -spec_.upper));
    // Unmatched left rows have their own time, which may lie before that of any match.
    return std::min(right, shift(left, left_join() ? std::min<std::int64_t>(spec_.lower, 0) : spec_.lower));
  };
  w.firing = combine(input_[0].firing, input_[1].firing);
  w.retention = combine(input_[0].retention, input_[1].retention);
  if (const TimeTree& waiting = sides_[0].waiting(); !waiting.empty()) {
    const EventTime below = shift(waiting.first().time, -1);
    w.firing = std::min(w.firing, below);
    w.retention = std::min(w.retention, below);
  }
  w.retention = std::max(std::min(w.retention, w.firing), current_.retention);
  w.firing = std::max({w.firing, w.retention, current_.firing});
  return w;
}

void IntervalJoin::update_horizons() {
  sides_[0].set_horizon(shift(input_[1].retention, -spec_.upper));
  sides_[1].set_horizon(shift(input_[0].retention, spec_.lower));
}

bool IntervalJoin::advance(unsigned input, Watermark to, Output& out) {
  Watermark& w = input_[input];
  if (to.firing <= w.firing && to.retention <= w.retention) return false;
  w.firing = std::max(w.firing, to.firing);
  if (to.retention <= w.retention) return true;
  w.retention = to.retention;
  update_horizons();
  if (input == 1 && left_join()) emit_unmatched(out);
  return true;
}

void IntervalJoin::emit_unmatched(Output& out) {
  JoinSide& left = sides_[0];
  TimeTree& waiting = left.waiting();
  while (!waiting.empty() && waiting.first().time <= left.horizon()) {
    // A leaf at a time: one pass to emit, one descent to drop.
    unsigned n = 0;
    EventTime last = kMinTime;
    const EventTime from = waiting.first().time;
    waiting.scan_while(from, left.horizon(), [&](const TimeTree::Entry& e) {
      if (n >= 256 && e.time != last) return false;  // whole times, so that a bound on the time drops just these
      const JoinRow* row = left.at(e.address);
      output_.add(JoinOutput::kNone, row->kept_data(), row->time, current_, out);
      last = e.time;
      ++n;
      return true;
    });
    waiting.drop_through(last, ~std::size_t{0});
  }
}

// The end of every call: nothing of the batch is referred to any more, then memory may move.
void IntervalJoin::settle(Output& out, std::size_t fuel) {
  output_.flush(out);
  current_ = output_watermark();
  if (current_ != told_) {
    told_ = current_;
    out.watermark(told_);
  }
  for (JoinSide& side : sides_) side.collect(fuel);
}

void IntervalJoin::watermark(unsigned input, Watermark watermark, Output& out) {
  load_restored();
  output_.begin(nullptr, 1);
  advance(input, {watermark.firing, shift(watermark.retention, -spec_.allow)}, out);
  settle(out, 64);
}

void IntervalJoin::finish(Output& out) {
  load_restored();
  output_.begin(nullptr, 1);
  for (unsigned input = 0; input < 2; ++input) advance(input, {kMaxTime, kMaxTime}, out);
  settle(out, 64);
}

// ---- rows ----------------------------------------------------------------------------------------------------------

void IntervalJoin::process(unsigned input, Batch&& batch, Output& out) {
  load_restored();
  output_.begin(&batch, input);
  for (std::uint32_t begin = 0; begin < batch.rows; begin += kGroup) {
    const unsigned n = std::min<std::uint32_t>(kGroup, batch.rows - begin);
    look_up(input, batch, begin, n);
    walk_chains(input, n);
    for (unsigned i = 0; i < n; ++i) process_row(input, batch, begin + i, probes_[i], out);
  }
  output_.flush(out);
  if (!late_.empty()) {
    stats_.rows_late += late_.size();
    out.late(gather(batch, late_.data(), static_cast<std::uint32_t>(late_.size()), std::make_shared<Arena>()));
    late_.clear();
  }
  settle(out, 2 * std::size_t{batch.rows} + 8);
}

// Keys, hashes and time ranges of a group, and everything the probes will touch on its way into the caches.
void IntervalJoin::look_up(unsigned input, const Batch& batch, std::uint32_t begin, unsigned n) {
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
    if (p.at != 0) {
      const char* row = reinterpret_cast<const char*>(other.at(p.at));
      __builtin_prefetch(row);
      __builtin_prefetch(row + 64);
    }
  }
}

// All chains of the group one step at a time, so that their misses overlap (after AMAC, Kocberber 2015).
void IntervalJoin::walk_chains(unsigned input, unsigned n) {
  JoinSide& other = sides_[1 - input];
  candidates_.clear();
  unsigned active[kGroup];
  unsigned actives = 0;
  for (unsigned i = 0; i < n; ++i) {
    if (probes_[i].at != 0) active[actives++] = i;
  }
  while (actives > 0) {
    unsigned left = 0;
    for (unsigned k = 0; k < actives; ++k) {
      Probe& p = probes_[active[k]];
      JoinRow* row = other.at(p.at);
      if (row->time >= p.low && row->time <= p.high && JoinSide::counts(row) && row->key() == p.key) {
        const char* kept = row->kept_data();
        __builtin_prefetch(kept + 64);
        candidates_.push_back({p.at, row, p.matches});
        p.matches = static_cast<std::int32_t>(candidates_.size() - 1);
      }
      p.at = other.previous(row);
      if (p.at == 0) continue;
      const char* next = reinterpret_cast<const char*>(other.at(p.at));
      __builtin_prefetch(next);
      __builtin_prefetch(next + 64);
      active[left++] = active[k];
    }
    actives = left;
  }
}

// The matches of a row into found_, by (time, arrival).
void IntervalJoin::gather_matches(unsigned input, const Probe& probe) {
  JoinSide& other = sides_[1 - input];
  found_.clear();
  if (probe.tree != nullptr) [[unlikely]] {
    const auto take = [&](const TimeTree::Entry& e) {
      JoinRow* row = other.at(e.address);
      if (row->key() == probe.key) found_.push_back({e.address, row, -1});
    };
    if (input == 0 && first_only()) {
      if (const TimeTree::Entry* e = probe.tree->earliest_arrival(probe.low, probe.high); e != nullptr) take(*e);
      if (!found_.empty()) return;  // else none, or another key with the same hash came first
    }
    probe.tree->scan(probe.low, probe.high, take);
  } else {
    for (std::int32_t c = probe.matches; c >= 0; c = candidates_[c].next) {
      if (JoinSide::counts(candidates_[c].row)) found_.push_back(candidates_[c]);  // not taken by a row before
    }
    if (found_.size() > 1) {
      std::sort(found_.begin(), found_.end(), [](const Candidate& a, const Candidate& b) {
        return a.row->time != b.row->time ? a.row->time < b.row->time : a.row->sequence < b.row->sequence;
      });
    }
  }
  if (input == 0 && first_only() && found_.size() > 1) {
    found_.front() = *std::min_element(found_.begin(), found_.end(), [](const Candidate& a, const Candidate& b) {
      return a.row->sequence < b.row->sequence;
    });
    found_.resize(1);
  }
}

bool IntervalJoin::match(unsigned input, std::uint32_t row, EventTime time, const Probe& probe, Output& out) {
  if (probe.matches < 0 && probe.tree == nullptr) return false;
  gather_matches(input, probe);
  const bool own_time = (spec_.time == IntervalJoinSpec::Time::left) == (input == 0);
  for (const Candidate& c : found_) {
    output_.add(row, c.row->kept_data(), own_time ? time : c.row->time, current_, out);
    if (input == 0) continue;
    if (first_only())
      sides_[0].remove(probe.hash, c.address);
    else if (left_join())
      sides_[0].set_matched(c.address);
  }
  return !found_.empty();
}

void IntervalJoin::process_row(unsigned input, const Batch& batch, std::uint32_t row, const Probe& probe, Output& out) {
  ++stats_.rows_in;
  if (left_join()) current_ = output_watermark();  // the row before may have matched what held it
  if (advance(input, probe.before, out)) current_ = output_watermark();
  const EventTime time = batch.time[row];
  const bool matched = match(input, row, time, probe, out);
  const bool waits = input == 0 && left_join() && !matched;
  if (time > sides_[input].horizon()) {  // may match what is still to come
    if (probe.null_key && !waits) return;
    if (input == 0 && matched && first_only()) return;
    if (probe.key.size() > JoinRow::kMaxKey ||
        probe.key.size() + kept_codec_[input].encoded_size(batch, row) > JoinRow::kMaxSize) [[unlikely]] {
      ++stats_.rows_failed;
      out.failed(batch, row, "the row is too large to be kept by a join");
      return;
    }
    keep(input, batch, row, probe, matched);
  } else if (!matched && time <= input_[input].retention && (!probe.null_key || waits)) {
    late_.push_back(row);
  } else if (waits) {
    output_.add(row, nullptr, time, current_, out);
  }
}

void IntervalJoin::keep(unsigned input, const Batch& batch, std::uint32_t row, const Probe& probe, bool matched) {
  const RowCodec& codec = kept_codec_[input];
  const bool waits = input == 0 && left_join() && !matched;
  unsigned flags = 0;
  if (probe.null_key) flags |= JoinRow::kNullKey;
  if (matched) flags |= JoinRow::kMatched;
  JoinRow* kept = sides_[input].insert(probe.hash, batch.time[row], JoinRowEntry::sequence_of(++arrivals_, probe.hash),
                                       probe.key, codec.encoded_size(batch, row), flags, waits);
  codec.encode(batch, row, kept->kept_data());
}

// ---- state ---------------------------------------------------------------------------------------------------------

void IntervalJoin::snapshot(DeltaWriter& out) {
  load_restored();
  for (JoinSide& side : sides_) side.snapshot(out);
}

Status IntervalJoin::restore(const StateEntry& entry) {
  if (entry.space > 1) return permanent_error("join state holds an entry of an unknown space");
  auto& rows = restored_[entry.space];
  switch (entry.kind) {
    case StateEntry::Kind::drop_below:
      std::erase_if(rows, [&](const auto& r) { return r.second.tag < entry.tag; });
      return ok();
    case StateEntry::Kind::erase: rows.erase(std::string(entry.key)); return ok();
    case StateEntry::Kind::put: break;
  }
  TS_TRY(row, JoinRowEntry::decode(entry.key, entry.value));
  if (!key_codec_[entry.space].well_formed(row.key) || !kept_codec_[entry.space].well_formed(row.kept)) {
    return permanent_error("join state holds a row that does not have the columns of this join");
  }
  rows.insert_or_assign(std::string(entry.key), Restored{entry.tag, std::string(entry.value)});
  return ok();
}

void IntervalJoin::restore_watermark(unsigned input, Watermark watermark) {
  input_[input] = {watermark.firing, shift(watermark.retention, -spec_.allow)};
  update_horizons();
}

// Entries come in any order of rows; arrival order is their sequence. Before anything else happens after a restore.
void IntervalJoin::load_restored() {
  for (unsigned s = 0; s < 2; ++s) {
    if (restored_[s].empty()) continue;
    std::vector<JoinRowEntry> rows;
    rows.reserve(restored_[s].size());
    for (const auto& [key, r] : restored_[s]) rows.push_back(JoinRowEntry::decode(key, r.value).value());
    std::sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) { return a.sequence < b.sequence; });
    for (const JoinRowEntry& row : rows) {
      arrivals_ = std::max(arrivals_, JoinRowEntry::count_of(row.sequence));
      if (row.time <= sides_[s].horizon()) continue;  // ended before the barrier
      const bool waits = s == 0 && left_join() && (row.flags & JoinRow::kMatched) == 0;
      JoinRow* kept = sides_[s].insert(XXH3_64bits(row.key.data(), row.key.size()), row.time, row.sequence, row.key,
                                       row.kept.size(), row.flags | JoinRow::kSaved, waits);
      std::copy(row.kept.begin(), row.kept.end(), kept->kept_data());
    }
    sides_[s].restored();
    restored_[s] = {};
  }
}

OperatorStats IntervalJoin::stats() const {
  OperatorStats s = stats_;
  s.rows_out = output_.rows_out();
  for (const JoinSide& side : sides_) {
    s.state_rows += side.rows();
    s.state_bytes += side.bytes();
  }
  return s;
}

}  // namespace twinspan::engine
