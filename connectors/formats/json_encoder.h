#pragma once
// Turns rows of a Batch into JSON objects, one at a time, appended to a buffer of the caller. Keys are escaped once.
// Values are written by append_json (base/json_text.h). Timestamps: ISO 8601 UTC strings, or integers in ms.
// Thread: shard.

#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/batch.h"
#include "engine/base/json_text.h"

namespace twinspan::connectors {

struct JsonEncoderOptions {
  using Timestamps = JsonTimestamps;
  Timestamps timestamps = Timestamps::iso8601;
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
