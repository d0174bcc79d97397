#pragma once
// The demo's output topics folded into what they say: the newest row of every (region, window end), over both
// clusters. What a consumer of an at-least-once failover sink does: a record whose identity header was seen
// is a repeat and dropped; of two rows with one key the one with the larger sequence is newer, whichever
// topic it came from. Owned by the results reader. Thread: one.

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "engine/base/ids.h"

namespace twinspan::gateway {

struct ResultRecord {
  std::string_view value, identity;  // identity: header twinspan-id, empty if there is none
  bool final = true;                 // header twinspan-final is not "false"
};

struct ResultRow {
  std::int64_t uv = 0, click_uv = 0;
  std::string spend;
  std::string cluster;  // where it was read
  bool final = true;
  std::uint64_t sequence = 0;
  unsigned updates = 0;  // times it was replaced
};

struct ResultSummary {
  using Window = std::map<std::string, ResultRow>;  // by region
  std::map<EventTime, Window> windows;              // by window end, newest last; at most ResultTable::kWindows
  std::set<std::string> regions;
  std::map<std::string, std::uint64_t> by_cluster;  // records, without repeats
  std::uint64_t records = 0, repeats = 0, updates = 0, unreadable = 0, windows_seen = 0;
};

class ResultTable {
 public:
  enum class Outcome : std::uint8_t { added, updated, older, repeat, unreadable };

  Outcome add(const std::string& cluster, const ResultRecord& record);
  const ResultSummary& summary() const { return sum_; }

  static constexpr std::size_t kWindows = 32;

 private:
  ResultSummary sum_;
  std::unordered_set<std::string> identities_;
};

}  // namespace twinspan::gateway
