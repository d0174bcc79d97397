// Nothing fails: what comes out is the reference's answer, record by record.

#include "tests/scenarios_kafka/main_job.h"

namespace twinspan::testing {
namespace {

TEST(SteadyTest, EveryRunOfTheJobSaysExactlyWhatTheReferenceSays) {
  const MainJob job;
  EventStreamOptions stream;
  stream.seed = 11;
  std::vector<Event> events;
  {
    SCOPED_TRACE("live, while records come");
    TwinspanProcess process(job.yaml(), job.options());
    process.start_and_wait();
    PacedProducer producer(job.producer(1500), generate_events(stream));
    producer.finish();
    job.close_event_time();
    job.wait_final(process);
    events = job.input(producer.events());
    job.expect_all_in_topics(producer.events(), events);
    job.expect_reference(events, true);
    job.expect_dead_letters(events, true);
    EXPECT_EQ(process.stop(), 0) << process.log();
  }
  {
    SCOPED_TRACE("two shards, from the start of the topics");
    const MainJob again = job.with_fresh_output();
    TwinspanProcess process(again.yaml(2), again.options());
    process.start_and_wait();
    again.wait_final(process);
    again.expect_reference(events, true);
    again.expect_dead_letters(events, true);
    EXPECT_EQ(process.stop(), 0) << process.log();
  }
  for (const int shards : {1, 2}) {
    SCOPED_TRACE("bounded, shards: " + std::to_string(shards));
    const MainJob again = job.with_fresh_output();
    TwinspanProcess process(again.yaml(shards), again.options({"--bounded"}));
    process.start();
    EXPECT_EQ(process.wait_end(), 0) << process.log();
    again.expect_reference(events, true);
    again.expect_dead_letters(events, true);
  }
}

}  // namespace
}  // namespace twinspan::testing
