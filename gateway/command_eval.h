#pragma once
// `twinspan eval 'expression' [--json rows.jsonl|-]`: the playground of the expression language. The columns are those
// of the rows, with the types they seem to have or that --fields gives them; rows are decoded, computed and encoded as
// in a pipeline. Exit codes: 0, 1 a row failed, 2 usage, 78 the expression or a field type is wrong. Thread: main.

#include <string>
#include <vector>

#include "config/diagnostic.h"
#include "connectors/formats/json_decoder.h"

namespace twinspan::gateway {

// The fields of JSON objects, in the order in which they first appear, with the type of their first value: bool,
// string, int64, or float64 if some number is not whole; string where there is nothing but null. Lists and maps are
// left out.
std::vector<connectors::JsonField> infer_fields(const std::vector<std::string>& lines);

// `name:type,name:decimal(18,4)`, types as in a pipeline.
Result<std::vector<connectors::JsonField>> parse_fields(const std::string& text);

struct EvalOutcome {
  DataType type;
  struct Row {
    std::string value;  // JSON
    std::string error;  // not empty: there is no value
  };
  std::vector<Row> rows;
};

// Without rows: once, over no columns. nullopt: the expression is wrong, and `diagnostics` says where.
std::optional<EvalOutcome> evaluate(const std::string& expression, const std::vector<connectors::JsonField>& fields,
                                    const std::vector<std::string>* lines, config::Diagnostics& diagnostics);

int command_eval(const std::vector<std::string>& args);

}  // namespace twinspan::gateway
