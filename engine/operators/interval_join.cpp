// Time: watermarks, ends, and the portions work is done in.
#include "engine/operators/interval_join.h"

#include <algorithm>
#include <initializer_list>

namespace twinspan::engine {

namespace {

constexpr unsigned kSegmentsPerPortion = 8;  // given back to the kernel
constexpr std::int64_t kSlicesOfAWait = 64;
constexpr std::int64_t kShortestSlice = 100;

// A row usually waits as long as its bound is wide.
std::int64_t slice_of(const IntervalJoinSpec& spec, std::int64_t wait) {
  return spec.slice_ms > 0 ? spec.slice_ms : std::max(wait / kSlicesOfAWait, kShortestSlice);
}

bool is_one_of(IntervalJoinSpec::Type type, std::initializer_list<IntervalJoinSpec::Type> types) {
  return std::find(types.begin(), types.end(), type) != types.end();
}

}  // namespace

IntervalJoin::IntervalJoin(IntervalJoinSpec spec, unsigned shard, unsigned shards)
    : spec_(std::move(spec)),
      shard_(shard),
      shards_(shards),
      outer_{is_one_of(spec_.type, {Type::left, Type::full, Type::anti}),
             is_one_of(spec_.type, {Type::right, Type::full})},
      early_(spec_.provisional || spec_.emit_unmatched_after),
      slice_ms_{slice_of(spec_, spec_.upper), slice_of(spec_, -spec_.lower)},
      key_codec_{{spec_.left.key, spec_.left.key_types}, {spec_.right.key, spec_.right.key_types}},
      kept_codec_{{spec_.left.kept, spec_.left.kept_types}, {spec_.right.kept, spec_.right.kept_types}},
      sides_{{spec_.segment_bytes, slice_ms_[0]}, {spec_.segment_bytes, slice_ms_[1]}},
      output_(&spec_.schema, {spec_.left.kept, spec_.left.kept_types, true},
              {spec_.right.kept, spec_.right.kept_types, !left_only()}),
      archive_(std::make_shared<JoinArchive>(shard, shards)) {
  TS_CHECK(spec_.lower <= spec_.upper);
  TS_CHECK(spec_.left.key_types == spec_.right.key_types);
  TS_CHECK(spec_.schema.fields.size() == spec_.left.kept.size() + (left_only() ? 0 : spec_.right.kept.size()));
  TS_CHECK(!left_only() || (spec_.matches == Matches::all && spec_.time == Time::left));
  TS_CHECK(!early_ || !earliest());
  if (spec_.where)
    condition_.emplace(*spec_.where, JoinCondition::Side{spec_.left.kept, spec_.left.kept_types},
                       JoinCondition::Side{spec_.right.kept, spec_.right.kept_types});
  if (earliest()) sides_[1].keep_unclosed();
}

// ---- time ----------------------------------------------------------------------------------------------------------

Watermark IntervalJoin::output_watermark() {
  // Pairs; unmatched rows have their own time, which may lie before that of any pair. Before the last word they may be
  // taken back until they are dead.
  const auto combine = [&](EventTime left, EventTime right) {
    const EventTime ends[2] = {shift(right, -spec_.upper), shift(left, spec_.lower)};
    const EventTime own[2] = {left, right};
    const unsigned side = spec_.time == Time::left ? 0 : 1;
    EventTime w = std::min(own[side], ends[side]);
    if (outer(1 - side)) w = std::min(w, own[1 - side]);
    if (outer(1 - side) && early_) w = std::min(w, ends[1 - side]);
    return w;
  };
  Watermark w{combine(input_[0].firing, input_[1].firing), combine(input_[0].retention, input_[1].retention)};
  held_ = false;
  const auto hold = [&](const JoinWaiting& rows) {
    if (rows.empty()) return;
    const EventTime below = shift(rows.none_before(), -1);
    held_ |= below < w.firing;
    w.firing = std::min(w.firing, below);
    w.retention = std::min(w.retention, below);
  };
  if (!early_) {
    if (outer(0) || (earliest() && spec_.time == Time::left)) hold(sides_[0].waiting());
    if (outer(1)) hold(sides_[1].waiting());
    if (earliest() && spec_.time == Time::right) hold(sides_[1].unclosed());
  }
  w.retention = std::max(std::min(w.retention, w.firing), current_.retention);
  w.firing = std::max({w.firing, w.retention, current_.firing});
  return w;
}

void IntervalJoin::refresh_watermark() {
  hold_changed_ = false;
  current_ = output_watermark();
}

void IntervalJoin::update_horizons() {
  sides_[0].set_horizon(shift(input_[1].retention, -spec_.upper));
  const EventTime right = shift(input_[0].retention, spec_.lower);
  sides_[1].set_horizon(earliest() ? std::min(right, input_[1].retention) : right);
}

bool IntervalJoin::enter(unsigned input, Watermark to) {
  Watermark& w = input_[input];
  if (to.firing <= w.firing && to.retention <= w.retention) return false;
  w.firing = std::max(w.firing, to.firing);
  if (to.retention <= w.retention) return true;
  w.retention = to.retention;
  update_horizons();
  return true;
}

// Unmatched rows of a side go out up to this time.
EventTime IntervalJoin::due_through(unsigned side) const {
  const EventTime horizon = sides_[side].horizon();
  if (!early_) return horizon;
  const std::int64_t end = side == 0 ? spec_.upper : -spec_.lower;
  const std::int64_t after = spec_.emit_unmatched_after ? std::min(*spec_.emit_unmatched_after, end) : end;
  return std::max(horizon, shift(input_[1 - side].firing, -after));
}

bool IntervalJoin::expire(Output& out) {
  if (earliest() && !close_rows(out)) return false;
  for (unsigned side = 0; side < 2; ++side)
    if (waits(side) && !expire_side(side, out)) return false;
  return true;
}

bool IntervalJoin::expire_side(unsigned s, Output& out) {
  JoinSide& side = sides_[s];
  JoinWaiting& waiting = side.waiting();
  const EventTime through = due_through(s);
  while (waiting.due(through, fuel_)) {
    TimeTree::Entry last;
    unsigned n = 0;
    waiting.front().scan_while(kMinTime, 0, through, [&](const TimeTree::Entry& e) {
      JoinRow* row = side.at(e.address);
      const bool may_match = e.time > side.horizon();
      side.set_waited(row, e.address, may_match);
      if (outer(s)) emit_unmatched(s, row, may_match ? kProvisionalFlag : 0, out);
      last = e;
      --fuel_;
      return ++n < 256 && !stopped();
    });
    visited_ += n;
    waiting.drop_front(last.time, last.sequence);
    if (stopped()) return false;
  }
  return fuel_ > 0;
}

void IntervalJoin::emit_unmatched(unsigned side, const JoinRow* row, std::uint8_t flags, Output& out) {
  // Where right rows close, ends come between pairs of stored rows: all of one kind, so that batches stay large.
  const bool among_stored = earliest() && work_.input == 1;
  if (work_.batch.rows > 0 && side != work_.input && !among_stored)
    output_.add(JoinOutput::kNone, row->kept_data(), row->time, current_, out, flags);
  else
    output_.add_stored(side == 0 ? row->kept_data() : nullptr, side == 1 ? row->kept_data() : nullptr, row->time,
                       current_, out, flags);
}

// `earliest`: right rows that R of their own side has reached, in order: what undecided left row matches one takes it.
bool IntervalJoin::close_rows(Output& out) {
  JoinSide& right = sides_[1];
  JoinWaiting& unclosed = right.unclosed();
  while (work_.closing || unclosed.due(input_[1].retention, fuel_)) {
    const TimeTree::Entry row = unclosed.front().first();
    if (!work_.closing) {
      work_.closing = true;
      work_.failed = false;
      work_.scan = {};
      --fuel_;
    }
    if (!close_row(row.address, out)) return false;
    work_.closing = false;
    unclosed.drop_front(row.time, row.sequence);
    if (stopped()) return false;
  }
  if (fuel_ <= 0) return false;
  right.set_closed_through(input_[1].retention);
  return true;
}

bool IntervalJoin::close_row(RowAddress address, Output& out) {
  JoinSide& left = sides_[0];
  const JoinRow* row = sides_[1].at(address);
  if (row->has(JoinRow::kNullKey)) return true;
  const std::uint64_t hash = JoinSide::hash_of(row);
  const JoinSide::Rows rows = left.rows_of(hash);
  // Left rows that end with this watermark still wait: their ends come after the right rows that close with it.
  const EventTime low = shift(row->time, -spec_.upper), high = shift(row->time, -spec_.lower);
  for (;;) {
    found_.clear();
    if (rows.tree == nullptr) {
      for (RowAddress a = rows.newest; a != 0; a = left.previous(left.at(a))) {
        JoinRow* l = left.at(a);
        ++visited_;
        if (l->time >= low && l->time <= high && JoinSide::counts(l) && l->has(JoinRow::kWaits) &&
            l->key() == row->key())
          found_.push_back({a, l, -1, 0});
      }
      std::sort(found_.begin(), found_.end(), by_time);
      work_.scan.ended = true;
    } else {
      find_in_tree(*rows.tree, 0, row->key(), low, high, JoinRow::kWaits);
    }
    test_found(row, out);
    for (const Candidate& c : found_) {
      if (!c.passes) continue;
      output_.add_stored(c.row->kept_data(), row->kept_data(), spec_.time == Time::left ? c.row->time : row->time,
                         current_, out);
      left.remove(hash, c.address);
      if (outer(1)) sides_[1].set_matched(address);
    }
    fuel_ -= static_cast<std::int64_t>(found_.size());
    if (work_.scan.ended) return true;
    if (stopped()) return false;
  }
}

// ---- portions ------------------------------------------------------------------------------------------------------

void IntervalJoin::begin(Work&& work) {
  TS_CHECK(!work_.active);
  start();
  work_ = std::move(work);
  work_.active = true;
  output_.begin(&work_.batch, work_.input);
}

void IntervalJoin::process(unsigned input, Batch&& batch, Output& out) {
  Work work;
  work.input = input;
  work.batch = std::move(batch);
  begin(std::move(work));
  resume(out);
}

void IntervalJoin::watermark(unsigned input, Watermark watermark, Output& out) {
  Work work;
  work.marks[0] = {input, {watermark.firing, shift(watermark.retention, -spec_.allow)}};
  work.mark_count = 1;
  begin(std::move(work));
  resume(out);
}

void IntervalJoin::finish(Output& out) {
  Work work;
  for (unsigned input = 0; input < 2; ++input) work.marks[input] = {input, {kMaxTime, kMaxTime}};
  work.mark_count = 2;
  begin(std::move(work));
  resume(out);
}

void IntervalJoin::resume(Output& out) {
  if (!failure_.empty()) return;
  fuel_ = spec_.fuel;
  output_.begin_portion();
  if (spills_ && work_.batch.rows == 0) release_pages(out);  // nor does a watermark between its portions
  bool done = false;
  try {
    done = run(out);
  } catch (const SpillFailure& failed) {
    failure_ = failed.error.message;
    return;
  }
  output_.flush(out);
  emit_late(out);
  if (!done) return;
  work_ = {};
  refresh_watermark();
  if (current_ == told_) return;
  told_ = current_;
  out.watermark(told_);
}

bool IntervalJoin::run(Output& out) {
  for (; work_.mark < work_.mark_count; ++work_.mark) {
    const Mark& mark = work_.marks[work_.mark];
    if (work_.phase == Work::Phase::enter) {
      enter(mark.input, mark.watermark);
      work_.phase = Work::Phase::expire;
    }
    if (!expire(out)) return false;
    refresh_watermark();
    work_.phase = Work::Phase::enter;
  }
  if (!work_.collecting) {
    if (!run_rows(out)) return false;
    // Nothing of the batch or of stored rows is referred to any more: memory may move.
    output_.flush(out);
    emit_late(out);
    work_.collecting = true;
  }
  return collect();
}

bool IntervalJoin::run_rows(Output& out) {
  const Batch& batch = work_.batch;
  for (; work_.row < batch.rows; ++work_.row) {
    if (stopped()) return false;
    if (work_.row == work_.group + work_.group_rows) {
      if (spills_) [[unlikely]]
        release_pages(out);
      work_.group = work_.row;
      work_.group_rows = std::min<std::uint32_t>(kGroup, batch.rows - work_.row);
      look_up(work_.group, work_.group_rows);
      walk_chains(work_.group_rows);
      if (condition_) test_candidates();
    }
    if (!process_row(out)) return false;
  }
  return true;
}

bool IntervalJoin::collect() {
  const std::size_t rows = 2 * std::size_t{work_.batch.rows} + 64;
  bool done = true;
  for (JoinSide& side : sides_) done &= side.collect(kSegmentsPerPortion, rows);
  if (spills_) spill();
  return done;
}

// One segment at a time: a batch brings less.
void IntervalJoin::spill() {
  const auto pages = sides_[0].log().page_bytes() + sides_[1].log().page_bytes();
  if (sides_[0].bytes() + sides_[1].bytes() <= spec_.spill_bytes) return;
  if (pages > 0)
    for (JoinSide& side : sides_) side.log().release_pages();
  const auto in_memory = [](const JoinSide& side) { return side.log().used_bytes() - side.log().spilled_bytes(); };
  const unsigned first = in_memory(sides_[0]) >= in_memory(sides_[1]) ? 0 : 1;
  if (!sides_[first].log().spill_one()) sides_[1 - first].log().spill_one();
}

// Between groups nothing points to rows but results that have not gone out yet.
void IntervalJoin::release_pages(Output& out) {
  if (sides_[0].log().page_bytes() + sides_[1].log().page_bytes() <= spec_.spill_bytes / 8) return;
  output_.flush(out);
  for (JoinSide& side : sides_) side.log().release_pages();
}

void IntervalJoin::emit_late(Output& out) {
  if (late_.empty()) return;
  stats_.rows_late += late_.size();
  const auto n = static_cast<std::uint32_t>(late_.size());
  const auto arena = std::make_shared<Arena>(16u << 10);
  Batch rows = gather(work_.batch, late_.data(), n, arena);
  late_.clear();
  if (!spec_.late_columns.empty()) {
    const std::vector<Column> in = std::move(rows.columns);
    auto* side = arena->make<std::string_view>(n);
    std::fill_n(side, n, work_.input == 0 ? "left" : "right");
    rows.columns = {{types::string, side, nullptr}};
    for (std::size_t i = 0; i < spec_.late_columns.size(); ++i) {
      const int from = work_.input == 0 ? spec_.late_columns[i].left : spec_.late_columns[i].right;
      if (from >= 0) {
        rows.columns.push_back(in[static_cast<std::size_t>(from)]);
      } else {
        const char* none = nullptr;
        std::vector<const char*> nulls(n, none);
        rows.columns.push_back(decode_rows({spec_.late_schema.fields[i + 1].type}, nulls.data(), n, *arena)[0]);
      }
    }
    rows.schema = &spec_.late_schema;
    rows.hash = nullptr;
  }
  out.late(std::move(rows));
}

}  // namespace twinspan::engine
