// The cold tier against a plain map: batches, expiry, opening again, checkpoints that share files.
#include "engine/state/keyed_store.h"

#include <gtest/gtest.h>

#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <map>
#include <random>
#include <set>
#include <tuple>

#include <fmt/format.h>

namespace twinspan::engine {
namespace {

using Place = std::tuple<unsigned, std::int64_t, unsigned, std::string>;  // space, tag, group, key
using Model = std::map<Place, std::pair<std::string, std::uint64_t>>;     // value, epoch

class KeyedStoreTest : public ::testing::Test {
 protected:
  KeyedStoreTest() {
    std::string name = (std::filesystem::temp_directory_path() / "twinspan-XXXXXX").string();
    directory = ::mkdtemp(name.data());
  }
  ~KeyedStoreTest() override { std::filesystem::remove_all(directory); }

  std::unique_ptr<KeyedStore> open(const std::string& name) {
    // Small, so that a test has many files and levels.
    auto store = KeyedStore::open(directory + "/" + name, {64u << 10, 256u << 10, 32u << 10});
    EXPECT_TRUE(store) << store.error().message;
    return store ? std::move(store).value() : nullptr;
  }
  static Model contents(const KeyedStore& store) {
    Model out;
    Place before;
    const Status read = store.for_each([&](const StateEntry& e, Epoch epoch) -> Status {
      const Place place{e.space, e.tag, e.key_group, std::string(e.key)};
      EXPECT_TRUE(out.empty() || before < place);
      before = place;
      out[place] = {std::string(e.value), epoch.value};
      return ok();
    });
    EXPECT_TRUE(read) << read.error().message;
    return out;
  }
  // Every key of the model and as many that are not there, in random order.
  static void expect_lookups(const KeyedStore& store, const Model& model, std::mt19937& random) {
    std::vector<Place> places;
    for (const auto& [place, value] : model) {
      places.push_back(place);
      places.emplace_back(std::get<0>(place), std::get<1>(place), std::get<2>(place), std::get<3>(place) + "?");
    }
    std::shuffle(places.begin(), places.end(), random);
    std::vector<KeyedStore::Lookup> lookups(places.size());
    for (std::size_t i = 0; i < places.size(); ++i) {
      lookups[i].space = static_cast<std::uint8_t>(std::get<0>(places[i]));
      lookups[i].tag = std::get<1>(places[i]);
      lookups[i].key_group = static_cast<std::uint16_t>(std::get<2>(places[i]));
      lookups[i].key = std::get<3>(places[i]);
    }
    const Status got = store.get(lookups);
    ASSERT_TRUE(got) << got.error().message;
    for (std::size_t i = 0; i < places.size(); ++i) {
      const auto it = model.find(places[i]);
      ASSERT_EQ(lookups[i].value.has_value(), it != model.end()) << i;
      if (it == model.end()) continue;
      ASSERT_EQ(*lookups[i].value, it->second.first);
      ASSERT_EQ(lookups[i].epoch.value, it->second.second);
    }
  }

  std::string directory;
};

TEST_F(KeyedStoreTest, EqualsAMapThroughBatchesExpiryCheckpointsAndOpening) {
  for (std::uint32_t seed = 1; seed <= 5; ++seed) {
    std::mt19937 random(seed);
    auto store = open(fmt::format("s{}", seed));
    ASSERT_NE(store, nullptr);
    Model model;
    std::map<unsigned, std::int64_t> floors;
    std::vector<std::pair<std::string, Model>> checkpoints;
    for (std::uint64_t epoch = 1; epoch <= 40; ++epoch) {
      std::deque<std::string> bytes;
      std::vector<StateEntry> batch;
      const std::int64_t now = static_cast<std::int64_t>(epoch) * 10 - 150;  // tags of both signs
      for (unsigned i = 0; i < 300; ++i) {
        StateEntry e;
        e.space = static_cast<std::uint8_t>(random() % 3 == 0 ? 200 : random() % 2);
        e.tag = now + static_cast<std::int64_t>(random() % 60);
        e.key_group = static_cast<std::uint16_t>(random() % kKeyGroups);
        // Bytes of every value: a zero or a 0xff in a key must not disturb the order.
        std::string key = fmt::format("k{}", random() % 40);
        key += static_cast<char>(random() % 256);
        e.key = bytes.emplace_back(key);
        const Place place{e.space, e.tag, e.key_group, key};
        if (random() % 8 == 0) {
          e.kind = StateEntry::Kind::erase;
          model.erase(place);
        } else {
          e.value = bytes.emplace_back(random() % 300, static_cast<char>('a' + random() % 26));
          model[place] = {std::string(e.value), epoch};
        }
        batch.push_back(e);
        if (random() % 10 == 0 && !batch.empty() && e.kind == StateEntry::Kind::put) {  // the same key once more
          e.value = bytes.emplace_back("newer");
          model[place] = {"newer", epoch};
          batch.push_back(e);
        }
      }
      const Status written = store->write(batch, Epoch(epoch));
      ASSERT_TRUE(written) << written.error().message;
      if (random() % 3 == 0) {
        const auto space = static_cast<std::uint8_t>(random() % 2 == 0 ? 200 : random() % 2);
        floors[space] = std::max(floors.contains(space) ? floors[space] : -1000, now);
        store->expire_below(space, now);
        std::erase_if(model,
                      [&](const auto& m) { return std::get<0>(m.first) == space && std::get<1>(m.first) < now; });
      }
      // Rows below a floor may be written again by a restore that replays; they stay ended.
      std::erase_if(model, [&](const auto& m) {
        const auto floor = floors.find(std::get<0>(m.first));
        return floor != floors.end() && std::get<1>(m.first) < floor->second;
      });
      if (epoch % 13 == 0) {
        const std::string path = fmt::format("s{}-checkpoint-{}", seed, epoch);
        const Status made = store->checkpoint(directory + "/" + path);
        ASSERT_TRUE(made) << made.error().message;
        checkpoints.emplace_back(path, model);
      }
      if (epoch % 10 == 0) {
        expect_lookups(*store, model, random);
        ASSERT_TRUE(contents(*store) == model) << "seed " << seed << " epoch " << epoch;
      }
      if (epoch == 25) {
        ASSERT_TRUE(store->flush());
        store.reset();
        store = open(fmt::format("s{}", seed));
        for (const auto& [space, tag] : floors) store->expire_below(static_cast<std::uint8_t>(space), tag);
        ASSERT_TRUE(contents(*store) == model) << "seed " << seed << " opened again";
      }
    }
    // Older checkpoints stand still while the store they share files with went on, compacted, and is gone.
    ASSERT_TRUE(store->compact());
    ASSERT_TRUE(contents(*store) == model) << "seed " << seed;
    store.reset();
    std::filesystem::remove_all(directory + fmt::format("/s{}", seed));
    for (const auto& [path, expected] : checkpoints) {
      const auto old = open(path);
      ASSERT_NE(old, nullptr);
      // Floors are the caller's: what had ended but was not compacted away is there again until it says so.
      Model found = contents(*old);
      for (const auto& [place, value] : expected) {
        ASSERT_TRUE(found.contains(place) && found[place] == value) << "seed " << seed << " " << path;
      }
      for (const auto& [place, value] : found) {
        if (expected.contains(place)) continue;
        ASSERT_TRUE(floors.contains(std::get<0>(place)) && std::get<1>(place) < floors[std::get<0>(place)]);
      }
    }
  }
}

TEST_F(KeyedStoreTest, CompactionRemovesWhatHasEndedWithoutTombstones) {
  auto store = open("s");
  const std::string value(100, 'x');
  std::deque<std::string> keys;
  for (std::int64_t tag = 0; tag < 50; ++tag) {
    std::vector<StateEntry> batch;
    for (int i = 0; i < 400; ++i) {
      StateEntry e;
      e.space = 1;
      e.tag = tag;
      e.key = keys.emplace_back(fmt::format("{}-{}", tag, i));
      e.value = value;
      batch.push_back(e);
    }
    ASSERT_TRUE(store->write(batch, Epoch(1)));
  }
  ASSERT_TRUE(store->compact());
  const KeyedStore::Figures before = store->figures();
  EXPECT_GT(before.disk_bytes, 2'000'000u);
  store->expire_below(1, 45);
  store->expire_below(1, 10);  // never back
  EXPECT_EQ(contents(*store).size(), 5u * 400);
  ASSERT_TRUE(store->compact());
  const KeyedStore::Figures after = store->figures();
  EXPECT_LT(after.disk_bytes, before.disk_bytes / 8);
  EXPECT_EQ(after.expired, 45u * 400);
  EXPECT_EQ(contents(*store).size(), 5u * 400);
}

// A checkpoint after a change of 1 % links what has not changed: it adds little to what is on the disk.
TEST_F(KeyedStoreTest, ACheckpointSharesTheFilesThatHaveNotChanged) {
  auto store = open("s");
  const auto write = [&](int from, int n, std::uint64_t epoch) {
    std::deque<std::string> keys;
    std::vector<StateEntry> batch;
    const std::string value(200, static_cast<char>('a' + epoch));
    for (int i = 0; i < n; ++i) {
      StateEntry e;
      e.tag = 5;
      e.key = keys.emplace_back(fmt::format("key{:08}", from + i));
      e.value = value;
      batch.push_back(e);
    }
    ASSERT_TRUE(store->write(batch, Epoch(epoch)));
  };
  write(0, 50'000, 1);
  ASSERT_TRUE(store->compact());
  ASSERT_TRUE(store->checkpoint(directory + "/one"));
  write(20'000, 500, 2);
  ASSERT_TRUE(store->checkpoint(directory + "/two"));
  std::set<std::uint64_t> known;
  const auto inode = [](const std::filesystem::path& p) {
    struct stat about {};
    EXPECT_EQ(::stat(p.c_str(), &about), 0);
    return about.st_ino;
  };
  std::uint64_t all = 0, fresh = 0;
  for (const auto& f : std::filesystem::directory_iterator(directory + "/one"))
    if (f.path().extension() == ".sst") known.insert(inode(f.path()));
  for (const auto& f : std::filesystem::directory_iterator(directory + "/two")) {
    if (f.path().extension() != ".sst") continue;
    all += f.file_size();
    if (!known.contains(inode(f.path()))) fresh += f.file_size();
  }
  EXPECT_GT(all, 10'000'000u);
  EXPECT_LT(fresh, all / 20);
}

TEST_F(KeyedStoreTest, ADamagedFileIsNoticedWhenItIsRead) {
  {
    auto store = open("s");
    std::deque<std::string> keys;
    std::vector<StateEntry> batch;
    for (int i = 0; i < 1000; ++i) {
      StateEntry e;
      e.key = keys.emplace_back(fmt::format("key{}", i));
      e.value = "some value that fills the blocks";
      batch.push_back(e);
    }
    ASSERT_TRUE(store->write(batch, Epoch(1)));
    ASSERT_TRUE(store->flush());
  }
  for (const auto& f : std::filesystem::directory_iterator(directory + "/s")) {
    if (f.path().extension() != ".sst") continue;
    std::FILE* file = std::fopen(f.path().c_str(), "r+b");
    ASSERT_NE(file, nullptr);
    std::fseek(file, 700, SEEK_SET);
    std::fputc(0x5a, file);
    std::fputc(0xa5, file);
    std::fclose(file);
  }
  auto store = KeyedStore::open(directory + "/s");
  if (!store) return;  // noticed already
  const Status read = store.value()->for_each([](const StateEntry&, Epoch) { return ok(); });
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().kind, ErrorKind::data) << read.error().message;
}

TEST_F(KeyedStoreTest, AnUnusablePlaceIsAnError) {
  std::FILE* file = std::fopen((directory + "/file").c_str(), "w");
  std::fclose(file);
  EXPECT_FALSE(KeyedStore::open(directory + "/file/store"));
  auto store = open("s");
  EXPECT_FALSE(store->checkpoint(directory + "/missing/deep/down"));
}

}  // namespace
}  // namespace twinspan::engine
