#pragma once
// What a window step says beside what the oracle of its kind says. Thread: one.

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "tests/engine/operators/window/oracle_window.h"

namespace twinspan::testing {

struct Expected {
  std::vector<std::string> rows;
  std::vector<EventTime> late_rows;
};

inline Expected expected(const WindowSpec& spec, const std::vector<Event>& events) {
  const auto run = [&](auto oracle) {
    oracle.run(events);
    return Expected{std::move(oracle.rows), std::move(oracle.late_rows)};
  };
  return spec.kind == WindowKind::session ? run(OracleSessions(spec)) : run(OracleWindow(spec));
}

// The order of rows is the operator's own where panes or sessions are shared.
inline bool ordered(const WindowSpec& spec) {
  return spec.kind != WindowKind::sliding && spec.kind != WindowKind::session;
}

inline Recorder recorder(const WindowSpec& spec) {
  Recorder out;
  if (spec.mode != EmitMode::discarding) out.identity = spec.key_columns.size() + 2;
  return out;
}

// Late rows in their order; rows in theirs only if `in_order`.
inline void expect_same(const Recorder& got, Expected want, bool in_order, const std::string& how) {
  ASSERT_EQ(got.late_rows, want.late_rows) << how;
  std::vector<std::string> rows = got.rows;
  if (!in_order) {
    std::sort(rows.begin(), rows.end());
    std::sort(want.rows.begin(), want.rows.end());
  }
  const auto [at, wanted] = std::mismatch(rows.begin(), rows.end(), want.rows.begin(), want.rows.end());
  if (at == rows.end() && wanted == want.rows.end()) return;
  FAIL() << how << ", row " << at - rows.begin() << " of " << want.rows.size()
         << "\n got: " << (at == rows.end() ? "(end)" : *at)
         << "\nwant: " << (wanted == want.rows.end() ? "(end)" : *wanted);
}

}  // namespace twinspan::testing
