#include "connectors/formats/json_decoder.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "connectors/formats/json_value.h"
#include "connectors/formats/json_walk.h"

namespace twinspan::connectors {

using namespace json;

namespace {

// One call of stage 1 covers about this much: large enough to hide its start-up, small enough that text and index stay
// in the first-level cache or close to it, and that one broken record makes few others be indexed again.
constexpr std::size_t kBlockBytes = 32 * 1024;
// Between two records: the line end closes numbers, literals and unclosed strings; the colon is a structural character
// that no value may be followed by, so that a walk never runs from one record into the next.
constexpr char kSeparator[2] = {'\n', ':'};
constexpr std::size_t kPadding = 64;

void put_default(const FieldColumn& c, std::size_t row) {
  char* at = static_cast<char*>(c.data) + row * value_width(c.kind);
  if (c.detail->field.type.is_string_like()) {
    const std::string_view empty("", 0);
    std::memcpy(at, &empty, sizeof empty);
  } else {
    std::memset(at, 0, value_width(c.kind));
  }
}

}  // namespace

const char* column_name(MetaColumn column) {
  switch (column) {
    case MetaColumn::key: return "_key";
    case MetaColumn::timestamp: return "_timestamp";
    case MetaColumn::cluster: return "_cluster";
    case MetaColumn::topic: return "_topic";
    case MetaColumn::partition: return "_partition";
    case MetaColumn::offset: return "_offset";
  }
  return "?";
}

DataType column_type(MetaColumn column) {
  switch (column) {
    case MetaColumn::timestamp: return types::timestamp;
    case MetaColumn::partition:
    case MetaColumn::offset: return types::int64;
    default: return types::string;
  }
}

struct JsonDecoder::Impl : JsonWalk {
  JsonDecoderOptions options;
  std::vector<LaneKey> lanes;  // by LaneIndex
  struct Part {
    std::uint32_t begin, end;  // relative to base
  };
  std::vector<Part> parts;  // of the block

  bool event_time_ok(const RawRecord& record);
  void meta_columns(Batch& batch, const RawRecord* records, const Origins& origins,
                    const std::vector<std::uint32_t>& kept, Arena& to);
};

bool JsonDecoder::Impl::event_time_ok(const RawRecord& record) {
  if (options.event_time_field < 0)
    return is_sane_time(record.timestamp) && record.timestamp >= 0
               ? true
               : fail("the record has no timestamp to take its event time from");
  FieldColumn& c = columns[static_cast<std::size_t>(options.event_time_field)];
  if (c.valid[row] == 0) return fail(fmt::format("event time field \"{}\" is missing or NULL", c.detail->field.name));
  return is_sane_time(c.as<std::int64_t>()[row]) ||
         fail(fmt::format("event time field \"{}\" is outside the years 1 to 9999", c.detail->field.name));
}

void JsonDecoder::Impl::meta_columns(Batch& batch, const RawRecord* records, const Origins& origins,
                                     const std::vector<std::uint32_t>& kept, Arena& to) {
  const std::size_t n = kept.size();
  for (const MetaColumn meta : options.meta) {
    Column out{column_type(meta), nullptr, nullptr};
    if (out.type.is_string_like()) {
      auto* data = to.make<std::string_view>(n);
      std::uint8_t* valid = nullptr;
      std::string_view last;
      for (std::size_t i = 0; i < n; ++i) {
        const RawRecord& r = records[kept[i]];
        if (meta == MetaColumn::key) {
          data[i] = to.copy(r.key);
          if (r.has_key) continue;
          if (valid == nullptr) valid = static_cast<std::uint8_t*>(std::memset(to.make<std::uint8_t>(n), 1, n));
          valid[i] = 0;
          continue;
        }
        TS_CHECK(r.lane.value < lanes.size());
        const std::string& name = meta == MetaColumn::cluster ? lanes[r.lane.value].cluster : lanes[r.lane.value].topic;
        if (last != name) last = to.copy(name);
        data[i] = last;
      }
      out.data = data;
      out.valid = valid;
    } else {
      auto* data = to.make<std::int64_t>(n);
      for (std::size_t i = 0; i < n; ++i) {
        const RawRecord& r = records[kept[i]];
        TS_CHECK(meta != MetaColumn::partition || r.lane.value < lanes.size());
        data[i] = meta == MetaColumn::timestamp   ? r.timestamp
                  : meta == MetaColumn::partition ? lanes[r.lane.value].partition
                                                  : origins.offset[i];
      }
      out.data = data;
    }
    batch.columns.push_back(out);
  }
}

JsonDecoder::JsonDecoder(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
JsonDecoder::~JsonDecoder() = default;

Result<std::unique_ptr<JsonDecoder>> JsonDecoder::make(JsonDecoderOptions options) {
  for (std::size_t i = 0; i < options.fields.size(); ++i) {
    const JsonField& f = options.fields[i];
    if (f.name.empty()) return config_error("a JSON field has no name");
    if (f.type.kind == TypeKind::null) return config_error(fmt::format("field \"{}\": no type", f.name));
    for (std::size_t k = 0; k < i; ++k)
      if (options.fields[k].name == f.name) return config_error(fmt::format("field \"{}\" is named twice", f.name));
    for (const MetaColumn m : options.meta)
      if (f.name == column_name(m))
        return config_error(fmt::format("field \"{}\" has the name of a built-in column", f.name));
  }
  const int event_time = options.event_time_field;
  if (event_time >= 0) {
    TS_CHECK(static_cast<std::size_t>(event_time) < options.fields.size());
    const JsonField& f = options.fields[static_cast<std::size_t>(event_time)];
    if (f.type.kind != TypeKind::timestamp && f.type.kind != TypeKind::int64)
      return config_error(fmt::format("event time field \"{}\" is {}: use timestamp, or int64 in milliseconds", f.name,
                                      to_string(f.type)));
  }
  auto impl = std::make_unique<Impl>();
  for (const JsonField& f : options.fields) {
    impl->details.push_back(std::make_unique<FieldDetail>());
    FieldDetail& detail = *impl->details.back();
    detail.field = f;
    if (f.type.is_nested()) detail.reader = std::make_unique<JsonReader>(f.type);
    impl->columns.push_back({nullptr, nullptr, &detail, f.type.kind, f.wire, false});
  }
  impl->options = std::move(options);
  return std::unique_ptr<JsonDecoder>(new JsonDecoder(std::move(impl)));
}

Schema JsonDecoder::schema() const {
  Schema s;
  for (const FieldColumn& c : impl_->columns) s.fields.push_back({c.detail->field.name, c.detail->field.type});
  for (const MetaColumn m : impl_->options.meta) s.fields.push_back({column_name(m), column_type(m)});
  return s;
}

void JsonDecoder::add_lane(LaneIndex lane, const LaneKey& key) {
  if (lane.value >= impl_->lanes.size()) impl_->lanes.resize(lane.value + 1);
  impl_->lanes[lane.value] = key;
}

Batch JsonDecoder::decode(const RawRecord* records, std::size_t n, const Schema* schema,
                          std::vector<DecodeFailure>& failures) {
  Impl& d = *impl_;
  Batch batch;
  batch.schema = schema;
  std::size_t text = kPadding;
  for (std::size_t i = 0; i < n; ++i) text += records[i].value.size() + sizeof kSeparator;
  std::size_t widths = 16;
  for (const FieldColumn& c : d.columns) widths += value_width(c.kind) + 1;
  auto arena = std::make_shared<Arena>(text + n * widths + 1024);
  d.arena = arena.get();
  for (FieldColumn& c : d.columns) {
    c.data = arena->allocate(n * value_width(c.kind), 16);
    c.valid = static_cast<std::uint8_t*>(std::memset(arena->make<std::uint8_t>(n + 1), 0, n));
    c.nulls = false;
  }
  char* write = static_cast<char*>(arena->allocate(text, 16));
  auto origins = std::make_shared<Origins>();
  origins->lane.reserve(n);
  origins->offset.reserve(n);
  origins->payload.reserve(n);
  std::vector<std::uint32_t> kept;
  kept.reserve(n);
  const bool checks_key =
      std::find(d.options.meta.begin(), d.options.meta.end(), MetaColumn::key) != d.options.meta.end();

  d.row = 0;
  for (std::size_t first = 0; first < n;) {
    // Lay a block of records side by side.
    char* const block = write;
    d.parts.clear();
    std::size_t next = first;
    for (; next < n; ++next) {
      const std::string_view value = records[next].value;
      const auto used = static_cast<std::size_t>(write - block);
      if (used > 0 && used + value.size() > kBlockBytes) break;
      d.parts.push_back({static_cast<std::uint32_t>(used), static_cast<std::uint32_t>(used + value.size())});
      if (!value.empty()) std::memcpy(write, value.data(), value.size());
      std::memcpy(write + value.size(), kSeparator, sizeof kSeparator);
      write += value.size() + sizeof kSeparator;
    }
    std::memset(write, 0, kPadding);  // the next block overwrites it
    d.base = block;
    const bool together = d.index.build(block, static_cast<std::size_t>(write - block)) == nullptr;
    d.at = d.index.positions();

    for (std::size_t i = first; i < next; ++i) {
      const RawRecord& record = records[i];
      const Impl::Part part = d.parts[i - first];
      const char* error = nullptr;
      const char* const payload = block + part.begin;
      std::uint32_t end = part.end + 1;  // of the separator's colon
      if (!together) {                   // some record of the block is broken: find out which, one by one
        d.base = payload;
        end -= part.begin;
        error = d.index.build(payload, part.end - part.begin + sizeof kSeparator);
        d.at = d.index.positions();
      }
      d.set = 0;
      bool good = false;
      if (!record.has_value)
        d.fail("no value (tombstone)");
      else if (error != nullptr)
        d.fail(std::string("not valid JSON: ") + error);
      else if (good = d.object(end) && d.event_time_ok(record); !good && *d.at > end)
        d.fail("not valid JSON: it ends early");
      if (good && checks_key && !is_utf8(record.key)) good = d.fail("_key is not valid UTF-8");
      if (together) {
        while (*d.at <= end && *d.at < static_cast<std::uint32_t>(write - block)) ++d.at;
      }
      if (!good) {
        for (FieldColumn& c : d.columns) c.valid[d.row] = 0;
        failures.push_back({static_cast<std::uint32_t>(i), std::move(d.reason)});
        continue;
      }
      if (d.set != d.columns.size()) {
        for (FieldColumn& c : d.columns) {
          if (c.valid[d.row] != 0) continue;
          put_default(c, d.row);
          c.nulls = true;
        }
      }
      origins->lane.push_back(record.lane);
      origins->offset.push_back(record.offset);
      origins->payload.emplace_back(payload, record.value.size());
      kept.push_back(static_cast<std::uint32_t>(i));
      ++d.row;
    }
    first = next;
  }

  batch.rows = static_cast<std::uint32_t>(d.row);
  for (const FieldColumn& c : d.columns)
    batch.columns.push_back({c.detail->field.type, c.data, c.nulls ? c.valid : nullptr});
  d.meta_columns(batch, records, *origins, kept, *arena);
  if (d.options.event_time_field >= 0) {
    batch.time = batch.columns[static_cast<std::size_t>(d.options.event_time_field)].as<EventTime>();
  } else {
    auto* time = arena->make<EventTime>(d.row + 1);
    for (std::size_t i = 0; i < d.row; ++i) time[i] = records[kept[i]].timestamp;
    batch.time = time;
  }
  batch.origins = std::move(origins);
  batch.arenas.push_back(std::move(arena));
  d.arena = nullptr;
  return batch;
}

}  // namespace twinspan::connectors
