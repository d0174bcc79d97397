#pragma once
// A checkpoint store on a breakable disk, and a model of what it must give back: the state is a plain map, an
// epoch is the map after its entries. Thread: one.

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include <fmt/format.h>

#include "engine/checkpoint/checkpoint_store.h"
#include "tests/support/engine/fault_file_system.h"

namespace twinspan::engine {

inline constexpr const char* kRoot = "/data/unit/state";

// (step, space, tag, key) -> value
using Model = std::map<std::tuple<std::string, unsigned, std::int64_t, std::string>, std::string>;

inline std::uint16_t group_of(const std::string& key) {
  return key_group_of(std::hash<std::string>()(key) * 0x9e3779b97f4a7c15ull);
}

inline Model model_of(const StateImage& image) {
  Model out;
  for (const std::string& step : image.steps()) {
    EXPECT_TRUE(image.for_each(step, [&](const StateEntry& e) -> Status {
      EXPECT_EQ(e.kind, StateEntry::Kind::put);
      EXPECT_EQ(e.key_group, group_of(std::string(e.key)));
      out[{step, e.space, e.tag, std::string(e.key)}] = std::string(e.value);
      return ok();
    }));
  }
  return out;
}

// Makes epochs of random puts, erases and drops of two steps, written by `shards` shards, and knows the state
// after each.
class Writer {
 public:
  explicit Writer(std::uint32_t seed = 1, unsigned shards = 2) : random_(seed), shards_(shards) {}

  PreparedEpoch make(std::uint64_t number, int entries = 12) {
    PreparedEpoch epoch;
    epoch.epoch = Epoch(number);
    epoch.meta = fmt::format(R"({{"epoch":{}}})", number);
    for (const char* step : {"join", "count"}) {
      std::vector<DeltaWriter> deltas(shards_);
      for (int i = 0; i < entries; ++i) change(step, deltas);
      for (unsigned s = 0; s < shards_; ++s) epoch.deltas.push_back({step, s, shards_, deltas[s].take()});
    }
    after_[number] = model_;
    return epoch;
  }
  void set_shards(unsigned shards) { shards_ = shards; }
  const Model& after(std::uint64_t number) { return after_.at(number); }

 private:
  void change(const std::string& step, std::vector<DeltaWriter>& deltas) {
    const std::string key = fmt::format("key-{}", random_() % 40);
    const std::uint16_t group = group_of(key);
    const unsigned shard = shard_of_group(group, shards_);
    const unsigned space = random_() % 2;
    const std::int64_t tag = floor_ + static_cast<std::int64_t>(random_() % 8);
    const unsigned kind = random_() % 10;
    if (kind < 7) {
      const std::string value(random_() % 20, static_cast<char>('a' + random_() % 26));
      deltas[shard].put(static_cast<std::uint8_t>(space), group, tag, key, value);
      model_[{step, space, tag, key}] = value;
    } else if (kind < 9) {
      deltas[shard].erase(static_cast<std::uint8_t>(space), group, tag, key);
      model_.erase({step, space, tag, key});
    } else {
      if (random_() % 3 == 0) ++floor_;
      const unsigned dropping = random_() % shards_;  // one shard alone: the others keep what is theirs
      deltas[dropping].drop_below(static_cast<std::uint8_t>(space), 0, floor_);
      std::erase_if(model_, [&](const auto& item) {
        const auto& [s, sp, t, k] = item.first;
        return s == step && sp == space && t < floor_ && shard_of_group(group_of(k), shards_) == dropping;
      });
    }
  }

  std::mt19937 random_;
  unsigned shards_;
  std::int64_t floor_ = 0;
  Model model_;
  std::map<std::uint64_t, Model> after_;
};

class CheckpointStoreTest : public ::testing::Test {
 protected:
  using Disk = twinspan::testing::FaultFileSystem;

  // The state a new process finds. The number of the epoch; 0 = nothing was prepared.
  std::uint64_t expect_restored(Writer& writer, std::vector<std::string>* warnings = nullptr) {
    CheckpointStore store(disk, kRoot);
    auto opened = store.open();
    EXPECT_TRUE(opened) << opened.error().message;
    if (!opened) return ~0ull;
    auto restored = store.restore();
    EXPECT_TRUE(restored) << restored.error().message << "\n" << disk.describe();
    if (!restored) return ~0ull;
    if (!restored.value()) return 0;
    const RestoredState& state = *restored.value();
    EXPECT_EQ(state.meta, fmt::format(R"({{"epoch":{}}})", state.epoch.value));
    EXPECT_TRUE(model_of(state.state) == writer.after(state.epoch.value)) << "epoch " << state.epoch.value;
    if (warnings) *warnings = state.warnings;
    return state.epoch.value;
  }
  static void must(Status status) { ASSERT_TRUE(status) << status.error().message; }

  std::vector<std::string> leftovers(const std::string& below) {
    std::vector<std::string> out;
    for (const std::string& f : disk.files(below))
      if (f.find(".tmp") != std::string::npos) out.push_back(f);
    return out;
  }
  static std::string epoch_path(std::uint64_t n) { return fmt::format("{}/epochs/{:020}", kRoot, n); }
  static std::string base_path(std::uint64_t n) { return fmt::format("{}/bases/{:020}", kRoot, n); }

  Disk disk;
};

}  // namespace twinspan::engine
