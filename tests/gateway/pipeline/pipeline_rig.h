#pragma once
// A whole pipeline on a FakeWorld and a disk of the test: start, stop, kill (dropped without a stop), start again.
// Checkpoints come every 20 ms unless told otherwise. Nothing sleeps: eventually() polls with a deadline. Thread: one.

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include <fmt/format.h>
#include <spdlog/sinks/null_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <boost/json.hpp>

#include "gateway/load.h"
#include "gateway/pipeline.h"
#include "tests/support/engine/fault_file_system.h"
#include "tests/support/fake_connectors.h"

namespace twinspan::gateway {

template <class F>
bool eventually(F condition, int seconds = 20) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    std::this_thread::yield();
  }
  return true;
}

// The breakable disk for several threads. `full` is what a full disk says before it is written to; writes of paths that
// contain `broken` fail.
class SharedDisk final : public engine::FileSystem {
  template <class F>
  auto locked(F f) {
    std::lock_guard lock(mutex);
    return f();
  }

 public:
  testing::FaultFileSystem disk;
  std::atomic<bool> full{false};
  std::recursive_mutex mutex;
  std::function<void(const std::string& path)> before_write;  // under the lock

  Status make_directories(const std::string& p) override {
    return locked([&] { return disk.make_directories(p); });
  }
  Status write_and_sync(const std::string& p, const std::vector<std::string_view>& pieces) override {
    return locked([&]() -> Status {
      if (before_write) before_write(p);
      if (full) return transient_error(fmt::format("cannot write '{}': No space left on device", p));
      return disk.write_and_sync(p, pieces);
    });
  }
  Result<std::unique_ptr<engine::FileWriter>> create(const std::string& p) override {
    return locked([&]() -> Result<std::unique_ptr<engine::FileWriter>> {
      if (before_write) before_write(p);
      if (full) return transient_error(fmt::format("cannot create '{}': No space left on device", p));
      return disk.create(p);
    });
  }
  Result<std::string> read_range(const std::string& p, std::uint64_t offset, std::size_t size) override {
    return locked([&] { return disk.read_range(p, offset, size); });
  }
  Status link(const std::string& a, const std::string& b) override {
    return locked([&] { return disk.link(a, b); });
  }
  Status append_and_sync(const std::string& p, std::string_view bytes) override {
    return locked([&] { return disk.append_and_sync(p, bytes); });
  }
  Result<std::string> read(const std::string& p) override {
    return locked([&] { return disk.read(p); });
  }
  Status rename(const std::string& a, const std::string& b) override {
    return locked([&] { return disk.rename(a, b); });
  }
  Status sync_directory(const std::string& p) override {
    return locked([&] { return disk.sync_directory(p); });
  }
  Result<std::vector<std::string>> list(const std::string& p) override {
    return locked([&] { return disk.list(p); });
  }
  Status remove_all(const std::string& p) override {
    return locked([&] { return disk.remove_all(p); });
  }
  bool exists(const std::string& p) override {
    return locked([&] { return disk.exists(p); });
  }
  std::uint64_t free_bytes(const std::string& p) override {
    return locked([&] { return disk.free_bytes(p); });
  }
  Result<std::unique_ptr<engine::DirectoryLock>> lock_directory(const std::string& p) override {
    return locked([&] { return disk.lock_directory(p); });
  }
};

inline constexpr const char* kDirectory = "/data/p";

class Rig {
 public:
  explicit Rig(std::string yaml, std::uint32_t seed = 1)
      : world(clock, seed), connectors(world), yaml_(std::move(yaml)) {}
  ~Rig() { pipeline.reset(); }

  // nullptr and `error` if it does not start.
  bool start(unsigned shards = 1, bool bounded = false) {
    config::Diagnostics diagnostics;
    auto loaded = load_pipeline(yaml_, "p.yaml", nullptr, {}, diagnostics);
    if (!loaded) {
      ADD_FAILURE() << diagnostics.render();
      return false;
    }
    loaded->spec->checkpoint.every = config::Duration(every_ms);
    loaded->spec->shards.count = shards;
    auto log = std::make_shared<spdlog::logger>("p", std::make_shared<spdlog::sinks::null_sink_mt>());
    if (std::getenv("TS_LOG") != nullptr)
      log = std::make_shared<spdlog::logger>("p", std::make_shared<spdlog::sinks::stdout_sink_mt>());
    engine::FileSystem& files = real != nullptr ? *real : static_cast<engine::FileSystem&>(disk);
    pipeline = std::make_unique<Pipeline>(std::move(loaded->spec), std::move(loaded->plan),
                                          PipelineEnvironment{clock, files, connectors, directory, bounded, log});
    const Status started = pipeline->start();
    error = started ? "" : started.error().message;
    if (!started) pipeline.reset();
    return started.has_value();
  }
  void stop(int deadline_ms = 10'000) {
    const Status stopped = pipeline->stop(deadline_ms);
    EXPECT_TRUE(stopped) << stopped.error().message;
    pipeline.reset();
  }
  void kill() { pipeline.reset(); }

  std::uint64_t epoch() const { return pipeline->status().last_checkpoint.epoch; }
  // A checkpoint whose barrier began after this call.
  bool checkpointed() {
    const std::uint64_t now = epoch();
    return eventually([&] { return epoch() >= now + 2; });
  }
  bool drained() {
    return eventually([&] { return world.drained(); });
  }
  std::string file(const std::string& name) {
    auto bytes = disk.read(directory + "/" + name);
    return bytes ? bytes.value() : "";
  }
  std::vector<boost::json::object> lines(const std::string& name) {
    std::vector<boost::json::object> out;
    const std::string bytes = file(name);
    for (std::size_t at = 0; at < bytes.size();) {
      const std::size_t end = bytes.find('\n', at);
      out.push_back(boost::json::parse(std::string_view(bytes).substr(at, end - at)).as_object());
      at = end + 1;
    }
    return out;
  }

  SystemClock clock;
  SharedDisk disk;
  engine::FileSystem* real = nullptr;
  std::string directory = kDirectory;
  testing::FakeWorld world;
  testing::FakeConnectors connectors;
  std::int64_t every_ms = 20;
  std::unique_ptr<Pipeline> pipeline;
  std::string error;

 private:
  const std::string yaml_;
};

// --- a counter per key, the simplest pipeline with state ---

// One source on two clusters; every record {k, n, ts}; per key of an hour the number and sum of its records, every
// second of event time. A record with n = 0 fails in the step.
inline std::string counting_yaml(const std::string& more = "dead_letter: { topic: dlq, clusters: west }\n",
                                 const std::string& source = "") {
  return R"y(version: 1
name: p
sources:
  ev:
    topic: t
    clusters: { pair: [east, west] }
    start: earliest
    fields: { k: string, n: int64, ts: timestamp_ms }
    event_time: { field: ts, out_of_order: 1s }
)y" + source +
         R"y(steps:
  good: { from: ev, where: 100 / n <> 7777, select: { k: k, n: n } }
  w: { from: good, window: { tumbling: 1h }, key: [k], aggregate: { c: count(*), s: sum(n) }, emit: { every: 1s } }
sinks:
  out: { from: w, topic: o, clusters: { pair: [east, west] }, key: k }
)y" + more;
}

// What the windows of the first hour must hold, and the means to fill them.
class Counting : public Rig {
 public:
  using Totals = std::map<std::string, std::pair<std::int64_t, std::int64_t>>;
  static constexpr std::int64_t kHour = 3'600'000;

  explicit Counting(std::string yaml = counting_yaml(), std::uint32_t seed = 1)
      : Rig(std::move(yaml), seed), random_(seed) {
    base = clock.wall_ms() / kHour * kHour - 5 * kHour;
    for (const char* cluster : {"east", "west"}) {
      world.create(cluster, "t", 2);
      for (int p = 0; p < 2; ++p) lanes.push_back({cluster, "t", p});
    }
  }

  static std::string text(const std::string& k, std::int64_t n, std::int64_t ts) {
    return fmt::format(R"({{"k":"{}","n":{},"ts":{}}})", k, n, ts);
  }
  void put(const connectors::LaneKey& lane, const std::string& k, std::int64_t n) {
    world.push(lane, {clock.wall_ms(), "", text(k, n, base + at_)});
    at_ += 3;
    auto& t = expected[k];
    ++t.first;
    t.second += n;
  }
  void fill(int records) {
    for (int i = 0; i < records; ++i)
      put(lanes[random_() % lanes.size()], fmt::format("k{}", random_() % 50),
          1 + static_cast<std::int64_t>(random_() % 9));
  }
  // Event time passes the first hour on every lane.
  void close() {
    for (const auto& lane : lanes) world.push(lane, {clock.wall_ms(), "", text("zz", 1, base + 2 * kHour)});
  }
  Totals totals() const {
    Totals out;
    for (const auto& d : world.delivered("out")) {
      const auto v = boost::json::parse(d.value);
      const std::string k(v.at("k").as_string());
      if (k != "zz") out[k] = {v.at("c").to_number<std::int64_t>(), v.at("s").to_number<std::int64_t>()};
    }
    return out;
  }
  bool complete() {
    return eventually([&] { return totals() == expected; });
  }

  std::int64_t base = 0;
  std::vector<connectors::LaneKey> lanes;
  Totals expected;

 private:
  std::mt19937 random_;
  std::int64_t at_ = 0;
};

}  // namespace twinspan::gateway
