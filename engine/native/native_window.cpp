// Checkpoints: one entry a row (space 0, tag: the window's end, key: number of arrival u64 and the encoded key, value:
// time i64 and the encoded arguments) in the key's group; drop_below ends windows that fired.

#include "engine/native/native_window.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>
#include <xxhash.h>

#include "engine/native/native_scalar.h"

namespace twinspan::engine {

namespace {

constexpr std::uint8_t kRows = 0;
constexpr std::uint32_t kBatch = 1024;
constexpr unsigned kPortion = 256;  // calls
constexpr std::size_t kMostMessage = 500, kMostBytes = std::size_t{1} << 30;

Calendar calendar_of(const NativeWindowSpec& spec) {
  auto calendar = Calendar::make(spec.time_zone, spec.size, spec.offset);
  TS_CHECK(calendar.has_value());  // the planner has tried
  return calendar.value();
}

std::uint64_t hash_of(std::string_view key) { return XXH3_64bits(key.data(), key.size()); }

}  // namespace

// Rows that go out, column by column.
struct NativeWindow::Results {
  explicit Results(const NativeWindowSpec& s) : spec(s) {}

  void begin(std::size_t most) {
    arena = std::make_shared<Arena>(16 * 1024);
    const std::size_t n = spec.schema.fields.size();
    data.resize(n);
    valid.resize(n);
    for (std::size_t c = 0; c < n; ++c) {
      data[c] = static_cast<char*>(arena->allocate(most * value_width(spec.schema.fields[c].type.kind), 16));
      valid[c] = arena->make<std::uint8_t>(most);
    }
    time = arena->make<EventTime>(most);
    rows = 0;
  }
  void flush(EventTime before, Output& out, OperatorStats& stats) {
    if (rows == 0) return;
    Batch b;
    b.schema = &spec.schema;
    b.rows = rows;
    for (std::size_t c = 0; c < data.size(); ++c) b.columns.push_back({spec.schema.fields[c].type, data[c], valid[c]});
    b.time = time;
    auto* watermark = arena->make<EventTime>(rows);
    std::fill_n(watermark, rows, before);
    b.firing = b.retention = watermark;
    b.arenas.push_back(std::move(arena));
    stats.rows_out += rows;
    rows = 0;
    out.emit(std::move(b));
  }

  const NativeWindowSpec& spec;
  std::shared_ptr<Arena> arena;
  std::vector<char*> data;
  std::vector<std::uint8_t*> valid;
  EventTime* time = nullptr;
  std::uint32_t rows = 0;
};

namespace {

// One call of the function: what it gave is kept until it is known that no row failed.
struct Call {
  const NativeWindowSpec& spec;
  Arena& arena;
  std::vector<ts_value>& cells;
  std::string failure;

  static void* allocate(void* self, std::uint64_t bytes) {
    return bytes > kMostBytes ? nullptr : static_cast<Call*>(self)->arena.allocate(bytes);
  }
  static void fail(void* self, std::uint64_t, const char* message) {
    std::string& failure = static_cast<Call*>(self)->failure;
    if (failure.empty()) failure = std::string(message != nullptr ? message : "failed").substr(0, kMostMessage);
  }
  static void add(void* self, const ts_value* row) {
    Call& call = *static_cast<Call*>(self);
    for (std::uint32_t c = 0; c < call.spec.function->column_count; ++c) {
      ts_value v = row[c];
      const std::uint32_t kind = call.spec.function->columns[c].kind;
      if (v.null == 0 && (kind == TS_STRING || kind == TS_BYTES)) {
        if (v.as.text.data == nullptr && v.as.text.size != 0) {
          fail(self, 0, "the native function gave a text without bytes");
          return;
        }
        const std::string_view kept = call.arena.copy({v.as.text.data, v.as.text.size});
        if (kind == TS_STRING && !is_utf8(kept)) fail(self, 0, "the native function gave a string that is not UTF-8");
        v.as.text = {kept.data(), kept.size()};
      }
      call.cells.push_back(v);
    }
  }
};

void put(const ts_value& v, DataType type, std::uint32_t row, char* data, std::uint8_t* valid) {
  valid[row] = v.null == 0;
  char* to = data + row * value_width(type.kind);
  switch (type.kind) {
    case TypeKind::boolean: *to = v.null == 0 && v.as.boolean != 0; return;
    case TypeKind::float64: {
      const double d = v.null == 0 ? v.as.float64 : 0;
      std::memcpy(to, &d, sizeof d);
      return;
    }
    case TypeKind::string:
    case TypeKind::bytes:
      new (to)
          std::string_view(v.null == 0 ? std::string_view(v.as.text.data, v.as.text.size) : std::string_view("", 0));
      return;
    default: {
      const std::int64_t n = v.null == 0 ? v.as.int64 : 0;
      std::memcpy(to, &n, sizeof n);
    }
  }
}

}  // namespace

NativeWindow::NativeWindow(NativeWindowSpec spec)
    : spec_(std::move(spec)),
      calendar_(calendar_of(spec_)),
      key_codec_(spec_.key_columns, spec_.key_types),
      argument_codec_(spec_.argument_columns, spec_.argument_types),
      results_(std::make_unique<Results>(spec_)) {}

NativeWindow::~NativeWindow() = default;

// ---- rows ----------------------------------------------------------------------------------------------------------

void NativeWindow::add(WindowRange range, std::string_view key, std::uint64_t hash, Row row, bool saved) {
  std::unique_ptr<Window>& window = windows_[range.end];
  if (window == nullptr) window = std::make_unique<Window>(range);
  const std::uint32_t kid = window->keys.find_or_add(hash, key, window->bytes);
  if (kid == window->rows.size()) window->rows.emplace_back();
  const std::string_view kept = window->bytes.copy({row.values, row.size});
  row.values = kept.data();
  row.key = kid;
  window->rows[kid].push_back(row);
  if (!saved) window->unsaved.push_back(row);
  ++window->count;
}

void NativeWindow::process(unsigned, Batch&& batch, Output& out) {
  stats_.rows_in += batch.rows;
  batch_ = std::move(batch);
  row_ = 0;
  target_ = kMinTime;
  resume(out);
}

void NativeWindow::watermark(unsigned, Watermark watermark, Output& out) {
  target_ = shift(watermark.retention, -spec_.allow_lateness);
  resume(out);
}

void NativeWindow::finish(Output& out) {
  target_ = kMaxTime;
  resume(out);
}

void NativeWindow::resume(Output& out) {
  portion_ = kPortion;
  pending_ = true;
  run(out);
}

void NativeWindow::run(Output& out) {
  for (; row_ < batch_.rows; ++row_) {
    if (batch_.retention != nullptr && !advance(shift(batch_.retention[row_], -spec_.allow_lateness), out)) return;
    const EventTime t = batch_.time[row_];
    if (t < Calendar::kEarliest || t > Calendar::kLatest || is_retraction(batch_.flag(row_))) [[unlikely]] {
      ++stats_.rows_failed;
      out.failed(
          batch_, row_,
          is_retraction(batch_.flag(row_)) ? "a window function takes no retractions" : "event time out of range");
      continue;
    }
    const WindowRange range = calendar_.window_of(t);
    if (range.end - 1 <= retention_) {
      late_.push_back(row_);
      continue;
    }
    key_.clear();
    key_codec_.append(batch_, row_, key_);
    values_.clear();
    argument_codec_.append(batch_, row_, values_);
    add(range, key_, batch_.hash != nullptr ? batch_.hash[row_] : hash_of(key_),
        {t, next_number_++, values_.data(), static_cast<std::uint32_t>(values_.size()), 0}, false);
  }
  if (!late_.empty()) {
    stats_.rows_late += late_.size();
    out.late(
        gather(batch_, late_.data(), static_cast<std::uint32_t>(late_.size()), std::make_shared<Arena>(16 * 1024)));
    late_.clear();
  }
  batch_ = {};
  row_ = 0;
  if (!advance(target_, out)) return;
  pending_ = false;
  if (told_ == retention_) return;
  told_ = retention_;
  out.watermark({told_, told_});  // windows fire when R passes them, so F downstream is R as well
}

bool NativeWindow::advance(EventTime retention, Output& out) {
  if (retention <= retention_) return true;
  while (!windows_.empty() && windows_.begin()->first - 1 <= retention) {
    if (!fire(*windows_.begin()->second, out)) return false;
    closed_ = windows_.begin()->first;
    if (saving_) fired_.push_back(std::move(windows_.begin()->second));
    windows_.erase(windows_.begin());
  }
  results_->flush(retention_, out, stats_);
  retention_ = retention;
  return true;
}

bool NativeWindow::fire(Window& window, Output& out) {
  if (order_.empty()) {
    // Keys in the order of their first rows: numbers of arrival are kept through restarts, the numbers of keys are not.
    std::vector<std::pair<std::uint64_t, std::uint32_t>> first;
    for (std::uint32_t kid = 0; kid < window.rows.size(); ++kid) {
      std::uint64_t number = window.rows[kid][0].number;
      for (const Row& r : window.rows[kid]) number = std::min(number, r.number);
      first.emplace_back(number, kid);
    }
    std::sort(first.begin(), first.end());
    for (const auto& [number, kid] : first) order_.push_back(kid);
    next_key_ = 0;
  }
  while (give_rows(window, out)) {
    if (next_key_ == order_.size()) {
      order_.clear();
      cells_.clear();
      call_arena_.reset();
      return true;
    }
    if (portion_ == 0) return false;
    --portion_;
    call(window, order_[next_key_++], out);
  }
  return false;
}

void NativeWindow::call(Window& window, std::uint32_t key, Output& out) {
  std::vector<Row>& rows = window.rows[key];
  std::sort(rows.begin(), rows.end(),
            [](const Row& a, const Row& b) { return a.time != b.time ? a.time < b.time : a.number < b.number; });
  call_arena_ = std::make_unique<Arena>(16 * 1024);
  std::vector<const char*> encoded;
  std::vector<EventTime> times;
  for (const Row& r : rows) {
    encoded.push_back(r.values);
    times.push_back(r.time);
  }
  const std::vector<Column> columns = decode_rows(spec_.argument_types, encoded.data(), rows.size(), *call_arena_);
  std::vector<ts_column> args;
  for (std::size_t c = 0; c < columns.size(); ++c)
    args.push_back(
        native_column(columns[c].data, columns[c].valid, false, spec_.function->args[c], rows.size(), *call_arena_));
  cells_.clear();
  next_cell_ = 0;
  Call call{spec_, *call_arena_, cells_, {}};
  const ts_host host{&call, &Call::allocate, &Call::fail, nullptr};
  const ts_rows sink{&call, &Call::add};
  spec_.function->run(&host, rows.size(), args.data(), times.data(), &sink);
  if (call.failure.empty()) return;

  // What goes to the dead letters is the key with its window.
  cells_.clear();
  Batch b;
  b.schema = &spec_.schema;
  b.rows = 1;
  Results one(spec_);
  one.begin(1);
  put_bounds(one, window, window.keys.key(window.keys.entry(key)));
  for (std::size_t c = 0; c < one.data.size(); ++c) {
    if (c >= spec_.key_types.size() + 2) put({1, {}}, spec_.schema.fields[c].type, 0, one.data[c], one.valid[c]);
    b.columns.push_back({spec_.schema.fields[c].type, one.data[c], one.valid[c]});
  }
  b.time = one.time;
  b.arenas.push_back(one.arena);
  ++stats_.rows_failed;
  out.failed(b, 0, call.failure);
}

void NativeWindow::put_bounds(Results& to, const Window& window, std::string_view key) const {
  const std::uint32_t at = to.rows;
  const char* row = key.data();
  const std::size_t keys = spec_.key_types.size();
  const std::vector<Column> columns = decode_rows(spec_.key_types, &row, 1, *to.arena);  // copies texts
  for (std::size_t c = 0; c < keys; ++c) {
    const std::size_t width = value_width(spec_.key_types[c].kind);
    to.valid[c][at] = !columns[c].is_null(0);
    std::memcpy(to.data[c] + at * width, columns[c].data, width);
  }
  const EventTime bounds[2] = {window.range.start, window.range.end};
  for (std::size_t c = 0; c < 2; ++c) {
    to.valid[keys + c][at] = 1;
    std::memcpy(to.data[keys + c] + at * 8, &bounds[c], 8);
  }
  to.time[at] = window.range.end - 1;
}

bool NativeWindow::give_rows(const Window& window, Output& out) {
  const std::uint32_t width = spec_.function->column_count;
  while (next_cell_ < cells_.size()) {
    if (results_->rows == kBatch) results_->flush(retention_, out, stats_);
    if (!out.has_room()) return false;
    if (results_->rows == 0) results_->begin(kBatch);
    put_bounds(*results_, window, window.keys.key(window.keys.entry(order_[next_key_ - 1])));
    for (std::uint32_t c = 0; c < width; ++c) {
      const std::size_t column = spec_.key_types.size() + 2 + c;
      ts_value v = cells_[next_cell_ + c];
      const DataType type = spec_.schema.fields[column].type;
      if (v.null == 0 && type.is_string_like()) {
        const std::string_view kept = results_->arena->copy({v.as.text.data, v.as.text.size});
        v.as.text = {kept.data(), kept.size()};
      }
      put(v, type, results_->rows, results_->data[column], results_->valid[column]);
    }
    ++results_->rows;
    next_cell_ += width;
  }
  return true;
}

// ---- state ---------------------------------------------------------------------------------------------------------

bool NativeWindow::begin_snapshot(DeltaWriter& out) {
  TS_CHECK(!saving_);
  if (closed_ != kMinTime) out.drop_below(kRows, 0, closed_ + 1);
  closed_ = kMinTime;
  for (auto& [end, window] : windows_)
    if (!window->unsaved.empty()) saving_windows_.emplace_back(window.get(), std::move(window->unsaved));
  return saving_ = !saving_windows_.empty();
}

bool NativeWindow::snapshot_portion(std::size_t entries, DeltaWriter& out) {
  std::string key, value;
  for (; !saving_windows_.empty(); saving_windows_.pop_front()) {
    auto& [window, list] = saving_windows_.front();
    while (!list.empty()) {
      if (entries == 0) return true;
      const auto some = list.take(entries);
      entries -= some.size();
      for (const Row& row : some) {
        const std::string_view encoded = window->keys.key(window->keys.entry(row.key));
        key.assign(reinterpret_cast<const char*>(&row.number), 8);
        key += encoded;
        value.assign(reinterpret_cast<const char*>(&row.time), 8);
        value.append(row.values, row.size);
        out.put(kRows, key_group_of(hash_of(encoded)), window->range.end, key, value);
      }
    }
  }
  fired_.clear();
  return saving_ = false;
}

Status NativeWindow::restore(const StateEntry& e) {
  if (e.space != kRows) return data_error(fmt::format("window function state: unknown space {}", e.space));
  if (e.kind != StateEntry::Kind::put) return ok();  // restore_watermark() knows what is over
  Row row;
  if (e.key.size() < 8 || e.value.size() < 8 || !key_codec_.well_formed(e.key.substr(8)) ||
      !argument_codec_.well_formed(e.value.substr(8)))
    return data_error("window function state: an entry does not fit this step");
  std::memcpy(&row.number, e.key.data(), 8);
  std::memcpy(&row.time, e.value.data(), 8);
  if (row.time < Calendar::kEarliest || row.time > Calendar::kLatest || calendar_.window_of(row.time).end != e.tag)
    return data_error("window function state: a row lies in another window");
  row.values = e.value.data() + 8;
  row.size = static_cast<std::uint32_t>(e.value.size() - 8);
  next_number_ = std::max(next_number_, row.number + 1);
  const std::string_view key = e.key.substr(8);
  add(calendar_.window_of(row.time), key, hash_of(key), row, true);
  return ok();
}

void NativeWindow::restore_watermark(unsigned, Watermark watermark) {
  retention_ = told_ = shift(watermark.retention, -spec_.allow_lateness);
  while (!windows_.empty() && windows_.begin()->first - 1 <= retention_) windows_.erase(windows_.begin());
}

OperatorStats NativeWindow::stats() const {
  OperatorStats s = stats_;
  for (const auto& [end, window] : windows_) {
    s.state_rows += window->count;
    s.state_bytes +=
        window->keys.bytes() + window->bytes.bytes() + window->count * sizeof(Row) + window->unsaved.bytes();
  }
  return s;
}

}  // namespace twinspan::engine
