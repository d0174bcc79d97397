// Rows that wait, against a sorted map: rows at any distance, matched before their time, moved in the log, due in
// portions of any size.

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <utility>
#include <vector>

#include "engine/operators/join_waiting.h"

namespace twinspan::engine {
namespace {

struct Rows {
  RowLog log{4096};
  std::map<std::pair<EventTime, std::uint64_t>, RowAddress> waiting;
  std::uint64_t sequence = 0;

  RowAddress add(EventTime time, std::uint64_t number) {
    const RowLog::Place place = log.append(sizeof(JoinRow), time);
    place.row->sequence = number;
    place.row->key_size = 0;
    place.row->flags = JoinRow::kWaits;
    return place.address;
  }
};

TEST(JoinWaiting, GivesEveryRowThatIsLeftInOrder) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    std::mt19937_64 random(seed);
    const std::int64_t slice = std::vector<std::int64_t>{2, 10, 1000}[seed % 3];
    Rows rows;
    JoinWaiting waiting(rows.log, JoinRow::kWaits, slice);
    EventTime horizon = kMinTime;
    EventTime now = seed % 2 == 0 ? -50'000 : 1'000'000;
    for (int step = 0; step < 5000; ++step) {
      const unsigned what = random() % 10;
      if (what < 6) {
        EventTime time = now + static_cast<EventTime>(random() % static_cast<std::uint64_t>(slice * 300));
        if (random() % 50 == 0) time += slice * 5000;  // beyond the slices
        if (random() % 500 == 0) time = kMaxTime - static_cast<EventTime>(random() % 3);
        if (time <= horizon) continue;
        const RowAddress at = rows.add(time, ++rows.sequence);
        waiting.insert(time, rows.sequence, at);
        rows.waiting[{time, rows.sequence}] = at;
      } else if (what < 8 && !rows.waiting.empty()) {
        auto row = rows.waiting.lower_bound({now + static_cast<EventTime>(random() % 1000), 0});
        if (row == rows.waiting.end()) row = rows.waiting.begin();
        const auto [key, address] = *row;
        if (what == 6) {  // matched
          rows.log.at(address)->flags = JoinRow::kMatched;
          waiting.erase(key.first, key.second);
          rows.waiting.erase(row);
        } else {
          const RowAddress to = rows.add(key.first, key.second);
          rows.log.at(address)->flags |= JoinRow::kMoved;
          waiting.move(key.first, key.second, to);
          row->second = to;
        }
      } else if (what == 8) {
        now += static_cast<EventTime>(random() % static_cast<std::uint64_t>(slice * 3));
        if (random() % 100 == 0) now += slice * 2000;
        horizon = std::max(horizon, now - slice * 20);
        std::int64_t fuel = 0;
        for (;;) {
          if (fuel <= 0) fuel = static_cast<std::int64_t>(1 + random() % 20);
          if (!waiting.due(horizon, fuel)) {
            if (fuel > 0) break;
            continue;
          }
          const TimeTree::Entry& e = waiting.front().first();
          ASSERT_FALSE(rows.waiting.empty());
          const auto first = rows.waiting.begin();
          ASSERT_EQ(std::pair(e.time, e.sequence), first->first) << "seed " << seed << " step " << step;
          ASSERT_EQ(e.address, first->second);
          ASSERT_LE(e.time, horizon);
          waiting.drop_front(first->first.first, first->first.second);
          rows.waiting.erase(first);
        }
        ASSERT_TRUE(rows.waiting.empty() || rows.waiting.begin()->first.first > horizon);
      }
      ASSERT_EQ(waiting.size(), rows.waiting.size()) << "seed " << seed << " step " << step;
      if (rows.waiting.empty()) {
        ASSERT_EQ(waiting.none_before(), kMaxTime);
        continue;
      }
      const EventTime first = rows.waiting.begin()->first.first;
      ASSERT_LE(waiting.none_before(), first) << "seed " << seed << " step " << step;
      ASSERT_GT(waiting.none_before(), first - slice);
    }
  }
}

TEST(JoinWaiting, GivesMemoryBackWhenRowsAreMatchedOrDue) {
  Rows rows;
  JoinWaiting waiting(rows.log, JoinRow::kWaits, 100);
  std::int64_t fuel = 1;
  ASSERT_FALSE(waiting.due(0, fuel));
  std::vector<RowAddress> at;
  for (std::uint64_t i = 0; i < 100'000; ++i) {
    at.push_back(rows.add(static_cast<EventTime>(i), i));
    waiting.insert(static_cast<EventTime>(i), i, at.back());
  }
  EXPECT_LT(waiting.bytes(), 3'000'000u);
  for (std::uint64_t i = 0; i < 50'000; ++i) {
    rows.log.at(at[i])->flags = JoinRow::kMatched;
    waiting.erase(static_cast<EventTime>(i), i);
  }
  EXPECT_LT(waiting.bytes(), 1'500'000u);
  for (fuel = 1'000'000; waiting.due(100'000, fuel);)
    waiting.drop_front(waiting.front().first().time, waiting.front().first().sequence);
  EXPECT_TRUE(waiting.empty());
  EXPECT_LT(waiting.bytes(), 100'000u);
}

}  // namespace
}  // namespace twinspan::engine
