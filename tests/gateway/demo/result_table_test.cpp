#include "gateway/demo/result_table.h"

#include <gtest/gtest.h>

#include <string>

namespace twinspan::gateway {
namespace {

using Outcome = ResultTable::Outcome;

constexpr EventTime kEnd = 1'767'225'660'000;  // 2026-01-01T00:01:00Z

std::string row(const std::string& region, int uv, const std::string& end = "2026-01-01T00:01:00Z") {
  return R"({"region":")" + region + R"(","window_start":"2025-12-31T16:00:00Z","window_end":")" + end + R"(","uv":)" +
         std::to_string(uv) + R"(,"click_uv":1,"spend":2.5})";
}

TEST(ResultTable, FoldsByRegionAndWindow) {
  ResultTable table;
  EXPECT_EQ(table.add("east", {row("GD", 3), "u/s/1.0/1"}), Outcome::added);
  EXPECT_EQ(table.add("east", {row("BJ", 4), "u/s/1.0/2"}), Outcome::added);
  EXPECT_EQ(table.add("west", {row("GD", 5), "u/s/1.0/3"}), Outcome::updated);
  const auto& window = table.summary().windows.at(kEnd);
  EXPECT_EQ(window.at("GD").uv, 5);
  EXPECT_EQ(window.at("GD").updates, 1u);
  EXPECT_EQ(window.at("GD").spend, "2.50");
  EXPECT_EQ(window.at("GD").cluster, "west");
  EXPECT_EQ(window.at("BJ").uv, 4);
  EXPECT_EQ(table.summary().windows_seen, 1u);
}

TEST(ResultTable, DropsARepeatFromTheOtherCluster) {
  ResultTable table;
  EXPECT_EQ(table.add("east", {row("GD", 3), "u/s/1.0/1"}), Outcome::added);
  EXPECT_EQ(table.add("west", {row("GD", 3), "u/s/1.0/1"}), Outcome::repeat);
  EXPECT_EQ(table.summary().records, 1u);
  EXPECT_EQ(table.summary().repeats, 1u);
  EXPECT_FALSE(table.summary().by_cluster.contains("west"));
}

// Two topics have no order between them.
TEST(ResultTable, KeepsTheLargerSequenceWhateverComesFirst) {
  ResultTable table;
  EXPECT_EQ(table.add("west", {row("GD", 5), "u/s/1.0/20"}), Outcome::added);
  EXPECT_EQ(table.add("east", {row("GD", 3), "u/s/1.0/9"}), Outcome::older);
  EXPECT_EQ(table.summary().windows.at(kEnd).at("GD").uv, 5);
}

TEST(ResultTable, CountsWhatItCannotRead) {
  ResultTable table;
  EXPECT_EQ(table.add("east", {"{", "a/1"}), Outcome::unreadable);
  EXPECT_EQ(table.add("east", {"[]", "a/2"}), Outcome::unreadable);
  EXPECT_EQ(table.add("east", {R"({"region":"GD"})", "a/3"}), Outcome::unreadable);
  EXPECT_EQ(table.summary().unreadable, 3u);
}

TEST(ResultTable, ForgetsOldWindows) {
  ResultTable table;
  for (std::size_t i = 0; i < ResultTable::kWindows + 10; ++i) {
    const std::string minute = (i % 60 < 10 ? "0" : "") + std::to_string(i % 60);
    table.add("east", {row("GD", 1, "2026-01-01T00:" + minute + ":00Z"), "u/s/1.0/" + std::to_string(i + 1)});
  }
  EXPECT_EQ(table.summary().windows.size(), ResultTable::kWindows);
  EXPECT_EQ(table.summary().windows_seen, ResultTable::kWindows + 10);
}

}  // namespace
}  // namespace twinspan::gateway
