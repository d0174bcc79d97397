#include "connectors/formats/json_decoder.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "connectors/formats/json_index.h"
#include "connectors/formats/json_value.h"
#include "engine/base/json_reader.h"
#include "engine/base/json_text.h"

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
constexpr int kMaxDepth = kMaxJsonDepth;
constexpr std::size_t kMaxLearned = 128;

// A key with its closing quote, compared as two masked words where it has at most 16 bytes.
struct KeyPattern {
  std::string text;  // key"
  std::array<std::uint64_t, 2> word{}, mask{};

  explicit KeyPattern(std::string_view key) : text(key) {
    text += '"';
    char bytes[16] = {}, ones[16] = {};
    const std::size_t n = std::min<std::size_t>(16, text.size());
    std::memcpy(bytes, text.data(), n);
    std::memset(ones, 0xFF, n);
    std::memcpy(word.data(), bytes, 16);
    std::memcpy(mask.data(), ones, 16);
  }
  bool matches(const char* at) const {  // `at`: behind the opening quote; 16 bytes are readable
    std::uint64_t a, b;
    std::memcpy(&a, at, 8);
    std::memcpy(&b, at + 8, 8);
    if ((((a & mask[0]) ^ word[0]) | ((b & mask[1]) ^ word[1])) != 0) return false;
    return text.size() <= 16 || std::memcmp(at + 16, text.data() + 16, text.size() - 16) == 0;
  }
};

struct LearnedKey {
  KeyPattern pattern;
  int field;  // -1: not used by the plan
};

// What a column is, for the slow ways.
struct FieldDetail {
  JsonField field;
  std::unique_ptr<JsonReader> reader;  // arrays, maps and rows
};

// What the walk touches of a column: half a cache line each.
struct alignas(32) FieldColumn {
  void* data = nullptr;
  std::uint8_t* valid = nullptr;
  FieldDetail* detail = nullptr;
  TypeKind kind = TypeKind::null;
  JsonField::Wire wire = JsonField::Wire::millis;
  bool nulls = false;

  template <class T>
  T* as() {
    return static_cast<T*>(data);
  }
};

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

struct JsonDecoder::Impl {
  JsonDecoderOptions options;
  std::vector<std::unique_ptr<FieldDetail>> details;
  std::vector<FieldColumn> columns;
  std::vector<LearnedKey> learned;  // in the order of the records seen last
  StructuralIndex index;
  std::vector<LaneKey> lanes;  // by LaneIndex

  // Of the record at work.
  const char* base = nullptr;  // of the block
  const std::uint32_t* at =
      nullptr;  // next structural position, relative to base; the walk below keeps it in a register
  Arena* arena = nullptr;
  std::size_t row = 0, set = 0;  // `set`: columns with a value in this row
  std::string reason;

  struct Part {
    std::uint32_t begin, end;  // relative to base
  };
  std::vector<Part> parts;

  // A position in the index; nullptr: failed, and `reason` and `at` say why and where.
  using Place = const std::uint32_t*;

  bool fail(std::string why) {
    reason = std::move(why);
    return false;
  }
  Place fail(Place here, std::string why) {
    at = here;
    reason = std::move(why);
    return nullptr;
  }
  Place broken(Place here) {
    at = here;
    return fail(here, "not valid JSON: " + describe(here));
  }
  std::string describe(Place here) const {
    const char c = base[*here];
    return c == ':' || c == '\0' ? std::string("it ends early, or a ':' is out of place")
                                 : fmt::format("unexpected {}", excerpt(here));
  }
  // The token there, shortened.
  std::string excerpt(Place here) const {
    std::string_view t(base + here[0], here[1] > here[0] ? here[1] - here[0] : 1);
    while (!t.empty() && is_end_of_scalar(static_cast<unsigned char>(t.back())) && t.size() > 1) t.remove_suffix(1);
    std::size_t n = std::min<std::size_t>(t.size(), 40);
    while (n > 0 && n < t.size() && (static_cast<unsigned char>(t[n]) & 0xC0) == 0x80) --n;
    return std::string(t.substr(0, n)) + (n < t.size() ? "..." : "");
  }
  Place wrong(Place here, const FieldColumn& c, const char* expected) {
    const char first = base[*here];
    if (first == ':' || first == ',' || first == '}' || first == ']' || first == '\0') return broken(here);
    const std::string found = first == '{' ? "an object" : first == '[' ? "an array" : excerpt(here);
    return fail(here, fmt::format("field \"{}\": expected {}, found {}", c.detail->field.name, expected, found));
  }

  // The string whose opening quote is there: between its closing quote and the next position is only white space.
  std::string_view inside(Place here) const {
    const char* first = base + here[0] + 1;
    const char* last = base + here[1] - 1;
    while (*last != '"') --last;
    return {first, static_cast<std::size_t>(last - first)};
  }

  int find_key(Place here, std::size_t& cursor, bool& bad);
  Place skip(Place here, int depth);
  Place skip_nested(Place here, int depth);
  Place convert(Place here, FieldColumn& c);
  Place convert_text(Place here, FieldColumn& c);
  Place convert_nested(Place here, FieldColumn& c);
  bool object(std::uint32_t end);
  bool event_time_ok(const RawRecord& record);
  void meta_columns(Batch& batch, const RawRecord* records, const Origins& origins,
                    const std::vector<std::uint32_t>& kept, Arena& to);
};

// The slow way to a key: not where the record before had it.
int JsonDecoder::Impl::find_key(Place here, std::size_t& cursor, bool& bad) {
  const char* key = base + *here + 1;
  for (std::size_t i = 0; i < learned.size(); ++i) {
    std::size_t k = cursor + i;
    if (k >= learned.size()) k -= learned.size();
    if (learned[k].pattern.matches(key)) {
      cursor = k + 1;
      return learned[k].field;
    }
  }
  std::string_view text = inside(here);
  if (text.find('\\') != std::string_view::npos) {  // an escaped key is compared, not learned
    const auto plain = json_unescape(text, *arena);
    if (!plain) return bad = true, -1;
    for (std::size_t f = 0; f < columns.size(); ++f)
      if (columns[f].detail->field.name == *plain) return static_cast<int>(f);
    return -1;
  }
  int field = -1;
  for (std::size_t f = 0; f < columns.size(); ++f)
    if (columns[f].detail->field.name == text) field = static_cast<int>(f);
  if (text.size() > 256) return field;
  if (learned.size() >= kMaxLearned) learned.clear(), cursor = 0;  // keys that vary from record to record: begin anew
  cursor = std::min(cursor, learned.size());
  learned.insert(learned.begin() + static_cast<std::ptrdiff_t>(cursor), LearnedKey{KeyPattern(text), field});
  ++cursor;
  return field;
}

// Moves past one value, checking its grammar.
inline JsonDecoder::Impl::Place JsonDecoder::Impl::skip(Place here, int depth) {
  const char* v = base + *here;
  if (*v == '"') return here + 1;
  if (static_cast<unsigned char>(*v - '-') <= '9' - '-') return number_end(v) != nullptr ? here + 1 : broken(here);
  return skip_nested(here, depth);
}

JsonDecoder::Impl::Place JsonDecoder::Impl::skip_nested(Place here, int depth) {
  const char* v = base + *here;
  switch (*v) {
    case 'n': return is_null(v) ? here + 1 : broken(here);
    case 't': return is_true(v) ? here + 1 : broken(here);
    case 'f': return is_false(v) ? here + 1 : broken(here);
    case '{':
    case '[': break;
    default: return broken(here);
  }
  if (depth >= kMaxDepth) return fail(here, fmt::format("nested deeper than {} levels", kMaxDepth));
  const bool is_object = *v == '{';
  const char close = is_object ? '}' : ']';
  ++here;
  if (base[*here] == close) return here + 1;
  for (;; ++here) {
    if (is_object) {
      if (base[*here] != '"') return broken(here);
      ++here;
      if (base[*here] != ':') return broken(here);
      ++here;
    }
    here = skip(here, depth + 1);
    if (here == nullptr) return nullptr;
    if (base[*here] == close) return here + 1;
    if (base[*here] != ',') return broken(here);
  }
}

[[gnu::always_inline]] inline JsonDecoder::Impl::Place JsonDecoder::Impl::convert_text(Place here, FieldColumn& c) {
  if (base[*here] != '"') return wrong(here, c, c.kind == TypeKind::timestamp ? "an ISO 8601 string" : "a string");
  std::string_view text = inside(here);
  if (has_backslash(text.data(), text.size())) [[unlikely]] {
    const auto plain = json_unescape(text, *arena);
    if (!plain) return wrong(here, c, "a string with valid escapes");
    text = *plain;
  }
  if (c.kind == TypeKind::string) {
    c.as<std::string_view>()[row] = text;
  } else if (c.kind == TypeKind::bytes) {
    const auto bytes = decode_base64(text, *arena);
    if (!bytes) return wrong(here, c, "base64");
    c.as<std::string_view>()[row] = *bytes;
  } else {
    const auto ms = parse_timestamp(text);
    if (!ms || !is_sane_time(*ms)) return wrong(here, c, "an ISO 8601 timestamp");
    c.as<std::int64_t>()[row] = *ms;
  }
  return here + 1;
}

// Arrays, maps, rows and json: the walk finds where the value ends, then its text is read by itself. Not inline, so
// that flat records pay nothing for it.
[[gnu::noinline, gnu::cold]] JsonDecoder::Impl::Place JsonDecoder::Impl::convert_nested(Place here, FieldColumn& c) {
  const Place next = skip(here, 1);
  if (next == nullptr) return nullptr;
  const std::string_view text = json_trimmed({base + *here, *next - *here});
  // The walk has not looked at escapes.
  if (!json_valid(text))
    return fail(here, fmt::format("field \"{}\": a string has a bad escape", c.detail->field.name));
  auto& to = c.as<std::string_view>()[row];
  if (c.kind == TypeKind::json) {
    to = text;
  } else if (c.detail->reader->read(text, *arena, &to) == JsonReader::Outcome::bad) {
    return fail(here, fmt::format("field \"{}{}\": {}", c.detail->field.name, c.detail->reader->path(),
                                  c.detail->reader->reason()));
  }
  if (c.valid[row] == 0) c.valid[row] = 1, ++set;
  return next;
}

inline JsonDecoder::Impl::Place JsonDecoder::Impl::convert(Place here, FieldColumn& c) {
  const char* v = base + *here;
  if (*v == 'n') {
    if (!is_null(v)) return broken(here);
    if (c.valid[row] != 0) c.valid[row] = 0, --set;  // a later duplicate takes the value back
    return here + 1;
  }
  switch (c.kind) {
    case TypeKind::int64:
    case TypeKind::duration:
      if (!read_int64(v, c.as<std::int64_t>()[row])) return wrong(here, c, "a 64-bit integer");
      break;
    case TypeKind::string:
    case TypeKind::bytes:
      if (convert_text(here, c) == nullptr) return nullptr;
      break;
    case TypeKind::timestamp: {
      if (c.wire == JsonField::Wire::iso8601) {
        if (convert_text(here, c) == nullptr) return nullptr;
        break;
      }
      std::int64_t ms = 0;
      if (c.wire == JsonField::Wire::millis) {
        if (!read_int64(v, ms)) return wrong(here, c, "a timestamp in whole milliseconds");
      } else {
        const char* end = number_end(v);
        const auto exact = end == nullptr ? std::nullopt : parse_decimal({v, static_cast<std::size_t>(end - v)}, 18, 3);
        if (!exact) return wrong(here, c, "a timestamp in seconds");
        ms = static_cast<std::int64_t>(*exact);
      }
      if (!is_sane_time(ms)) return wrong(here, c, "a timestamp in the years 1 to 9999");
      c.as<std::int64_t>()[row] = ms;
      break;
    }
    case TypeKind::float64: {
      const char* end = number_end(v);
      double d = 0;
      if (end == nullptr || std::from_chars(v, end, d).ec != std::errc()) return wrong(here, c, "a float64");
      c.as<double>()[row] = d;
      break;
    }
    case TypeKind::decimal: {
      std::string_view text;
      if (*v == '"') {
        text = inside(here);
      } else if (const char* end = number_end(v); end != nullptr) {
        text = {v, static_cast<std::size_t>(end - v)};
      }
      const auto value = read_decimal(text, c.detail->field.type);
      if (!value) return wrong(here, c, to_string(c.detail->field.type).c_str());
      c.as<Decimal>()[row] = *value;
      break;
    }
    case TypeKind::boolean:
      if (is_true(v))
        c.as<std::uint8_t>()[row] = 1;
      else if (is_false(v))
        c.as<std::uint8_t>()[row] = 0;
      else
        return wrong(here, c, "true or false");
      break;
    case TypeKind::array:
    case TypeKind::map:
    case TypeKind::row:
    case TypeKind::json: return convert_nested(here, c);
    case TypeKind::null: break;  // refused by make()
  }
  if (c.valid[row] == 0) c.valid[row] = 1, ++set;
  return here + 1;
}

// One record: an object, and nothing behind it up to the separator at `end`.
bool JsonDecoder::Impl::object(std::uint32_t end) {
  Place here = at;
  if (*here >= end) return fail("empty value");
  if (base[*here] != '{') return fail("not a JSON object: it starts with " + excerpt(here));
  ++here;
  std::size_t cursor = 0;
  if (base[*here] == '}') {
    ++here;
  } else {
    for (;;) {
      const char* key = base + *here;
      if (*key != '"' || base[here[1]] != ':') return broken(here) != nullptr;
      int field = -1;
      if (cursor < learned.size() && learned[cursor].pattern.matches(key + 1)) [[likely]] {
        field = learned[cursor++].field;
      } else {
        bool bad = false;
        field = find_key(here, cursor, bad);
        if (bad) return fail("not valid JSON: a key has a bad escape");
      }
      here += 2;
      here = field < 0 ? skip(here, 1) : convert(here, columns[static_cast<std::size_t>(field)]);
      if (here == nullptr) return false;
      const char c = base[*here++];
      if (c == ',') continue;
      if (c == '}') break;
      return broken(here - 1) != nullptr;
    }
  }
  at = here;
  if (*here < end) return fail("trailing characters after the object: " + excerpt(here));
  return *here == end || fail("not valid JSON: it ends early");
}

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
