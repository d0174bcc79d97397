#pragma once
// Streams for interval joins: events in one arrival order, fed to the operator in batches of any size or to the oracle.

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/checkpoint/checkpoint_store.h"
#include "engine/checkpoint/segment_files.h"
#include "engine/expr/ast.h"
#include "engine/operators/interval_join.h"
#include "engine/state/state_entry.h"
#include "tests/support/engine/fault_file_system.h"

namespace twinspan::engine::join_testing {

struct JoinRowIn {
  std::optional<std::int64_t> key;
  std::int64_t id = 0;
  EventTime time = 0;
};

// A row of an input with the watermark before it, or only a watermark.
struct Event {
  unsigned input = 0;
  Watermark before;
  std::optional<JoinRowIn> row;
};

// -1: NULLs. Watermark: the largest seen up to this row.
struct Pair {
  std::int64_t left = -1, right = -1;
  EventTime time = 0;
  Watermark before;
  std::uint8_t flags = 0;
  friend bool operator==(const Pair&, const Pair&) = default;
};

inline std::string show(const Pair& p) {
  return "(" + std::to_string(p.left) + ", " + std::to_string(p.right) + ") at " + std::to_string(p.time) + " F " +
         std::to_string(p.before.firing) + " R " + std::to_string(p.before.retention) + " flags " +
         std::to_string(p.flags);
}

struct Results {
  std::vector<Pair> pairs;
  std::vector<std::int64_t> late;
  std::uint64_t failed = 0;
  Watermark watermark;  // the last one
};

inline IntervalJoinSpec typed(IntervalJoinSpec s, IntervalJoinSpec::Type type) {
  s.type = type;
  if (type == IntervalJoinSpec::Type::semi || type == IntervalJoinSpec::Type::anti) s.schema.fields.resize(2);
  return s;
}

// `where` over left.id, left.note, right.id, right.note.
inline IntervalJoinSpec with_condition(IntervalJoinSpec s, const std::string& where) {
  Scope scope;
  int index = 0;
  for (const char* side : {"left", "right"}) {
    scope.add(side, "id", types::int64, index++);
    scope.add(side, "note", types::string, index++);
  }
  auto predicate = Predicate::compile(*parse_expression(where).value(), scope);
  TS_CHECK(predicate.ok());
  s.where = std::move(predicate).value();
  return s;
}

// Input columns of both sides: key int64, key text, id int64, note string. Kept: id, note. The two key columns agree.
inline IntervalJoinSpec spec(std::int64_t lower, std::int64_t upper) {
  IntervalJoinSpec s;
  s.left.key = s.right.key = {0, 1};
  s.left.key_types = s.right.key_types = {types::int64, types::string};
  s.left.kept = s.right.kept = {2, 3};
  s.left.kept_types = s.right.kept_types = {types::int64, types::string};
  s.lower = lower;
  s.upper = upper;
  s.schema.fields = {{"left_id", types::int64},
                     {"left_note", types::string},
                     {"right_id", types::int64},
                     {"right_note", types::string}};
  return s;
}

inline const Schema& input_schema() {
  static const Schema schema{
      {{"key", types::int64}, {"text", types::string}, {"id", types::int64}, {"note", types::string}}};
  return schema;
}

inline std::string note_of(std::int64_t id) { return "note " + std::to_string(id); }

// Events [begin, end): rows of one input. With `watermarks`, each row carries the watermark before it.
inline Batch make_batch(const std::vector<Event>& events, std::size_t begin, std::size_t end, bool hashed,
                        bool watermarks = true) {
  const std::size_t n = end - begin;
  Batch b;
  b.schema = &input_schema();
  b.rows = static_cast<std::uint32_t>(n);
  Arena& arena = b.add_arena();
  auto* key = arena.make<std::int64_t>(n);
  auto* text = arena.make<std::string_view>(n);
  auto* id = arena.make<std::int64_t>(n);
  auto* note = arena.make<std::string_view>(n);
  auto* key_valid = arena.make<std::uint8_t>(n);
  auto* note_valid = arena.make<std::uint8_t>(n);
  auto* time = arena.make<EventTime>(n);
  auto* firing = arena.make<EventTime>(n);
  auto* retention = arena.make<EventTime>(n);
  for (std::size_t i = 0; i < n; ++i) {
    const Event& e = events[begin + i];
    key[i] = e.row->key.value_or(77);
    key_valid[i] = e.row->key.has_value();
    text[i] = arena.copy(std::to_string(key[i]) + std::string(static_cast<std::size_t>(key[i] % 5), 'k'));
    id[i] = e.row->id;
    note_valid[i] = e.row->id % 7 != 0;
    note[i] = arena.copy(note_of(id[i]));
    time[i] = e.row->time;
    firing[i] = e.before.firing;
    retention[i] = e.before.retention;
  }
  b.columns = {{types::int64, key, key_valid},
               {types::string, text, nullptr},
               {types::int64, id, nullptr},
               {types::string, note, note_valid}};
  b.time = time;
  if (watermarks) {
    b.firing = firing;
    b.retention = retention;
  }
  if (hashed) {
    auto* hash = arena.make<std::uint64_t>(n);
    RowCodec({0, 1}, {types::int64, types::string}).hash(b, hash);
    b.hash = hash;
  }
  return b;
}

class Collector : public Output {
 public:
  void emit(Batch&& b) override {
    if (b.rows == 0 || b.rows > 1024) ++wrong;
    for (std::uint32_t i = 0; i < b.rows; ++i) {
      Pair p;
      p.left = id(b, 0, i);
      p.right = b.columns.size() > 2 ? id(b, 2, i) : -1;
      p.time = b.time[i];
      p.flags = b.flag(i);
      raise({b.firing[i], b.retention[i]});
      p.before = results.watermark;
      results.pairs.push_back(p);
    }
  }
  void watermark(Watermark w) override { raise(w); }
  void late(Batch&& b) override {
    for (std::uint32_t i = 0; i < b.rows; ++i) results.late.push_back(b.columns[2].as<std::int64_t>()[i]);
  }
  void failed(const Batch&, std::uint32_t, std::string_view) override { ++results.failed; }
  bool has_room() const override { return room_every == 0 || ++asked_ % room_every != 0; }

  unsigned room_every = 0;  // every so often there is no room
  Results results;
  int wrong = 0;  // rows whose columns are not what they must be, batches of a wrong size

 private:
  mutable unsigned asked_ = 0;
  void raise(Watermark w) {
    if (w.retention > w.firing) ++wrong;
    results.watermark.firing = std::max(results.watermark.firing, w.firing);
    results.watermark.retention = std::max(results.watermark.retention, w.retention);
  }
  std::int64_t id(const Batch& b, std::size_t column, std::uint32_t row) {
    if (b.columns[column].is_null(row)) {
      if (!b.columns[column + 1].is_null(row)) ++wrong;
      return -1;
    }
    const std::int64_t v = b.columns[column].as<std::int64_t>()[row];
    const bool has_note = !b.columns[column + 1].is_null(row);
    if (has_note != (v % 7 != 0) || (has_note && b.columns[column + 1].as<std::string_view>()[row] != note_of(v)))
      ++wrong;
    return v;
  }
};

// What a shard does with work that is left; the portions.
inline std::size_t drain(Operator& op, Output& out) {
  std::size_t portions = 0;
  for (; op.pending(); ++portions) op.resume(out);
  return portions;
}

// Feeds events [begin, end), rows in batches of at most `size`.
inline void feed(Operator& op, const std::vector<Event>& events, std::size_t begin, std::size_t end, std::size_t size,
                 Output& out) {
  for (std::size_t i = begin; i < end;) {
    if (!events[i].row) {
      op.watermark(events[i].input, events[i].before, out);
      drain(op, out);
      ++i;
      continue;
    }
    std::size_t j = i;
    while (j < end && j - i < size && events[j].row && events[j].input == events[i].input) ++j;
    op.process(events[i].input, make_batch(events, i, j, (i + size) % 2 == 0), out);
    drain(op, out);
    i = j;
  }
}

// Checkpoints of a join on any number of shards, on a disk in memory: parts are written as the checkpoint writer does,
// a restore begins from what the disk has, with empty directories of segments.
class Checkpoints {
 public:
  void take(const std::vector<IntervalJoin*>& shards) {
    PreparedEpoch epoch;
    epoch.epoch = Epoch(++epoch_);
    const auto n = static_cast<unsigned>(shards.size());
    for (unsigned s = 0; s < n; ++s) {
      DeltaWriter writer;
      shards[s]->snapshot(writer);
      const auto part = writer.take_part();
      SegmentFiles& files = files_of(s);
      const std::uint64_t before = files.written_bytes();
      TS_CHECK(part->write(files, writer).has_value());
      sealed_bytes += files.written_bytes() - before;
      entries = writer.entries();
      entry_bytes = writer.bytes();
      epoch.deltas.push_back({"join", s, n, writer.take_delta()});
      epoch.segments.push_back({"join", s, n, files.list()});
    }
    TS_CHECK(store_->write(epoch).has_value());
  }
  void take(IntervalJoin& op) { take(std::vector<IntervalJoin*>{&op}); }
  void merge() { TS_CHECK(store_->merge().has_value()); }

  Status restore(const std::vector<IntervalJoin*>& shards) {
    files_.clear();
    store_ = std::make_unique<CheckpointStore>(disk, "/state");
    TS_TRYV(store_->open());
    TS_TRY(state, store_->restore());
    if (!state) {
      attach(shards);
      return ok();
    }
    const auto n = static_cast<unsigned>(shards.size());
    for (unsigned s = 0; s < n; ++s) {
      TS_TRYV(state->state.for_each("join", [&](const StateEntry& e) { return shards[s]->restore(e); }));
      std::vector<SealedSegment> sealed;
      for (const StepSegments& of : state->segments) {
        if (of.shards == n && of.shard == s) TS_TRYV(files_of(s).adopt(of.files));
        if (of.shards == n && of.shard != s) continue;
        for (const SegmentFile& f : of.files) {
          TS_TRY(number, number_of_segment(f.name));
          sealed.push_back({of.shard, of.shards, number, [this, f] { return read_segment(disk, f); }});
        }
      }
      TS_TRYV(shards[s]->restore_segments(sealed));
    }
    attach(shards);
    return ok();
  }
  // Of joins that may spill: before their first row, or by restore().
  void attach(const std::vector<IntervalJoin*>& shards) {
    for (unsigned s = 0; s < shards.size(); ++s)
      if (shards[s]->wants_segments()) shards[s]->use_segments(files_of(s));
  }
  Status restore(IntervalJoin& op) { return restore(std::vector<IntervalJoin*>{&op}); }
  SegmentFiles::Figures figures(unsigned shard = 0) { return files_.at(shard)->figures(); }

  twinspan::testing::FaultFileSystem disk;
  std::uint64_t sealed_bytes = 0;              // all files ever written
  std::uint64_t entries = 0, entry_bytes = 0;  // of the last snapshot of the last shard

 private:
  SegmentFiles& files_of(unsigned shard) {
    auto& files = files_[shard];
    if (files == nullptr) {
      files = std::make_unique<SegmentFiles>(disk, "/segments/" + std::to_string(shard));
      TS_CHECK(files->open().has_value());
    }
    return *files;
  }
  std::unique_ptr<CheckpointStore> store_ = open_store();
  std::map<unsigned, std::unique_ptr<SegmentFiles>> files_;
  std::uint64_t epoch_ = 0;

  std::unique_ptr<CheckpointStore> open_store() {
    auto store = std::make_unique<CheckpointStore>(disk, "/state");
    TS_CHECK(store->open().has_value());
    return store;
  }
};

}  // namespace twinspan::engine::join_testing
