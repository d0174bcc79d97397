#pragma once
// Writing and reading whole topics in a test: millions of records in seconds, or an exception
// (std::runtime_error). None of it shares code with the program under test. Thread: any.

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace twinspan::testing {

using Bytes = std::optional<std::string>;  // nothing: Kafka's null

struct Record {
  int partition = -1;  // written with -1: by the key, as Kafka's Java client does
  Bytes key;
  Bytes value;
  int64_t timestamp_ms = -1;  // written with -1: now
  std::vector<std::pair<std::string, Bytes>> headers;
  int64_t offset = -1;  // set by read_all

  // The first header of that name; nothing when there is none or it is null.
  Bytes header(const std::string& name) const {
    for (const auto& [key, value] : headers) {
      if (key == name) return value;
    }
    return std::nullopt;
  }
};

struct Position {
  int partition = -1;
  int64_t offset = -1;
  friend bool operator==(const Position&, const Position&) = default;
};

struct ProduceOptions {
  std::string compression = "lz4";
  std::string transactional_id;  // not empty: one transaction around everything
  bool abort = false;            // ends that transaction by an abort instead of a commit
};

// Writes with an idempotent producer, waits for every acknowledgement; where each record landed, in their
// order.
std::vector<Position> produce(const std::string& bootstrap, const std::string& topic,
                              const std::vector<Record>& records, const ProduceOptions& options = {});

enum class Isolation { read_committed, read_uncommitted };

// Every record from `from` (by partition; 0 when not given) up to the end offsets of this moment, each
// partition in offset order, one partition after the other.
std::vector<Record> read_all(const std::string& bootstrap, const std::string& topic,
                             Isolation isolation = Isolation::read_committed, const std::vector<int64_t>& from = {});

struct Offsets {
  int64_t start = 0;
  int64_t end = 0;  // with read_committed: the first offset of an open transaction, if there is one
};

// By partition.
std::vector<Offsets> offsets_of(const std::string& bootstrap, const std::string& topic,
                                Isolation isolation = Isolation::read_committed);

}  // namespace twinspan::testing
