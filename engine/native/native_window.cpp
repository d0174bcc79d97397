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

  void begin() {
    arena = std::make_shared<Arena>(16 * 1024);
    const std::size_t n = spec.schema.fields.size();
    data.resize(n);
    valid.resize(n);
    for (std::size_t c = 0; c < n; ++c) {
      data[c] = static_cast<char*>(arena->allocate(kBatch * value_width(spec.schema.fields[c].type.kind), 16));
      valid[c] = arena->make<std::uint8_t>(kBatch);
    }
    time = arena->make<EventTime>(kBatch);
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
  std::vector<ts_value> cells;
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
  window->rows[kid].push_back(row);
  if (!saved) window->unsaved.emplace_back(kid, static_cast<std::uint32_t>(window->rows[kid].size() - 1));
  ++window->count;
}

void NativeWindow::process(unsigned, Batch&& batch, Output& out) {
  stats_.rows_in += batch.rows;
  for (std::uint32_t i = 0; i < batch.rows; ++i) {
    if (batch.retention != nullptr) advance(shift(batch.retention[i], -spec_.allow_lateness), out);
    const EventTime t = batch.time[i];
    if (t < Calendar::kEarliest || t > Calendar::kLatest || is_retraction(batch.flag(i))) [[unlikely]] {
      ++stats_.rows_failed;
      out.failed(batch, i,
                 is_retraction(batch.flag(i)) ? "a window function takes no retractions" : "event time out of range");
      continue;
    }
    const WindowRange range = calendar_.window_of(t);
    if (range.end - 1 <= retention_) {
      late_.push_back(i);
      continue;
    }
    key_.clear();
    key_codec_.append(batch, i, key_);
    values_.clear();
    argument_codec_.append(batch, i, values_);
    add(range, key_, batch.hash != nullptr ? batch.hash[i] : hash_of(key_),
        {t, next_number_++, values_.data(), static_cast<std::uint32_t>(values_.size())}, false);
  }
  if (!late_.empty()) {
    stats_.rows_late += late_.size();
    out.late(gather(batch, late_.data(), static_cast<std::uint32_t>(late_.size()), std::make_shared<Arena>(16 * 1024)));
    late_.clear();
  }
  tell(out);
}

void NativeWindow::watermark(unsigned, Watermark watermark, Output& out) {
  advance(shift(watermark.retention, -spec_.allow_lateness), out);
  tell(out);
}

void NativeWindow::finish(Output& out) {
  advance(kMaxTime, out);
  tell(out);
}

void NativeWindow::advance(EventTime retention, Output& out) {
  if (retention <= retention_) return;
  while (!windows_.empty() && windows_.begin()->first - 1 <= retention) {
    fire(*windows_.begin()->second, out);
    closed_ = windows_.begin()->first;
    windows_.erase(windows_.begin());
  }
  results_->flush(retention_, out, stats_);
  retention_ = retention;
}

// Windows fire when R passes them, so F downstream is R as well.
void NativeWindow::tell(Output& out) {
  if (told_ == retention_) return;
  told_ = retention_;
  out.watermark({told_, told_});
}

void NativeWindow::fire(Window& window, Output& out) {
  const std::size_t keys = spec_.key_types.size();
  std::vector<const char*> encoded;
  std::vector<EventTime> times;
  // Keys in the order of their first rows: numbers of arrival are kept through restarts, the numbers of keys are not.
  std::vector<std::pair<std::uint64_t, std::uint32_t>> order;
  for (std::uint32_t kid = 0; kid < window.rows.size(); ++kid) {
    const std::vector<Row>& rows = window.rows[kid];
    const auto first =
        std::min_element(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.number < b.number; });
    order.emplace_back(first->number, kid);
  }
  std::sort(order.begin(), order.end());
  for (const auto& [first, kid] : order) {
    std::vector<Row>& rows = window.rows[kid];
    std::sort(rows.begin(), rows.end(),
              [](const Row& a, const Row& b) { return a.time != b.time ? a.time < b.time : a.number < b.number; });
    Arena arena(16 * 1024);
    encoded.clear();
    times.clear();
    for (const Row& r : rows) {
      encoded.push_back(r.values);
      times.push_back(r.time);
    }
    const std::vector<Column> columns = decode_rows(spec_.argument_types, encoded.data(), rows.size(), arena);
    std::vector<ts_column> args;
    for (std::size_t c = 0; c < columns.size(); ++c)
      args.push_back(
          native_column(columns[c].data, columns[c].valid, false, spec_.function->args[c], rows.size(), arena));
    Call call{spec_, arena, {}, {}};
    const ts_host host{&call, &Call::allocate, &Call::fail};
    const ts_rows sink{&call, &Call::add};
    spec_.function->run(&host, rows.size(), args.data(), times.data(), &sink);

    const std::string_view key = window.keys.key(window.keys.entry(kid));
    const char* key_row = key.data();
    const std::vector<Column> key_columns = decode_rows(spec_.key_types, &key_row, 1, arena);
    const std::uint32_t width = spec_.function->column_count;
    const std::size_t n = call.failure.empty() ? call.cells.size() / width : 1;
    for (std::size_t r = 0; r < n; ++r) {
      if (results_->rows == kBatch) results_->flush(retention_, out, stats_);
      if (results_->rows == 0) results_->begin();
      const std::uint32_t at = results_->rows;
      for (std::size_t c = 0; c < keys; ++c) {
        const std::size_t w = value_width(spec_.key_types[c].kind);
        results_->valid[c][at] = !key_columns[c].is_null(0);
        std::memcpy(results_->data[c] + at * w, key_columns[c].data, w);
        if (spec_.key_types[c].is_string_like())
          new (results_->data[c] + at * w)
              std::string_view(results_->arena->copy(key_columns[c].as<std::string_view>()[0]));
      }
      const EventTime bounds[2] = {window.range.start, window.range.end};
      for (std::size_t c = 0; c < 2; ++c) {
        results_->valid[keys + c][at] = 1;
        std::memcpy(results_->data[keys + c] + at * 8, &bounds[c], 8);
      }
      for (std::uint32_t c = 0; c < width; ++c) {
        const std::size_t column = keys + 2 + c;
        ts_value v = call.failure.empty() ? call.cells[r * width + c] : ts_value{1, {}};
        const DataType type = spec_.schema.fields[column].type;
        if (v.null == 0 && type.is_string_like()) {
          const std::string_view kept = results_->arena->copy({v.as.text.data, v.as.text.size});
          v.as.text = {kept.data(), kept.size()};
        }
        put(v, type, at, results_->data[column], results_->valid[column]);
      }
      results_->time[at] = window.range.end - 1;
      if (call.failure.empty()) {
        ++results_->rows;
        continue;
      }
      Batch b;
      b.schema = &spec_.schema;
      b.rows = at + 1;
      for (std::size_t c = 0; c < results_->data.size(); ++c)
        b.columns.push_back({spec_.schema.fields[c].type, results_->data[c], results_->valid[c]});
      b.time = results_->time;
      ++stats_.rows_failed;
      out.failed(b, at, call.failure);
    }
  }
}

// ---- state ---------------------------------------------------------------------------------------------------------

void NativeWindow::snapshot(DeltaWriter& out) {
  if (closed_ != kMinTime) out.drop_below(kRows, 0, closed_ + 1);
  closed_ = kMinTime;
  std::string key, value;
  for (auto& [end, window] : windows_) {
    for (const auto& [kid, index] : window->unsaved) {
      const std::string_view encoded = window->keys.key(window->keys.entry(kid));
      const Row& row = window->rows[kid][index];
      key.assign(reinterpret_cast<const char*>(&row.number), 8);
      key += encoded;
      value.assign(reinterpret_cast<const char*>(&row.time), 8);
      value.append(row.values, row.size);
      out.put(kRows, key_group_of(hash_of(encoded)), end, key, value);
    }
    window->unsaved = {};
  }
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
    s.state_bytes += window->keys.bytes() + window->bytes.bytes() + window->count * sizeof(Row);
  }
  return s;
}

}  // namespace twinspan::engine
