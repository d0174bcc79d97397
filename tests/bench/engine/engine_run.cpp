#include "tests/bench/engine/engine_run.h"

#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <thread>

#include <fmt/format.h>
#include <jemalloc/jemalloc.h>

#include "connectors/formats/json_encoder.h"
#include "gateway/load.h"
#include "tests/bench/engine/epoch_writer.h"
#include "tests/bench/engine/memory_feed.h"

namespace twinspan::bench {

namespace {

using Clock = std::chrono::steady_clock;

// Few rows arrive here; each is kept as the JSON text the reference has.
class RowsTerminal final : public engine::Terminal {
 public:
  explicit RowsTerminal(const Schema& schema) : encoder_(schema) {}
  void write(const Batch& batch) override {
    for (std::uint32_t i = 0; i < batch.rows; ++i) {
      if ((batch.flag(i) & kForStepsFlag) != 0) continue;  // no sink writes it
      line_.clear();
      if (is_retraction(batch.flag(i))) line_ = "-";
      encoder_.encode(batch, i, line_);
      ++rows[line_];
    }
    written_ += batch.rows;
  }
  bool has_room() const override { return true; }
  void step(std::int64_t) override {}
  std::uint64_t written() const override { return written_; }
  Rows rows;

 private:
  connectors::JsonEncoder encoder_;
  std::string line_;
  std::uint64_t written_ = 0;
};

class CountFailures final : public engine::FailureListener {
 public:
  void failed(const std::string&, const Batch&, std::uint32_t, std::string_view) override { ++count; }
  std::atomic<std::uint64_t> count{0};
};

double resident_mib() {
  std::ifstream in("/proc/self/statm");
  double all = 0, resident = 0;
  in >> all >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE)) / 1048576;
}

// What building the input has left behind must not be taken for the engine's, nor hide it.
void give_back_memory() {
  mallctl("thread.tcache.flush", nullptr, nullptr, nullptr, 0);
  mallctl(fmt::format("arena.{}.purge", MALLCTL_ARENAS_ALL).c_str(), nullptr, nullptr, nullptr, 0);
}

// What one shard's thread has and says.
struct Worker {
  std::vector<std::unique_ptr<MemoryFeed>> feeds;
  std::vector<std::unique_ptr<RowsTerminal>> terminals;
  CountFailures failures;
  std::unique_ptr<engine::Shard> shard;
  std::int64_t cpu_ns = 0, barrier_cpu_ns = 0;
  std::uint64_t state_rows = 0, state_bytes = 0;
  double rss_mib = 0;
  std::vector<double> stall_ms, held_ms;
  std::unique_ptr<EpochWriter> writer;  // if there are checkpoints
};

class Run {
 public:
  Run(const EngineSettings& s, const gateway::Plan& plan)
      : s_(s), plan_(plan), rings_(engine::Shard::count_exchanges(plan.graph), s.shards, 64) {
    if (s.checkpoint_rows > 0)
      barriers_ = s.count * static_cast<std::int64_t>(s.job.streams.size()) / s.checkpoint_rows;
    for (unsigned i = 0; i < s.shards; ++i) {
      auto w = std::make_unique<Worker>();
      std::vector<engine::Feed*> feeds;
      for (std::size_t k = 0; k < s.job.streams.size(); ++k) {
        w->feeds.push_back(
            std::make_unique<MemoryFeed>(plan.sources[k], s.events, s.job.streams[k], s.count, i, s.shards));
        w->feeds.back()->hold_end(barriers_ > 0);
        feeds.push_back(w->feeds.back().get());
      }
      if (s.second_after_first) w->feeds.at(1)->wait_for(*w->feeds.at(0));
      std::vector<engine::Terminal*> terminals;
      for (const gateway::SinkPlan& sink : plan.sinks)
        terminals.push_back(w->terminals.emplace_back(std::make_unique<RowsTerminal>(sink.schema)).get());
      if (barriers_ > 0) w->writer = std::make_unique<EpochWriter>(i);
      w->shard = std::make_unique<engine::Shard>(plan.graph, i, rings_, feeds, terminals, w->failures);
      workers_.push_back(std::move(w));
    }
  }

  EngineFigures run() {
    give_back_memory();
    const double base = resident_mib();
    const auto begin = Clock::now();
    {
      std::vector<std::jthread> threads;
      for (auto& w : workers_) threads.emplace_back([this, &w] { work(*w); });
    }
    EngineFigures f;
    f.wall_s = std::chrono::duration<double>(Clock::now() - begin).count();
    for (auto& w : workers_) {
      f.cpu_s += static_cast<double>(w->cpu_ns) / 1e9;
      f.barrier_cpu_s += static_cast<double>(w->barrier_cpu_ns) / 1e9;
      if (w->writer != nullptr) {
        const EpochWriter::Figures written = w->writer->finish();
        if (!written.error.empty()) throw std::runtime_error(written.error);
        f.writer_cpu_s += static_cast<double>(written.cpu_ns) / 1e9;
        f.delta_bytes += written.bytes;
      }
      f.state_rows += w->state_rows;
      f.state_bytes += w->state_bytes;
      f.rss_mib = std::max(f.rss_mib, w->rss_mib - base);
      f.failed += w->failures.count;
      f.stall_ms.insert(f.stall_ms.end(), w->stall_ms.begin(), w->stall_ms.end());
      f.held_ms.insert(f.held_ms.end(), w->held_ms.begin(), w->held_ms.end());
      for (unsigned n = 0; n < w->shard->node_count(); ++n) f.late += w->shard->late_dropped(n);
      for (std::size_t k = 0; k < w->feeds.size(); ++k)
        if (!s_.second_after_first || k == 1) f.rows += w->feeds[k]->rows_given();
      for (auto& t : w->terminals)
        for (const auto& [row, n] : t->rows) f.output[row] += n;
    }
    return f;
  }

 private:
  void watch(Worker& w) const {
    std::uint64_t rows = 0, bytes = 0;
    for (unsigned n = 0; n < w.shard->node_count(); ++n) {
      const engine::OperatorStats s = w.shard->stats(n);
      rows += s.state_rows;
      bytes += s.state_bytes;
    }
    if (rows > w.state_rows) {
      w.state_rows = rows;
      w.state_bytes = bytes;
    }
    w.rss_mib = std::max(w.rss_mib, resident_mib());
  }

  void work(Worker& w) {
    engine::Shard& shard = *w.shard;
    const std::int64_t begin = thread_cpu_ns();
    std::int64_t done = 0, given = 0, watched = 0, watch_ns = 0;
    // About 64 looks at state and memory a run; their own time is taken out.
    const std::int64_t look_every =
        std::max<std::int64_t>(65'536, s_.count * static_cast<std::int64_t>(s_.job.streams.size()) / s_.shards / 64);
    Clock::time_point barrier_begin;
    bool in_barrier = false;
    unsigned nothing = 0;
    while (!shard.ended()) {
      if (!in_barrier && done < barriers_ &&
          total_given_.load(std::memory_order_relaxed) >= (done + 1) * s_.checkpoint_rows) {
        in_barrier = true;
        barrier_begin = Clock::now();
        shard.begin_barrier(Epoch(static_cast<std::uint64_t>(done + 1)));
      }
      const bool progress = !(in_barrier && shard.barrier_passed()) && shard.step(0);
      if (in_barrier && shard.barrier_passed()) {
        engine::ShardBarrier barrier = shard.take_barrier();
        w.stall_ms.push_back(static_cast<double>(barrier.stall_us) / 1000);
        w.held_ms.push_back(std::chrono::duration<double, std::milli>(Clock::now() - barrier_begin).count());
        w.barrier_cpu_ns += barrier.save_us * 1000;
        w.writer->give(std::move(barrier));
        in_barrier = false;
        if (++done == barriers_)
          for (auto& f : w.feeds) f->hold_end(false);
      }
      std::int64_t now = 0;
      for (const auto& f : w.feeds) now += f->rows_given();
      if (now != given) {
        total_given_.fetch_add(now - given, std::memory_order_relaxed);
        given = now;
      }
      if (given - watched >= look_every) {
        watched = given;
        const std::int64_t t = thread_cpu_ns();
        watch(w);
        watch_ns += thread_cpu_ns() - t;
      }
      nothing = progress ? 0 : nothing + 1;
      if (nothing > 16) std::this_thread::sleep_for(std::chrono::microseconds(20));
    }
    const std::int64_t from = s_.second_after_first ? w.feeds.at(1)->first_cpu_ns() : begin;
    w.cpu_ns = thread_cpu_ns() - from - watch_ns;
  }

  const EngineSettings& s_;
  const gateway::Plan& plan_;
  engine::ExchangeRings rings_;
  std::int64_t barriers_ = 0;
  std::atomic<std::int64_t> total_given_{0};
  std::vector<std::unique_ptr<Worker>> workers_;
};

}  // namespace

EngineFigures run_engine(const EngineSettings& settings) {
  PipelineEnds ends;
  ends.shards = static_cast<int>(settings.shards);
  ends.out_of_order = settings.out_of_order;
  ends.topic = [](int stream) { return fmt::format("in-memory-{}", stream); };
  ends.sink = "unused.jsonl";
  config::Diagnostics diagnostics;
  const auto loaded =
      gateway::load_pipeline(pipeline_text(settings.job, ends), settings.job.name, nullptr, {}, diagnostics);
  if (!loaded) throw std::runtime_error(diagnostics.render());
  return Run(settings, *loaded->plan).run();
}

double quantile(std::vector<double> values, double p) {
  std::sort(values.begin(), values.end());
  const auto n = static_cast<double>(values.size());
  return values[std::min(values.size() - 1, static_cast<std::size_t>(std::ceil(p * n)) - (p > 0 ? 1 : 0))];
}

}  // namespace twinspan::bench
