#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "connectors/file/file_sink.h"
#include "connectors/file/file_source.h"

namespace twinspan::connectors {
namespace {

using ::testing::HasSubstr;

class FileTest : public ::testing::Test {
 protected:
  FileTest() {
    std::string pattern = std::filesystem::temp_directory_path() / "twinspan-file-XXXXXX";
    dir_ = ::mkdtemp(pattern.data());
  }
  ~FileTest() override { std::filesystem::remove_all(dir_); }
  std::string put(const std::string& text) {
    std::ofstream(path(), std::ios::binary) << text;
    return path();
  }
  std::string path() const { return (dir_ / "in.jsonl").string(); }
  std::string read() const {
    std::ifstream in(path(), std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  std::filesystem::path dir_;
};

std::vector<std::pair<std::int64_t, std::string>> drain(SourceReader& r, std::size_t batch) {
  std::vector<std::pair<std::int64_t, std::string>> out;
  std::vector<RawRecord> records(batch);
  while (!r.ended()) {
    const std::size_t n = r.poll(records.data(), batch);
    for (std::size_t i = 0; i < n; ++i) out.emplace_back(records[i].offset, std::string(records[i].value));
    r.release();
  }
  return out;
}

TEST_F(FileTest, LinesComeWithTheirByteOffsets) {
  FileSource s({put("{\"a\":1}\n\n{\"a\":2}\r\n{\"a\":3}"), 2});
  ASSERT_TRUE(s.start({}).has_value());
  EXPECT_TRUE(s.reader(1).ended());
  EXPECT_THAT(drain(s.reader(0), 2),
              ::testing::ElementsAre(std::pair(0, "{\"a\":1}"), std::pair(9, "{\"a\":2}"), std::pair(18, "{\"a\":3}")));
  std::vector<LaneEvent> events;
  s.reader(0).take_events(events);
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[0].kind, LaneEvent::Kind::added);
  EXPECT_EQ(events[1].kind, LaneEvent::Kind::at_end);
  EXPECT_TRUE(s.lanes()[0].at_end);
}

TEST_F(FileTest, GoesOnAtTheRestoredPosition) {
  std::string text;
  for (int i = 0; i < 50'000; ++i)
    text += "line " + std::to_string(i) + std::string(static_cast<std::size_t>(i % 50), 'x') + "\n";
  put(text);
  FileSource whole({path()});
  ASSERT_TRUE(whole.start({}).has_value());
  const auto all = drain(whole.reader(0), 1024);
  ASSERT_EQ(all.size(), 50'000u);

  FileSource first({path()});
  ASSERT_TRUE(first.start({}).has_value());
  std::vector<RawRecord> records(777);
  ASSERT_EQ(first.reader(0).poll(records.data(), 777), 777u);
  std::vector<LanePosition> at;
  first.reader(0).positions(at);
  FileSource second({path()});
  ASSERT_TRUE(second.start(at).has_value());
  const auto rest = drain(second.reader(0), 100);
  EXPECT_TRUE(std::equal(rest.begin(), rest.end(), all.begin() + 777, all.end()));
}

TEST_F(FileTest, ViewsHoldUntilReleaseEvenAcrossChunks) {
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += std::to_string(i) + "\n";
  FileSource s({put(text)});
  ASSERT_TRUE(s.start({}).has_value());
  std::vector<RawRecord> records(100'000);
  std::size_t n = 0;
  while (!s.reader(0).ended()) n += s.reader(0).poll(records.data() + n, 100'000 - n);
  ASSERT_EQ(n, 100'000u);
  for (std::size_t i = 0; i < n; ++i) ASSERT_EQ(records[i].value, std::to_string(i));
}

TEST_F(FileTest, JumpGoesToTheNextLineStart) {
  FileSource s({put("aaaa\nbbbb\ncccc\n")});
  ASSERT_TRUE(s.start({}).has_value());
  EXPECT_EQ(s.reader(0).jump(LaneIndex(0), 7), 0);
  EXPECT_THAT(drain(s.reader(0), 10), ::testing::ElementsAre(std::pair(10, "cccc")));
  FileSource exact({path()});
  ASSERT_TRUE(exact.start({}).has_value());
  exact.reader(0).jump(LaneIndex(0), 5);
  EXPECT_EQ(drain(exact.reader(0), 10).size(), 2u);
  FileSource end({path()});
  ASSERT_TRUE(end.start({}).has_value());
  const auto plan = end.plan_discard({}, 0);
  end.reader(0).jump(LaneIndex(0), plan.value()[0].to);
  EXPECT_TRUE(end.reader(0).ended());
  EXPECT_FALSE(end.plan_discard({DiscardTarget::Kind::timestamp, 5}, 0).has_value());
}

TEST_F(FileTest, WhatCannotBeReadIsSaid) {
  FileSource missing({path()});
  auto r = missing.start({});
  ASSERT_FALSE(r.has_value());
  EXPECT_THAT(r.error().message, HasSubstr("No such file"));
  FileSource folder({dir_.string()});
  r = folder.start({});
  ASSERT_FALSE(r.has_value());
  EXPECT_THAT(r.error().message, HasSubstr("a directory"));
  put("short\n");
  FileSource changed({path()});
  r = changed.start({{{"file", path(), 0}, 100}});
  ASSERT_FALSE(r.has_value());
  EXPECT_EQ(r.error().kind, ErrorKind::permanent);
  if (::geteuid() != 0) {  // root may read anything
    ::chmod(path().c_str(), 0);
    FileSource denied({path()});
    EXPECT_THAT(denied.start({}).error().message, HasSubstr("Permission denied"));
  }
}

TEST_F(FileTest, AnEndlessLineStopsTheLane) {
  FileSource s({put("ok\n" + std::string(3'000'000, 'x') + "\nafter\n"), 1, 1 << 20});
  ASSERT_TRUE(s.start({}).has_value());
  EXPECT_EQ(drain(s.reader(0), 10).size(), 1u);
  std::vector<LaneEvent> events;
  s.reader(0).take_events(events);
  EXPECT_EQ(events.back().kind, LaneEvent::Kind::stopped);
  EXPECT_THAT(events.back().detail, HasSubstr("longer than 1048576"));
}

TEST_F(FileTest, SinkAppendsLinesAndAcknowledgesWhatWasWritten) {
  ManualClock clock;
  put("before\n");
  FileSink sink({"out", path(), 2}, clock);
  ASSERT_TRUE(sink.start().has_value());
  OutputRecord record;
  record.value = "{\"a\":1}";
  sink.writer(0).write(record);
  record.has_value = false;
  sink.writer(1).write(record);
  EXPECT_EQ(sink.writer(0).written(), 1u);
  EXPECT_EQ(sink.writer(0).acknowledged(), 0u);
  clock.advance(30);
  EXPECT_EQ(sink.status().oldest_unacknowledged_ms, 30);
  sink.writer(0).step();
  EXPECT_EQ(sink.writer(0).acknowledged(), 1u);
  ASSERT_TRUE(sink.flush(1000).has_value());
  EXPECT_EQ(sink.status().acknowledged, 2u);
  EXPECT_EQ(read(), "before\n{\"a\":1}\nnull\n");
}

TEST_F(FileTest, FullDiskKeepsRecordsWaiting) {
  ManualClock clock;
  FileSink sink({"out", "/dev/full", 1, 100}, clock);
  ASSERT_TRUE(sink.start().has_value());
  OutputRecord record;
  const std::string big(200, 'x');
  record.value = big;
  sink.writer(0).write(record);
  sink.writer(0).step();
  EXPECT_FALSE(sink.writer(0).has_room());
  EXPECT_EQ(sink.writer(0).acknowledged(), 0u);
  EXPECT_TRUE(sink.status().holding);
  const auto r = sink.flush(10);
  ASSERT_FALSE(r.has_value());
  EXPECT_THAT(r.error().message, HasSubstr("No space left"));
}

TEST_F(FileTest, SinkThatCannotBeOpenedIsSaid) {
  ManualClock clock;
  FileSink folder({"out", dir_.string(), 1}, clock);
  EXPECT_THAT(folder.start().error().message, HasSubstr("Is a directory"));
  FileSink nowhere({"out", (dir_ / "no" / "x").string(), 1}, clock);
  EXPECT_THAT(nowhere.start().error().message, HasSubstr("No such file"));
}

}  // namespace
}  // namespace twinspan::connectors
