#include "engine/operators/join_condition.h"

#include <algorithm>

#include "engine/state/row_codec.h"

namespace twinspan::engine {

void JoinCondition::test(const Batch& batch, unsigned input, const std::uint32_t* rows, const char* const* stored,
                         std::uint32_t n, std::uint8_t* verdicts, EvalErrors& errors) {
  Batch pairs;
  pairs.rows = n;
  Arena& arena = pairs.add_arena();
  for (unsigned s = 0; s < 2; ++s) {
    if (s == input) {
      for (const int c : sides_[s].columns) pairs.columns.push_back(gather(batch.columns[c], rows, n, arena));
    } else {
      for (const Column& c : decode_rows(sides_[s].types, stored, n, arena)) pairs.columns.push_back(c);
    }
  }
  run(pairs, verdicts, errors);
}

void JoinCondition::test(const char* const* left, const char* const* right, std::uint32_t n, std::uint8_t* verdicts,
                         EvalErrors& errors) {
  Batch pairs;
  pairs.rows = n;
  Arena& arena = pairs.add_arena();
  for (unsigned s = 0; s < 2; ++s)
    for (const Column& c : decode_rows(sides_[s].types, s == 0 ? left : right, n, arena)) pairs.columns.push_back(c);
  run(pairs, verdicts, errors);
}

void JoinCondition::run(Batch& pairs, std::uint8_t* verdicts, EvalErrors& errors) {
  std::fill_n(verdicts, pairs.rows, std::uint8_t{0});
  predicate_.select(pairs, selected_, errors);
  for (const std::uint32_t i : selected_) verdicts[i] = 1;
}

}  // namespace twinspan::engine
