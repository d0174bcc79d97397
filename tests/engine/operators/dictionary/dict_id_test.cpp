// Ids of named dictionaries: dense, one a value, the same after restart, rescale and replay, whoever asks.

#include "engine/operators/dict_id.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>

#include "tests/support/engine/portioned_snapshots.h"

namespace twinspan::engine {
namespace {

using Value = std::optional<std::string>;

const Schema& input_schema() {
  static const Schema schema{{{"x", types::string}}};
  return schema;
}

DictIdSpec spec_of() { return {0, types::string, Schema{{{"x", types::string}, {"id", types::int64}}}}; }

const RowCodec& codec() {
  static const RowCodec c({0}, {types::string});
  return c;
}

Batch batch_of(const std::vector<Value>& values, std::size_t begin, std::size_t end, bool hashed) {
  const std::size_t n = end - begin;
  Batch b;
  b.schema = &input_schema();
  b.rows = static_cast<std::uint32_t>(n);
  Arena& arena = b.add_arena();
  auto* x = arena.make<std::string_view>(n);
  auto* valid = arena.make<std::uint8_t>(n);
  auto* time = arena.make<EventTime>(n);
  for (std::size_t i = 0; i < n; ++i) {
    x[i] = arena.copy(values[begin + i].value_or(""));
    valid[i] = values[begin + i].has_value();
    time[i] = static_cast<EventTime>(i);
  }
  b.columns = {{types::string, x, valid}};
  b.time = time;
  if (hashed) {
    auto* hash = arena.make<std::uint64_t>(n);
    codec().hash(b, hash);
    b.hash = hash;
  }
  return b;
}

unsigned shard_of(const Value& v, unsigned shards) { return shard_of_hash(batch_of({v}, 0, 1, true).hash[0], shards); }

class Collector final : public Output {
 public:
  void emit(Batch&& b) override {
    for (std::uint32_t i = 0; i < b.rows; ++i) {
      const bool null = b.columns[0].is_null(i);
      EXPECT_EQ(b.columns[1].is_null(i), null);
      if (!null)
        told.emplace_back(std::string(b.columns[0].as<std::string_view>()[i]), b.columns[1].as<std::int64_t>()[i]);
    }
  }
  void watermark(Watermark) override {}
  void late(Batch&&) override { ADD_FAILURE(); }
  void failed(const Batch&, std::uint32_t, std::string_view) override { ++failures; }
  std::vector<std::pair<std::string, std::int64_t>> told;
  int failures = 0;
};

// All shards of one run: `places` uses of one dictionary in each.
class Lives {
 public:
  Lives(unsigned shards, unsigned places) : shards_(shards) {
    auto dictionary = std::make_shared<DictionaryPlaces>();
    for (unsigned p = 0; p < places; ++p) dictionary->add();
    for (unsigned s = 0; s < shards; ++s) {
      ops_.emplace_back();
      for (unsigned p = 0; p < places; ++p)
        ops_.back().push_back(std::make_unique<DictId>(spec_of(), dictionary->join(s, p), p));
    }
  }
  // Deltas by place, of all shards, in order.
  using Deltas = std::vector<std::vector<std::string>>;
  void restore(const Deltas& deltas) {
    for (unsigned s = 0; s < shards_; ++s)
      for (std::size_t p = 0; p < deltas.size(); ++p)
        for (const std::string& delta : deltas[p]) {
          DeltaReader reader(delta);
          StateEntry e;
          for (auto more = reader.next(e); more && more.value(); more = reader.next(e))
            if (shard_of_group(e.key_group, shards_) == s) {
              const Status ok = ops_[s][p]->restore(e);
              ASSERT_TRUE(ok) << ok.error().message;
            }
        }
  }
  void snapshot(unsigned shard, unsigned place, Deltas& deltas) {
    DeltaWriter writer;
    ops_[shard][place]->snapshot(writer);
    deltas[place].push_back(writer.take());
  }
  void feed(unsigned place, const std::vector<Value>& values, std::size_t size, Collector& out) {
    for (unsigned s = 0; s < shards_; ++s) {
      std::vector<Value> mine;
      for (const Value& v : values)
        if (shard_of(v, shards_) == s) mine.push_back(v);
      for (std::size_t i = 0; i < mine.size(); i += size)
        ops_[s][place]->process(0, batch_of(mine, i, std::min(mine.size(), i + size), size % 2 == 0), out);
    }
  }
  unsigned shards() const { return shards_; }
  DictId& op(unsigned shard, unsigned place) { return *ops_[shard][place]; }

 private:
  unsigned shards_;
  std::vector<std::vector<std::unique_ptr<DictId>>> ops_;
};

// The reference: what has been told counts for ever.
class Told {
 public:
  void check(const std::vector<std::pair<std::string, std::int64_t>>& told, const std::string& what) {
    for (const auto& [x, id] : told) {
      const auto [known, fresh] = ids_.try_emplace(x, id);
      ASSERT_EQ(known->second, id) << what << ": '" << x << "' had another id";
      const auto [owner, free] = owners_.try_emplace(id, x);
      ASSERT_EQ(owner->second, x) << what << ": id " << id << " was another's";
      ASSERT_EQ(id >> 32, key_group_of(batch_of({x}, 0, 1, true).hash[0])) << what;
    }
  }
  // Counters of a partition are 0, 1, 2, ...
  void check_dense() const {
    std::map<std::int64_t, std::int64_t> most, count;
    for (const auto& [id, x] : owners_) {
      most[id >> 32] = std::max(most[id >> 32], id & 0xFFFF'FFFF);
      ++count[id >> 32];
    }
    for (const auto& [partition, n] : count) EXPECT_EQ(most[partition], n - 1) << "partition " << partition;
  }
  std::size_t size() const { return ids_.size(); }

 private:
  std::map<std::string, std::int64_t> ids_;
  std::map<std::int64_t, std::string> owners_;
};

std::vector<Value> some_values(std::mt19937_64& random, std::size_t n, std::uint64_t span) {
  std::vector<Value> out;
  for (std::size_t i = 0; i < n; ++i)
    out.push_back(random() % 15 == 0 ? Value() : Value("device " + std::to_string(random() % span)));
  return out;
}

TEST(DictId, IdsAreDenseAndNeverChangeAcrossRestartsAndShardCounts) {
  std::size_t values = 0;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    std::mt19937_64 random(seed);
    Told told;
    Lives::Deltas deltas(1);
    for (int life = 0; life < 5; ++life) {
      Lives run(1 + random() % 4, 1);
      run.restore(deltas);
      for (int epoch = 0; epoch < 3; ++epoch) {
        Collector out;
        const std::size_t size = std::vector<std::size_t>{1, 7, 1024}[random() % 3];
        run.feed(0, some_values(random, 1 + random() % 200, 50 + 400 * static_cast<std::uint64_t>(life)), size, out);
        for (unsigned s = 0; s < run.shards(); ++s) run.snapshot(s, 0, deltas);
        told.check(out.told, "seed " + std::to_string(seed));
        if (HasFatalFailure()) return;
      }
      if (random() % 2 == 0) {  // an epoch that never becomes one: computed, then lost
        Collector lost;
        run.feed(0, some_values(random, 50, 5'000), 7, lost);
      }
    }
    told.check_dense();
    values += told.size();
  }
  EXPECT_GT(values, 50'000u);
}

// Places of one dictionary pass a barrier one after the other; each must have recorded what it told before its own.
TEST(DictId, PlacesShareIdsAndEachCheckpointHoldsWhatItsPlaceTold) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    std::mt19937_64 random(seed);
    Told told;
    Lives::Deltas deltas(3);
    for (int life = 0; life < 5; ++life) {
      Lives run(1 + random() % 3, 3);
      run.restore(deltas);
      for (int epoch = 0; epoch < 3; ++epoch) {
        Collector before;
        for (int k = 0; k < 6; ++k)
          run.feed(static_cast<unsigned>(random() % 3), some_values(random, 30, 300), 7, before);
        // Place after place passes the barrier, while the others go on: those in front of it in this epoch, those
        // behind it in the next.
        std::vector<unsigned> order{0, 1, 2};
        std::shuffle(order.begin(), order.end(), random);
        std::vector<bool> passed(3, false);
        Collector next;
        for (const unsigned p : order) {
          for (unsigned s = 0; s < run.shards(); ++s) run.snapshot(s, p, deltas);
          passed[p] = true;
          for (int k = 0; k < 4; ++k) {
            const auto place = static_cast<unsigned>(random() % 3);
            run.feed(place, some_values(random, 30, 300), 7, passed[place] ? next : before);
          }
        }
        told.check(before.told, "seed " + std::to_string(seed));
        if (HasFatalFailure()) return;
        if (epoch < 2 || life == 4) {  // the next epoch is committed as well, unless the run ends here
          for (unsigned p = 0; p < 3; ++p)
            for (unsigned s = 0; s < run.shards(); ++s) run.snapshot(s, p, deltas);
          told.check(next.told, "seed " + std::to_string(seed));
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

// Snapshots in portions, rows in between: an epoch has what was told before its barrier.
TEST(DictId, EveryEpochHasTheIdsToldBeforeItsBarrier) {
  std::size_t between = 0;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    std::mt19937_64 random(seed + 900);
    Lives run(1, 1);
    Collector out;
    testing::PortionedSnapshots<std::size_t> snapshots(seed);  // ids told
    for (int piece = 0; piece < 40; ++piece) {
      run.feed(0, some_values(random, 1 + random() % 60, 3'000), 7, out);
      snapshots.step(run.op(0, 0), out.told.size());
    }
    snapshots.finish(run.op(0, 0));
    between += snapshots.between;
    Lives::Deltas deltas(1);
    for (const auto& [told, delta] : snapshots.epochs) {
      deltas[0].push_back(delta);
      Told all;
      all.check({out.told.begin(), out.told.begin() + static_cast<std::ptrdiff_t>(told)}, "seed");
      Lives again(1, 1);
      again.restore(deltas);
      std::vector<Value> values;
      for (const auto& [x, id] : out.told) values.emplace_back(x);
      std::shuffle(values.begin(), values.end(), random);
      Collector rest;
      again.feed(0, values, 7, rest);
      all.check(rest.told, "seed " + std::to_string(seed));
      if (HasFatalFailure()) return;
    }
  }
  EXPECT_GT(between, 300u);
}

TEST(DictId, RowsThatTakeBackGetTheIdOfTheirValue) {
  Lives run(1, 1);
  Collector out;
  Batch b = batch_of({"a", "a"}, 0, 2, false);
  auto* flags = b.add_arena().make<std::uint8_t>(2);
  flags[0] = static_cast<std::uint8_t>(RowOp::insert);
  flags[1] = static_cast<std::uint8_t>(RowOp::update_before);
  b.flags = flags;
  run.op(0, 0).process(0, std::move(b), out);
  ASSERT_EQ(out.told.size(), 2u);
  EXPECT_EQ(out.told[0], out.told[1]);
}

TEST(DictId, AFullPartitionFailsNewValuesOnly) {
  Lives run(1, 1);
  const std::uint64_t hash = batch_of({"new"}, 0, 1, true).hash[0];
  const std::uint16_t group = key_group_of(hash);
  const std::uint32_t last = NamedDictionary::kFull - 1;
  const std::string identity(12, 'i');
  ASSERT_TRUE(
      run.op(0, 0).restore({StateEntry::Kind::put, 0, group, 0, identity, {reinterpret_cast<const char*>(&last), 4}}));
  Collector out;
  run.op(0, 0).process(0, batch_of({"new", Value(), "new"}, 0, 3, true), out);
  EXPECT_EQ(out.failures, 2);
  EXPECT_TRUE(out.told.empty());
}

TEST(DictId, RefusesEntriesThatDoNotFit) {
  Lives run(1, 1);
  const std::string identity(12, 'i');
  const std::uint32_t one = 1, two = 2;
  const auto entry = [&](std::string_view key, const std::uint32_t& v, std::uint8_t space) {
    return StateEntry{StateEntry::Kind::put, space, 3, 0, key, {reinterpret_cast<const char*>(&v), 4}};
  };
  EXPECT_FALSE(run.op(0, 0).restore(entry("short", one, 0)));
  EXPECT_FALSE(run.op(0, 0).restore(entry(identity, one, 1)));
  EXPECT_TRUE(run.op(0, 0).restore(entry(identity, one, 0)));
  EXPECT_TRUE(run.op(0, 0).restore(entry(identity, one, 0)));
  EXPECT_FALSE(run.op(0, 0).restore(entry(identity, two, 0)));
}

TEST(DictionaryPlaces, OperatorsMadeAnewStartWithADictionaryOfTheirOwn) {
  DictionaryPlaces places;
  const unsigned a = places.add(), b = places.add();
  const auto first = places.join(0, a);
  EXPECT_EQ(places.join(0, b), first);
  EXPECT_NE(places.join(1, a), first);
  const auto second = places.join(0, a);  // the pipeline started again, the old shards are not gone yet
  EXPECT_NE(second, first);
  EXPECT_EQ(places.join(0, b), second);
}

}  // namespace
}  // namespace twinspan::engine
