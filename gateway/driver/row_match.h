#pragma once
// What came out against what was expected. Only the fields an expected row lists are compared: scalars by the type that
// came out (numbers by their exact digits, times as times), lists and maps through and through. Beside the fields of
// the JSON a row has _key, _timestamp, _headers, _op (+I, -U, +U, -D) and _final. Thread: any.

#include <string>
#include <utility>
#include <vector>

#include "config/document.h"
#include "gateway/driver/virtual_clusters.h"

namespace twinspan::gateway {

struct ResultValue {
  enum class Kind : std::uint8_t { null, boolean, number, text, list, map } kind = Kind::null;
  std::string text;  // scalars: the digits, the text, true or false
  std::vector<ResultValue> items;
  std::vector<std::pair<std::string, ResultValue>> fields;  // map

  const ResultValue* find(std::string_view name) const;
};

std::string to_string(const ResultValue& value);

// A record of a sink as a map of its fields and its other parts.
ResultValue result_of(const VirtualOutput& output);

bool matches(const config::Node& expected, const ResultValue& actual);

struct RowDifference {
  std::string field;  // empty: the row as a whole
  std::string expected, actual;
  bool equal = false;
};

// One thing about the rows that is not as expected: a pair that differs, a row that is missing, one too many.
struct RowComplaint {
  const config::Node* expected = nullptr;  // nullptr: nobody expected it
  const ResultValue* actual = nullptr;     // nullptr: nothing like it came
  std::vector<RowDifference> fields;       // of a pair: what is listed, in its order
};

// `exact`: every row must be expected. `ordered`: in this order. Pairs with the most equal fields are complained about
// first.
std::vector<RowComplaint> compare_rows(const std::vector<config::Node>& expected,
                                       const std::vector<ResultValue>& actual, bool exact, bool ordered);

}  // namespace twinspan::gateway
