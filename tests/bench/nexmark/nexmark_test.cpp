// Every query's answer, on 20 000 events of 100 seconds, equals that of an obvious program.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "tests/bench/nexmark/nexmark_answers.h"
#include "tests/bench/nexmark/nexmark_run.h"
#include "tests/support/kafka_cluster.h"

namespace twinspan::nexmark {
namespace {

TEST(NexmarkEvents, ComeInTheProportionsOfTheDescription) {
  const Events e = generate(5000, 200);
  EXPECT_EQ(e.persons.size(), 100u);
  EXPECT_EQ(e.auctions.size(), 300u);
  EXPECT_EQ(e.bids.size(), 4600u);
}

TEST(NexmarkEvents, NameOnlyWhatExists) {
  const Events e = generate(5000, 200);
  std::set<std::int64_t> people, auctions;
  for (const Person& p : e.persons) people.insert(p.id);
  for (const Auction& a : e.auctions) auctions.insert(a.id);
  EXPECT_EQ(people.size(), e.persons.size());
  EXPECT_EQ(auctions.size(), e.auctions.size());
  for (const Auction& a : e.auctions) EXPECT_TRUE(people.count(a.seller)) << a.id;
  for (const Bid& b : e.bids) {
    EXPECT_TRUE(auctions.count(b.auction));
    EXPECT_TRUE(people.count(b.bidder));
  }
}

class NexmarkQuery : public ::testing::TestWithParam<Query> {};

TEST_P(NexmarkQuery, AnswersWhatAnObviousProgramAnswers) {
  const Query& q = GetParam();
  const Events events = generate(20'000, 200);
  testing::TempDir directory("twinspan-nexmark-");
  write_files(events, directory.path());
  const bench::Rows expected = q.answer(events);
  ASSERT_FALSE(expected.empty());
  const QueryRun run = run_query(q.name, directory.path());
  EXPECT_EQ(run.exit_code, 0) << run.log;
  EXPECT_EQ(bench::difference(run.answer, expected), "") << run.log;
}

INSTANTIATE_TEST_SUITE_P(All, NexmarkQuery, ::testing::ValuesIn(queries()),
                         [](const auto& info) { return info.param.name; });

TEST(Nexmark, EveryPipelineHasAnAnswer) {
  std::set<std::string> files, known;
  for (const auto& f : std::filesystem::directory_iterator(TWINSPAN_SOURCE_DIR "/tests/bench/nexmark"))
    if (f.path().extension() == ".yaml") files.insert(f.path().stem());
  for (const Query& q : queries()) known.insert(q.name);
  EXPECT_EQ(files, known);
}

}  // namespace
}  // namespace twinspan::nexmark
