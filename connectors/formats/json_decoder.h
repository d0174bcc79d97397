#pragma once
// Turns JSON objects into a columnar Batch. Only the fields the plan uses are materialised; everything else is skipped,
// but the whole record must be valid JSON (of unused strings the escapes alone are not looked at).
//
// How it is fast (performance.md B.2, D.4): payloads are copied once, side by side, into the batch's arena; simdjson's
// stage 1 (run-time dispatched up to AVX-512) finds the structural characters of many records in one call; our own walk
// over that index then needs no search: the keys of the record before are tried first, in their order ("learned field
// order"), and strings without escapes become views of the copy.
//
// Rules: missing key or JSON null = NULL. Of duplicate keys the last one wins. Nothing is converted silently: a number
// for a string column, 1.5 or 1.0 for int64, a value out of range are failures. Decimals are read from their digits,
// from a number or a string (digits beyond the scale are rounded half up, as CAST does). Event times and timestamps lie
// in the years 1 to 9999.
//
// Owned by a shard's source step. Thread: shard.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "connectors/lane.h"
#include "connectors/source.h"
#include "engine/base/batch.h"
#include "engine/base/result.h"

namespace twinspan::connectors {

struct JsonField {
  // How a timestamp column is written in the JSON; ignored for other types.
  enum class Wire : std::uint8_t {
    millis,   // 1767225600000
    seconds,  // 1767225600 or 1767225600.25
    iso8601,  // "2026-01-01T00:00:00Z"
  };
  std::string name;  // key in the JSON object and name of the column
  DataType type;
  Wire wire = Wire::millis;
};

// What every record offers beside its fields.
enum class MetaColumn : std::uint8_t {
  key,        // _key string; NULL if the record has none
  timestamp,  // _timestamp timestamp
  cluster,    // _cluster string
  topic,      // _topic string
  partition,  // _partition int64
  offset,     // _offset int64
};
const char* column_name(MetaColumn column);
DataType column_type(MetaColumn column);

struct JsonDecoderOptions {
  std::vector<JsonField> fields;
  std::vector<MetaColumn> meta;
  int event_time_field = -1;  // index in `fields` (timestamp, or int64 in ms); -1 = the record's own timestamp
};

struct DecodeFailure {
  std::uint32_t index = 0;  // in the records given to decode()
  std::string reason;       // names the field
};

class JsonDecoder {
 public:
  // Config error: a type no JSON value can have, a name twice, an event time field of the wrong type.
  static Result<std::unique_ptr<JsonDecoder>> make(JsonDecoderOptions options);
  ~JsonDecoder();

  // Columns of the batches: the fields, then the meta columns, in the order given.
  Schema schema() const;

  // Must be told of a lane before its first record (LaneEvent::added): names for _cluster, _topic, _partition.
  void add_lane(LaneIndex lane, const LaneKey& key);

  // Rows that fail are left out of the batch and appended to `failures` in order. The batch owns all its bytes: the
  // records may be released afterwards. `schema` is what schema() says, owned by the plan. Sets time, origins, columns.
  Batch decode(const RawRecord* records, std::size_t n, const Schema* schema, std::vector<DecodeFailure>& failures);

 private:
  struct Impl;
  explicit JsonDecoder(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace twinspan::connectors
