#pragma once
// What the main job must say of given events, computed the slow obvious way, and what it did say, read from
// its output topics. No code of the program under test.
//
// The job (pipeline.md): impressions with a device and a price of at least 0; a click counts if it is of the
// same device and ad and 0 to 10 minutes after its impression; per region, every minute of the Shanghai day
// so far in which the region had an impression: exact unique devices, those with a click, and what was spent.
// Beside it, per region and minute: the number of impressions and of devices.

#include <compare>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/support/event_stream.h"
#include "tests/support/kafka_io.h"

namespace twinspan::testing {

struct ResultKey {
  std::string region, window_start, window_end;  // times as the output writes them, "2024-01-15T00:00:00Z"
  friend auto operator<=>(const ResultKey&, const ResultKey&) = default;
};
// The other fields, "name=value" in alphabetical order, decimals with four digits: comparing them is
// comparing results.
using Results = std::map<ResultKey, std::string>;

Results reference_uv(const std::vector<Event>& events);
Results reference_views(const std::vector<Event>& events);

// What the topics of both clusters hold, as events of `written` (found by key). Throws when a record is none
// of them.
std::vector<Event> events_in_topics(const std::vector<Event>& written, const std::vector<std::vector<Record>>& topics);

// Values of the fields of a flat JSON object, strings without their quotes, numbers as written. Throws on
// anything else.
std::map<std::string, std::string> flat_json(const std::string& text);

// Identity of an output record: "<unit>/<sink>/<incarnation>.<shard>/<sequence>".
struct Identity {
  std::string writer;  // unit, sink, shard
  std::uint64_t incarnation = 0, sequence = 0;
  friend auto operator<=>(const Identity&, const Identity&) = default;
};
Identity parse_identity(const std::string& text);

// One sink's output on all its clusters.
struct Folded {
  Results results;                    // final value of each window and key
  std::size_t records = 0;            // distinct identities
  std::size_t repeats = 0;            // records whose identity was there already, with the same bytes
  std::size_t updates = 0;            // with twinspan-op +U
  std::size_t provisional = 0;        // with twinspan-final: false
  std::vector<std::string> problems;  // anything that must not be
};
// Later identities of a writer replace earlier ones of the same key. What changed while a cluster
// was away is said again, what did not change is not: the last word may be provisional.
Folded fold(const std::vector<std::vector<Record>>& clusters);

}  // namespace twinspan::testing
