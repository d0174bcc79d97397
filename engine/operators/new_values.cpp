#include "engine/operators/new_values.h"

#include <algorithm>
#include <cstring>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <xxhash.h>

namespace twinspan::engine {

namespace {

constexpr std::size_t kIdentity = 12, kHead = 1 + kIdentity;

Calendar calendar_of(const WindowSpec& window) {
  auto calendar = Calendar::make(window.time_zone, unit_of(window), window.offset);
  TS_CHECK(calendar.has_value());  // validate() has seen it
  return calendar.value();
}

DataType type_of(const NewValues::Spec& spec) { return spec.window.aggregates[spec.counts[0]].argument_type; }

constexpr CombinedRows kOnlyTime{.until = kMaxTime, .only_time = true};

}  // namespace

std::string_view NewValues::not_splittable(WindowKind kind) {
  switch (kind) {
    case WindowKind::session: return "a value can be in two sessions that a later row makes one";
    case WindowKind::sliding: return "a value counts in windows that begin and end at different times";
    default: return "";
  }
}

SplitDistinct split_distinct(const WindowSpec& window, const Schema& input) {
  SplitDistinct out{window, {}};
  Schema schema = input;
  std::vector<int> columns;
  for (const AggregateSpec& a : window.aggregates)
    if (a.distinct && a.function == AggregateFunction::count &&
        std::find(columns.begin(), columns.end(), a.argument) == columns.end())
      columns.push_back(a.argument);
  for (const int column : columns) {
    NewValues::Spec stage;
    stage.window = window;
    for (std::size_t a = 0; a < window.aggregates.size(); ++a) {
      const AggregateSpec& of = window.aggregates[a];
      if (!of.distinct || of.function != AggregateFunction::count || of.argument != column) continue;
      stage.counts.push_back(a);
      AggregateSpec& counted = out.counting.aggregates[a];
      counted = {};
      counted.filter = static_cast<int>(schema.fields.size());
      schema.fields.push_back({fmt::format("$new{}", a), types::boolean});
    }
    stage.schema = schema;
    out.stages.push_back(std::move(stage));
  }
  for (NewValues::Spec& stage : out.stages) stage.counting = out.counting;
  return out;
}

NewValues::NewValues(Spec spec)
    : spec_(std::move(spec)),
      window_(spec_.window),
      argument_(window_.aggregates[spec_.counts[0]].argument),
      calendar_(calendar_of(window_)),
      key_(window_.key_columns, window_.key_types),
      value_({argument_}, {type_of(spec_)}),
      fixed_key_(fixed_key_size(window_.key_types)),
      accumulators_(accumulated(spec_.counting)),
      is_new_(spec_.counts.size()) {}

NewValues::Window& NewValues::window_at(WindowRange range) {
  auto& window = windows_[range.end];
  if (!window) window = std::make_unique<Window>(range, fixed_key_, spec_.counts.size());
  return *window;
}

// Where WindowAggregate counts it; false: it is late.
bool NewValues::place(EventTime t, Placed& placed) {
  const WindowRange range =
      window_.kind == WindowKind::global ? WindowRange{kMinTime, kMaxTime} : calendar_.window_of(t);
  if (closed(range.end)) return false;
  placed.step = 0;
  if (window_.kind == WindowKind::cumulate) {
    const std::int64_t last = (range.end - range.start - 1) / window_.every;
    std::int64_t step = (t - range.start) / window_.every;
    // Steps close one after the other, and the last is the window, which is open.
    while (step < last && closed(range.start + (step + 1) * window_.every)) {
      const EventTime past = shift(now_.retention, 1 - window_.allow_lateness) - range.start;
      step = std::min(std::max(step + 1, past / window_.every), last);
    }
    placed.step = static_cast<std::uint32_t>(step);
  }
  placed.window = &window_at(range);
  return true;
}

void NewValues::process(unsigned, Batch&& batch, Output& out) {
  stats_.rows_in += batch.rows;
  auto arena = std::make_shared<Arena>(batch.rows * (8 + spec_.counts.size()) + 64);
  for (std::uint8_t*& column : is_new_) {
    column = arena->make<std::uint8_t>(batch.rows);
    std::memset(column, 0, batch.rows);
    batch.columns.push_back({types::boolean, column, nullptr});
  }
  const std::uint64_t* hash = batch.hash;
  if (hash == nullptr) {
    auto* computed = arena->make<std::uint64_t>(batch.rows);
    value_.hash(batch, computed);
    hash = computed;
  }
  batch.hash = nullptr;  // that of the value
  batch.schema = &spec_.schema;
  batch.arenas.push_back(std::move(arena));
  Placed placed[kGroup];
  std::uint32_t n = 0;
  for (std::uint32_t row = 0; row < batch.rows; ++row) {
    if (batch.firing != nullptr) {
      now_.firing = std::max(now_.firing, batch.firing[row]);
      now_.retention = std::max(now_.retention, batch.retention[row]);
    }
    const EventTime t = batch.time[row];
    if (batch.combined != nullptr && batch.combined[row] != nullptr) continue;
    if (t < Calendar::kEarliest || t > Calendar::kLatest || is_retraction(batch.flag(row))) continue;  // fails there
    if (!place(t, placed[n])) {
      late_.push_back(row);
      continue;
    }
    placed[n++].row = row;
    if (n < kGroup) continue;
    look_at(batch, placed, n, hash);
    n = 0;
  }
  look_at(batch, placed, n, hash);
  if (!late_.empty()) {
    stats_.rows_late += late_.size();
    out.late(gather(batch, late_.data(), static_cast<std::uint32_t>(late_.size()), std::make_shared<Arena>()));
  }
  if (!late_.empty() || !taken_back_.empty()) batch = with_rows_between(std::move(batch));
  late_.clear();
  taken_back_.clear();
  stats_.rows_out += batch.rows;
  advance(now_);
  out.emit(std::move(batch));
}

// At most a group. The misses of its rows overlap: first the key's slots, then the values'.
void NewValues::look_at(const Batch& batch, const Placed* placed, std::uint32_t n, const std::uint64_t* hash) {
  const Column& argument = batch.columns[static_cast<std::size_t>(argument_)];
  std::uint32_t chosen[kGroup], rows[kGroup] = {}, some = 0;
  for (std::uint32_t i = 0; i < n; ++i) {
    if (argument.is_null(placed[i].row)) continue;
    rows[some] = placed[i].row;
    chosen[some++] = i;
  }
  Dictionary::Identity values[kGroup];
  Dictionary::identify(argument, rows, some, values);
  std::string_view key[kGroup];
  std::uint64_t key_hash[kGroup];
  std::size_t total = 0, size[kGroup];
  for (std::uint32_t j = 0; j < some; ++j) total += size[j] = key_.encoded_size(batch, rows[j]);
  if (key_bytes_.size() < total) key_bytes_.resize(total);
  char* to = key_bytes_.data();
  for (std::uint32_t j = 0; j < some; ++j) {
    key_.encode(batch, rows[j], to);
    key[j] = {to, size[j]};
    to += size[j];
    key_hash[j] = XXH3_64bits(key[j].data(), key[j].size());
    placed[chosen[j]].window->keys.prefetch(key_hash[j]);
  }
  std::uint32_t kid[kGroup];
  for (std::uint32_t j = 0; j < some; ++j) {
    Window& w = *placed[chosen[j]].window;
    kid[j] = w.keys.find_or_add(key_hash[j], key[j], w.strings);
    for (auto& seen : w.seen) seen.prefetch(hash_of(kid[j], values[j]));
  }
  for (std::size_t c = 0; c < spec_.counts.size(); ++c) {
    const int f = window_.aggregates[spec_.counts[c]].filter;
    const Column* filter = f < 0 ? nullptr : &batch.columns[static_cast<std::size_t>(f)];
    for (std::uint32_t j = 0; j < some; ++j) {
      const std::uint32_t row = rows[j];
      if (filter != nullptr && (filter->is_null(row) || filter->as<std::uint8_t>()[row] == 0)) continue;
      const Placed& p = placed[chosen[j]];
      Window& w = *p.window;
      Slot* slot = w.seen[c].find(hash_of(kid[j], values[j]), [&](const Slot& s) {
        return s.a == values[j].a && s.b == values[j].b && s.kid_plus_1 == kid[j] + 1;
      });
      if (slot != nullptr && slot->step <= p.step) continue;
      is_new_[c][row] = 1;
      w.unsaved.push_back({values[j], kid[j], p.step, static_cast<std::uint16_t>(c), key_group_of(hash[row])});
      if (slot == nullptr) {
        w.seen[c].insert({values[j].a, values[j].b, kid[j] + 1, p.step, 0});
        continue;
      }
      taken_back_.push_back({row, w.range.start + slot->step * window_.every, spec_.counts[c]});
      slot->step = p.step;
    }
  }
}

// Late rows out, but not the watermarks that came with them; and behind rows what they take back.
Batch NewValues::with_rows_between(Batch&& batch) {
  std::stable_sort(taken_back_.begin(), taken_back_.end(),
                   [](const TakenBack& a, const TakenBack& b) { return a.row < b.row; });
  struct Owner {
    std::shared_ptr<const void> before;
    Arena blocks{4096};
    std::vector<CombinedRows> taken_back;
  };
  auto owner = std::make_shared<Owner>();
  owner->before = batch.combined_owner;
  owner->taken_back.reserve(taken_back_.size());
  std::vector<std::uint32_t> rows;
  std::vector<const CombinedRows*> combined;
  std::vector<EventTime> time;
  const auto add = [&](std::uint32_t row, const CombinedRows* what, EventTime t) {
    rows.push_back(row);
    combined.push_back(what);
    time.push_back(t);
  };
  auto late = late_.begin();
  auto back = taken_back_.begin();
  for (std::uint32_t row = 0; row < batch.rows; ++row) {
    if (late != late_.end() && *late == row) {
      add(row, &kOnlyTime, batch.time[row]);
      ++late;
      continue;
    }
    add(row, batch.combined != nullptr ? batch.combined[row] : nullptr, batch.time[row]);
    for (; back != taken_back_.end() && back->row == row; ++back) {
      const std::size_t bytes = accumulators_.bytes();
      char* block = static_cast<char*>(owner->blocks.allocate(bytes, 8));
      std::memset(block, 0, bytes);
      accumulators_.add_count(block, back->count, -1);
      owner->taken_back.push_back({.block = block, .until = kMaxTime});
      add(row, &owner->taken_back.back(), back->time);
    }
  }
  const auto n = static_cast<std::uint32_t>(rows.size());
  auto arena = std::make_shared<Arena>(16 * 1024);
  Arena& to = *arena;
  Batch out = gather(batch, rows.data(), n, std::move(arena));
  auto* marks = to.make<const CombinedRows*>(n);
  std::copy(combined.begin(), combined.end(), marks);
  auto* times = to.make<EventTime>(n);
  std::copy(time.begin(), time.end(), times);
  out.time = times;
  out.combined = marks;
  out.combined_owner = std::move(owner);
  return out;
}

void NewValues::advance(Watermark to) {
  now_.firing = std::max(now_.firing, to.firing);
  now_.retention = std::max(now_.retention, to.retention);
  while (!windows_.empty() && closed(windows_.begin()->first)) {
    closed_ = std::max(closed_, windows_.begin()->first);
    if (saving_) ended_.push_back(std::move(windows_.begin()->second));
    windows_.erase(windows_.begin());
  }
}

void NewValues::watermark(unsigned, Watermark watermark, Output& out) {
  advance(watermark);
  out.watermark(watermark);
}

bool NewValues::begin_snapshot(DeltaWriter& out) {
  TS_CHECK(!saving_);
  if (closed_ != kMinTime) out.drop_below(kSeen, 0, shift(closed_, 1));
  closed_ = kMinTime;
  for (auto& [end, window] : windows_)
    if (!window->unsaved.empty()) saving_windows_.emplace_back(window.get(), std::move(window->unsaved));
  return saving_ = !saving_windows_.empty();
}

bool NewValues::snapshot_portion(std::size_t entries, DeltaWriter& out) {
  std::string key;
  for (; !saving_windows_.empty(); saving_windows_.pop_front()) {
    auto& [window, list] = saving_windows_.front();
    while (!list.empty()) {
      if (entries == 0) return true;
      const auto some = list.take(entries);
      entries -= some.size();
      for (const Unsaved& u : some) {
        key.assign(1, static_cast<char>(u.count));
        key.append(reinterpret_cast<const char*>(&u.value.a), sizeof u.value.a);
        key.append(reinterpret_cast<const char*>(&u.value.b), sizeof u.value.b);
        key.append(window->keys.key(window->keys.entry(u.kid)));
        out.put(kSeen, u.group, window->range.end, key, {reinterpret_cast<const char*>(&u.step), sizeof u.step});
      }
    }
  }
  ended_.clear();
  return saving_ = false;
}

Status NewValues::restore(const StateEntry& e) {
  if (e.space != kSeen) return data_error(fmt::format("state of distinct values: unknown space {}", e.space));
  if (e.kind != StateEntry::Kind::put) return ok();
  std::uint32_t step = 0;
  const bool global = window_.kind == WindowKind::global;
  if (e.key.size() < kHead || static_cast<unsigned char>(e.key[0]) >= spec_.counts.size() ||
      e.value.size() != sizeof step || !key_.well_formed(e.key.substr(kHead)) || global != (e.tag == kMaxTime) ||
      (!global && (e.tag - 1 < Calendar::kEarliest || e.tag - 1 > Calendar::kLatest)))
    return data_error("state of distinct values: an entry does not fit this step");
  std::memcpy(&step, e.value.data(), sizeof step);
  const WindowRange range = global ? WindowRange{kMinTime, kMaxTime} : calendar_.window_of(e.tag - 1);
  if (range.end != e.tag) return data_error("state of distinct values: an entry does not fit this step's windows");
  Window& w = window_at(range);
  const std::string_view key = e.key.substr(kHead);
  const std::uint32_t kid = w.keys.find_or_add(XXH3_64bits(key.data(), key.size()), key, w.strings);
  Dictionary::Identity value;
  std::memcpy(&value.a, e.key.data() + 1, sizeof value.a);
  std::memcpy(&value.b, e.key.data() + 1 + sizeof value.a, sizeof value.b);
  w.seen[static_cast<unsigned char>(e.key[0])].insert({value.a, value.b, kid + 1, step, 0});
  return ok();
}

void NewValues::restore_watermark(unsigned, Watermark watermark) {
  now_ = watermark;
  while (!windows_.empty() && closed(windows_.begin()->first)) windows_.erase(windows_.begin());
}

OperatorStats NewValues::stats() const {
  OperatorStats s = stats_;
  for (const auto& [end, window] : windows_) {
    s.state_bytes += sizeof *window + window->keys.bytes() + window->strings.bytes() + window->unsaved.bytes();
    for (const auto& seen : window->seen) {
      s.state_rows += seen.size();
      s.state_bytes += seen.bytes();
    }
  }
  return s;
}

}  // namespace twinspan::engine
