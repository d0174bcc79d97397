// Rows of hot keys counted before they are sent (CombineRows), and the window behind: record by record what the slow
// reference says, as without. Senders whose watermarks are behind the window's have rows that are late there.

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/operators/combine_rows.h"
#include "engine/operators/new_values.h"
#include "tests/engine/operators/window/oracle_compare.h"
#include "tests/engine/operators/window/random_window.h"

namespace twinspan::testing {
namespace {

// The rows of one stream, as they come from senders of which some are behind: each has its own watermark, and the
// window's is the greatest that came.
struct Stream {
  std::vector<Event> sent;  // with the sender's watermark
  std::vector<Event> seen;  // with the window's
  std::vector<unsigned> sender;
};

constexpr unsigned kSenders = 3;
constexpr std::int64_t kBehind[kSenders] = {0, 40, 600};

Stream stream_of(Dice& dice, const WindowSpec& spec, std::size_t n) {
  Stream out;
  out.sent = random_stream(dice, n, spec.updating);
  const bool skewed = dice.one_in(2);
  const bool together = dice.one_in(3);  // one sender, no row of which is behind
  unsigned sender = 0;
  Watermark seen;
  for (Event& e : out.sent) {
    if (skewed &&
        (e.row.shard * 7 + (e.row.name ? e.row.name->back() : 0)) % 3 != 0) {  // the same for what is taken back
      e.row.name = "hot";
      e.row.shard = 1;
    }
    if (dice.one_in(60) && !together) sender = static_cast<unsigned>(dice.to(kSenders));
    if (e.is_row && e.at.firing != kMinTime) e.at.firing -= kBehind[sender];
    if (e.is_row && e.at.retention != kMinTime) e.at.retention -= kBehind[sender];
    if (!e.is_row) sender = 0;
    out.sender.push_back(sender);
    Event s = e;
    seen.firing = std::max(seen.firing, e.at.firing);
    seen.retention = std::max(seen.retention, e.at.retention);
    s.at = seen;
    out.seen.push_back(s);
  }
  return out;
}

using Operators = std::vector<std::unique_ptr<Operator>>;

// An exchange: rows go to the shard of their hash, and every shard is told each watermark.
class Exchange final : public Output {
 public:
  // `by`: nullptr if rows have their hash.
  Exchange(Operators& to, Output& next, Recorder& out, const RowCodec* by = nullptr)
      : to_(to), next_(next), out_(out), by_(by) {}
  void emit(Batch&& b) override {
    const auto shards = static_cast<unsigned>(to_.size());
    raise(b);
    if (shards == 1) return to_[0]->process(0, std::move(b), next_);
    if (by_ != nullptr) {
      auto* hash = b.add_arena().make<std::uint64_t>(b.rows);
      by_->hash(b, hash);
      b.hash = hash;
    }
    for (std::uint32_t row = 0; row < b.rows; ++row) {
      Batch one = gather(b, &row, 1, std::make_shared<Arena>());
      for (auto& op : to_) op->watermark(0, {one.firing[0], one.retention[0]}, next_);
      to_[shard_of_hash(one.hash[0], shards)]->process(0, std::move(one), next_);
    }
  }
  void watermark(Watermark w) override {
    seen_.firing = std::max(seen_.firing, w.firing);
    seen_.retention = std::max(seen_.retention, w.retention);
    for (auto& op : to_) op->watermark(0, seen_, next_);
  }
  void late(Batch&& rows) override { out_.late(std::move(rows)); }
  void failed(const Batch& b, std::uint32_t row, std::string_view reason) override { out_.failed(b, row, reason); }

 private:
  void raise(Batch& b) {
    Arena& arena = b.add_arena();
    auto* f = arena.make<EventTime>(b.rows);
    auto* r = arena.make<EventTime>(b.rows);
    for (std::uint32_t i = 0; i < b.rows; ++i) {
      f[i] = seen_.firing = std::max(seen_.firing, b.firing[i]);
      r[i] = seen_.retention = std::max(seen_.retention, b.retention[i]);
    }
    b.firing = f;
    b.retention = r;
  }
  Operators& to_;
  Output& next_;
  Recorder& out_;
  const RowCodec* by_;
  Watermark seen_;
};

struct Senders {
  explicit Senders(const WindowSpec& spec, unsigned shards) {
    for (unsigned s = 0; s < kSenders; ++s) all.push_back(std::make_unique<CombineRows>(spec, input_schema(), shards));
  }
  std::uint64_t combined() const {
    std::uint64_t n = 0;
    for (const auto& s : all) n += s->stats().rows_combined;
    return n;
  }
  std::vector<std::unique_ptr<CombineRows>> all;
};

void send(Senders& senders, const Stream& stream, std::size_t from, std::size_t to, std::size_t batch, Exchange& out) {
  for (std::size_t i = from; i < to;) {
    if (!stream.sent[i].is_row) {
      senders.all[0]->watermark(0, stream.sent[i].at, out);
      ++i;
      continue;
    }
    std::size_t n = 1;
    while (i + n < to && n < batch && stream.sent[i + n].is_row && stream.sender[i + n] == stream.sender[i]) ++n;
    senders.all[stream.sender[i]]->process(0, batch_of(&stream.sent[i], n), out);
    i += n;
  }
}

WindowSpec skewed_spec(Dice& dice, WindowKind kind) {
  WindowSpec spec = random_spec(dice, kind);
  if (!spec.updating) std::erase_if(spec.aggregates, [](const AggregateSpec& a) { return a.distinct; });
  spec.skew.split = dice.of({SplitKeys::automatic, SplitKeys::most_frequent});
  if (spec.skew.split == SplitKeys::most_frequent) spec.skew.keys = dice.of<std::uint32_t>({1, 3, 300});
  return spec;
}

Operators windows_of(const WindowSpec& spec, const Schema& schema, unsigned shards) {
  Operators out;
  for (unsigned s = 0; s < shards; ++s) out.push_back(make_window(spec, schema, s, shards));
  return out;
}

// Late rows of several shards come in any order, too.
void expect_whole(Recorder got, Expected want, bool in_order, unsigned seed, const std::string& how) {
  ASSERT_EQ(got.table.problems, std::vector<std::string>{}) << "seed " << seed << ", " << how;
  if (!in_order) {
    std::sort(got.late_rows.begin(), got.late_rows.end());
    std::sort(want.late_rows.begin(), want.late_rows.end());
  }
  expect_same(got, std::move(want), in_order, fmt::format("seed {}, {}", seed, how));
}

std::string kind_name(WindowKind kind) {
  static const char* const names[] = {"Tumbling", "Cumulate", "Sliding", "Session", "Global"};
  return names[static_cast<int>(kind)];
}

class CombinedRowsTest : public ::testing::TestWithParam<WindowKind> {};

TEST_P(CombinedRowsTest, ResultsAreThoseOfTheRows) {
  std::uint64_t rows = 0, combined = 0;
  std::size_t late = 0;
  for (unsigned seed = 1; seed <= seeds(150); ++seed) {
    Dice dice(seed + 70'000);
    const WindowSpec spec = skewed_spec(dice, GetParam());
    ASSERT_TRUE(validate(spec).has_value()) << validate(spec).error().message;
    const Stream stream = stream_of(dice, spec, 900);
    const Expected want = expected(spec, stream.seen);
    const Schema schema = schema_of(spec);
    const auto given = static_cast<std::uint64_t>(
        std::count_if(stream.sent.begin(), stream.sent.end(), [](const Event& e) { return e.is_row; }));
    for (const std::size_t batch : {1, 7, 1024}) {
      auto windows = windows_of(spec, schema, 1);
      Recorder out = recorder(spec);
      Exchange exchange(windows, out, out);
      Senders senders(spec, 2);  // or automatic would pass them on
      send(senders, stream, 0, stream.sent.size(), batch, exchange);
      windows[0]->finish(out);
      ASSERT_NO_FATAL_FAILURE(expect_whole(out, want, ordered(spec), seed, fmt::format("batches of {}", batch)));
      EXPECT_EQ(out.problems, std::vector<std::string>{}) << "seed " << seed;
      EXPECT_EQ(windows[0]->stats().rows_in, given) << "seed " << seed << ", batches of " << batch;
      EXPECT_EQ(windows[0]->stats().rows_late, want.late_rows.size());
      EXPECT_TRUE(batch != 1 || senders.combined() == 0);
      if (batch == 1024) combined += senders.combined();
    }
    rows += given;
    late += want.late_rows.size();
  }
  EXPECT_GT(combined, rows / 20);  // the streams are worth something
  EXPECT_TRUE(late > 1000 || GetParam() == WindowKind::global) << late;
}

TEST_P(CombinedRowsTest, GoesOnAfterRestoreAsIfNothingHadHappened) {
  for (unsigned seed = 1; seed <= seeds(60); ++seed) {
    Dice dice(seed + 80'000);
    const WindowSpec spec = skewed_spec(dice, GetParam());
    const Stream stream = stream_of(dice, spec, 900);
    const Schema schema = schema_of(spec);
    auto windows = windows_of(spec, schema, 1);
    Recorder out = recorder(spec);
    Exchange exchange(windows, out, out);
    Senders senders(spec, 2);
    StateImage image;
    for (std::size_t at = 0; at < stream.sent.size();) {
      const std::size_t to = std::min(stream.sent.size(), at + 1 + static_cast<std::size_t>(dice.to(200)));
      send(senders, stream, at, to, dice.of<std::size_t>({7, 1024}), exchange);
      at = to;
      DeltaWriter delta;
      snapshot_at_once(*windows[0], delta);
      image.apply(delta.take());
      if (!dice.one_in(3)) continue;
      windows = windows_of(spec, schema, 1);
      image.restore(*windows[0]);
      windows[0]->restore_watermark(0, stream.seen[at - 1].at);
      if (dice.one_in(2)) senders = Senders(spec, 2);
    }
    windows[0]->finish(out);
    ASSERT_NO_FATAL_FAILURE(expect_whole(out, expected(spec, stream.seen), ordered(spec), seed, "restored"));
  }
}

TEST_P(CombinedRowsTest, OneToFourShards) {
  for (unsigned seed = 1; seed <= seeds(60); ++seed) {
    Dice dice(seed + 90'000);
    const WindowSpec spec = skewed_spec(dice, GetParam());
    const Stream stream = stream_of(dice, spec, 900);
    const Schema schema = schema_of(spec);
    Recorder out = recorder(spec);
    StateImage image;
    Operators windows;
    unsigned shards = 0;
    for (unsigned phase = 0; phase < 4; ++phase) {
      const std::size_t from = stream.sent.size() * phase / 4, to = stream.sent.size() * (phase + 1) / 4;
      shards = 1 + static_cast<unsigned>(dice.to(4));
      windows = windows_of(spec, schema, shards);
      for (unsigned s = 0; s < shards; ++s) {
        image.restore(*windows[s], s, shards);
        if (from > 0) windows[s]->restore_watermark(0, stream.seen[from - 1].at);
      }
      Exchange exchange(windows, out, out);
      if (from > 0) exchange.watermark(stream.seen[from - 1].at);
      Senders senders(spec, shards);
      send(senders, stream, from, to, dice.of<std::size_t>({1, 7, 1024}), exchange);
      for (unsigned s = 0; s < shards; ++s) {
        DeltaWriter delta;
        snapshot_at_once(*windows[s], delta);
        image.apply(delta.take(), s, shards);
      }
    }
    for (auto& w : windows) w->finish(out);
    ASSERT_NO_FATAL_FAILURE(expect_whole(out, expected(spec, stream.seen), false, seed, "shards"));
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, CombinedRowsTest,
                         ::testing::Values(WindowKind::tumbling, WindowKind::cumulate, WindowKind::sliding,
                                           WindowKind::session, WindowKind::global),
                         [](const auto& info) { return kind_name(info.param); });

// --- DISTINCT counts, split by value

// All operators of the step: those that find new values, the one that combines, the windows.
class SplitStep {
 public:
  SplitStep(const WindowSpec& spec, const Schema& schema, unsigned shards, Recorder& out)
      : split_(split_distinct(spec, input_schema())) {
    input_ = split_.stages.empty() ? input_schema() : split_.stages.back().schema;
    windows = windows_of(split_.counting, schema, shards);
    combine_.push_back(std::make_unique<CombineRows>(split_.counting, input_, 2));
    values.resize(split_.stages.size());
    exchanges_.push_back(std::make_unique<Exchange>(windows, out, out));
    exchanges_.push_back(std::make_unique<Exchange>(combine_, *exchanges_.back(), out));
    for (std::size_t k = split_.stages.size(); k-- > 0;) {
      for (unsigned s = 0; s < shards; ++s) values[k].push_back(std::make_unique<NewValues>(split_.stages[k]));
      codecs_.push_back(
          std::make_unique<RowCodec>(std::vector<int>{split_.column(k)}, std::vector<DataType>{split_.type(k)}));
      exchanges_.push_back(std::make_unique<Exchange>(values[k], *exchanges_.back(), out, codecs_.back().get()));
    }
  }
  void feed(const std::vector<Event>& events, std::size_t from, std::size_t to, std::size_t batch) {
    for (std::size_t i = from; i < to;) {
      if (!events[i].is_row) {
        exchanges_.back()->watermark(events[i++].at);
        continue;
      }
      std::size_t n = 1;
      while (i + n < to && n < batch && events[i + n].is_row) ++n;
      exchanges_.back()->emit(batch_of(&events[i], n));
      i += n;
    }
  }
  template <class Visit>  // a shard's operator with state, its number and shard
  void each(Visit visit) {
    for (unsigned s = 0; s < windows.size(); ++s) {
      visit(*windows[s], std::size_t{0}, s);
      for (std::size_t k = 0; k < values.size(); ++k) visit(*values[k][s], k + 1, s);
    }
  }
  void restore_watermark(Watermark w) {
    each([&](Operator& op, std::size_t, unsigned) { op.restore_watermark(0, w); });
    combine_[0]->restore_watermark(0, w);
    for (auto& e : exchanges_) e->watermark(w);
  }
  void finish(Output& out) {
    for (auto& w : windows) w->finish(out);
  }
  std::uint64_t combined() const { return combine_[0]->stats().rows_combined; }
  std::uint64_t late() const {
    std::uint64_t n = 0;
    for (const auto& w : windows) n += w->stats().rows_late;
    for (const Operators& stage : values)
      for (const auto& v : stage) n += v->stats().rows_late;
    return n;
  }

  Operators windows;
  std::vector<Operators> values;

 private:
  const SplitDistinct split_;
  Schema input_;
  Operators combine_;
  std::vector<std::unique_ptr<RowCodec>> codecs_;
  std::vector<std::unique_ptr<Exchange>> exchanges_;  // the first one last
};

WindowSpec distinct_spec(Dice& dice, WindowKind kind) {
  WindowSpec spec = random_spec(dice, kind);
  while (spec.updating) spec = random_spec(dice, kind);
  const std::vector<AggregateSpec> distinct = {
      aggregate(AggregateFunction::count, kDevice, true), aggregate(AggregateFunction::count, kDevice, true, kOk),
      aggregate(AggregateFunction::count, kV, true), aggregate(AggregateFunction::count, kPrice, true, kOk),
      aggregate(AggregateFunction::count, kRatio, true)};
  for (const AggregateSpec& a : distinct)
    if (dice.one_in(2)) spec.aggregates.push_back(a);
  spec.aggregates.push_back(distinct[static_cast<std::size_t>(dice.to(5))]);
  spec.skew.split = SplitKeys::automatic;
  return spec;
}

class SplitDistinctTest : public ::testing::TestWithParam<WindowKind> {};

TEST_P(SplitDistinctTest, ResultsAreThoseOfTheRows) {
  std::uint64_t rows = 0, combined = 0;
  std::size_t late = 0;
  for (unsigned seed = 1; seed <= seeds(100); ++seed) {
    Dice dice(seed + 170'000);
    const WindowSpec spec = distinct_spec(dice, GetParam());
    ASSERT_TRUE(validate(spec).has_value()) << validate(spec).error().message;
    const std::vector<Event> events = stream_of(dice, spec, 700).seen;
    const Expected want = expected(spec, events);
    const Schema schema = schema_of(spec);
    for (const std::size_t batch : {1, 7, 1024}) {
      Recorder out = recorder(spec);
      SplitStep step(spec, schema, 1, out);
      step.feed(events, 0, events.size(), batch);
      step.finish(out);
      ASSERT_NO_FATAL_FAILURE(expect_whole(out, want, true, seed, fmt::format("batches of {}", batch)));
      EXPECT_EQ(out.problems, std::vector<std::string>{}) << "seed " << seed;
      EXPECT_EQ(step.late(), want.late_rows.size()) << "seed " << seed;
      if (batch == 1024) combined += step.combined();
    }
    rows += events.size();
    late += want.late_rows.size();
  }
  EXPECT_GT(combined, rows / 20);
  EXPECT_TRUE(late > 500 || GetParam() == WindowKind::global) << late;
}

TEST_P(SplitDistinctTest, OneToFourShardsWithRestores) {
  for (unsigned seed = 1; seed <= seeds(80); ++seed) {
    Dice dice(seed + 180'000);
    const WindowSpec spec = distinct_spec(dice, GetParam());
    const std::vector<Event> events = stream_of(dice, spec, 700).seen;
    const Schema schema = schema_of(spec);
    Recorder out = recorder(spec);
    std::vector<StateImage> images(10);
    std::unique_ptr<SplitStep> step;
    unsigned shards = 0;
    for (std::size_t at = 0; at < events.size();) {
      const std::size_t to = std::min(events.size(), at + 1 + static_cast<std::size_t>(dice.to(150)));
      if (step == nullptr || dice.one_in(3)) {
        shards = 1 + static_cast<unsigned>(dice.to(4));
        step = std::make_unique<SplitStep>(spec, schema, shards, out);
        step->each([&](Operator& op, std::size_t n, unsigned s) { images[n].restore(op, s, shards); });
        if (at > 0) step->restore_watermark(events[at - 1].at);
      }
      step->feed(events, at, to, dice.of<std::size_t>({1, 7, 1024}));
      at = to;
      step->each([&](Operator& op, std::size_t n, unsigned s) {
        DeltaWriter delta;
        snapshot_at_once(op, delta);
        images[n].apply(delta.take(), s, shards);
      });
    }
    step->finish(out);
    ASSERT_NO_FATAL_FAILURE(expect_whole(out, expected(spec, events), false, seed, "shards"));
    if (GetParam() == WindowKind::global) continue;  // never ends
    for (const Operators& stage : step->values)
      for (const auto& v : stage) {
        v->watermark(0, {kMaxTime - 1, kMaxTime - 1}, out);
        EXPECT_EQ(v->stats().state_rows, 0u) << "left behind, seed " << seed;
      }
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, SplitDistinctTest,
                         ::testing::Values(WindowKind::tumbling, WindowKind::cumulate, WindowKind::global),
                         [](const auto& info) { return kind_name(info.param); });

TEST(SplitDistinct, NoShardHasAllValuesOfAGroup) {
  WindowSpec spec;
  spec.size = 1000;
  spec.aggregates = {aggregate(AggregateFunction::count, kDevice, true)};
  spec.skew.split = SplitKeys::automatic;
  std::vector<Event> events;
  for (int i = 0; i < 4000; ++i) {
    Event e;
    e.row.time = 10;
    e.row.device = "device-" + std::to_string(i % 1000);
    events.push_back(e);
  }
  const Schema schema = schema_of(spec);
  Recorder out;
  SplitStep step(spec, schema, 4, out);
  step.feed(events, 0, events.size(), 1024);
  std::uint64_t all = 0;
  for (const auto& v : step.values[0]) {
    EXPECT_GT(v->stats().state_rows, 150u);
    EXPECT_LT(v->stats().state_rows, 350u);
    all += v->stats().state_rows;
  }
  EXPECT_EQ(all, 1000u);
  step.finish(out);
  ASSERT_EQ(out.rows.size(), 1u);
  EXPECT_TRUE(out.rows[0].starts_with("+I 0 1000 1000 ")) << out.rows[0];
}

TEST(HotKeys, AreThoseWithManyRows) {
  HotKeys keys({SplitKeys::automatic, 0}, 2);
  std::vector<std::uint64_t> batch(1024);
  std::uint64_t next = 1;
  const auto rows = [&](std::uint64_t hot, unsigned every) {
    for (std::size_t i = 0; i < batch.size(); ++i) batch[i] = i % every == 0 ? hot : ++next * 0x9E3779B97F4A7C15ull;
    keys.see(batch.data(), static_cast<std::uint32_t>(batch.size()));
  };
  for (int i = 0; i < 200; ++i) rows(7, 3);
  EXPECT_EQ(keys.size(), 1u);
  EXPECT_EQ(keys.find(7), 0u);
  EXPECT_EQ(keys.find(8), HotKeys::kNone);
  for (int i = 0; i < 200; ++i) rows(8, 20);  // 5 % are enough, and what was hot no longer is
  EXPECT_EQ(keys.find(7), HotKeys::kNone);
  EXPECT_NE(keys.find(8), HotKeys::kNone);
  for (int i = 0; i < 200; ++i) rows(9, 512);
  EXPECT_EQ(keys.size(), 0u);
}

TEST(HotKeys, AsManyAsAskedFor) {
  HotKeys keys({SplitKeys::most_frequent, 2}, 2);
  std::vector<std::uint64_t> batch(1000);
  for (std::size_t i = 0; i < batch.size(); ++i) batch[i] = i % 10 < 4 ? 1 : i % 10 < 7 ? 2 : 3 + i % 10;
  for (int i = 0; i < 100; ++i) keys.see(batch.data(), 1000);
  EXPECT_EQ(keys.size(), 2u);
  EXPECT_NE(keys.find(1), HotKeys::kNone);
  EXPECT_NE(keys.find(2), HotKeys::kNone);
}

}  // namespace
}  // namespace twinspan::testing
