#pragma once
// Turns rows of a Batch into JSON objects, one at a time, appended to a buffer of the caller. Keys are escaped once.
// int64 and decimal: exact digits. float64: shortest text that reads back the same; NaN and infinities are null.
// Timestamps: ISO 8601 UTC strings, or integers in ms. Durations: integer ms. bytes: base64. Strings: as they are, with
// the escapes JSON requires; bytes that are not UTF-8 become U+FFFD, so that the output always parses.
// Thread: shard.

#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/batch.h"

namespace twinspan::connectors {

struct JsonEncoderOptions {
  enum class Timestamps : std::uint8_t { iso8601, millis } timestamps = Timestamps::iso8601;
  bool op_field = false;     // adds "_op": "+I" | "-U" | "+U" | "-D"
  bool final_field = false;  // adds "_final": true | false (false: fired while a cluster was away)
};

class JsonEncoder {
 public:
  explicit JsonEncoder(const Schema& schema, JsonEncoderOptions options = {});

  // Appends {"a":1,...} of one row, without a line end. `batch` has the schema given.
  void encode(const Batch& batch, std::size_t row, std::string& out) const;

 private:
  std::vector<std::string> keys_;  // {"a":  then  ,"b":  ...
  JsonEncoderOptions options_;
};

// "+I", "-U", "+U", "-D": the value of the header `op`, as Flink writes it.
const char* op_text(RowOp op);

}  // namespace twinspan::connectors
