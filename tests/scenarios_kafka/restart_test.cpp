// The program itself is killed, or stopped and started again.

#include "tests/scenarios_kafka/main_job.h"

namespace twinspan::testing {
namespace {

TEST(RestartTest, KilledTwiceItLosesNothing) {
  const MainJob job;
  EventStreamOptions stream;
  stream.seed = 31;
  TwinspanProcess process(job.yaml(), job.options());
  process.start_and_wait();
  PacedProducer producer(job.producer(600), generate_events(stream));
  for (const std::size_t after : {1000u, 2200u}) {
    producer.wait_acknowledged(after);
    // After a checkpoint, so that there is something to go on from, and before the next.
    process.wait_checkpoint();
    process.kill9();
    process.start_and_wait();
  }
  producer.finish();
  job.close_event_time();
  job.wait_final(process);
  const std::vector<Event> events = job.input(producer.events());
  job.expect_all_in_topics(producer.events(), events);
  job.expect_reference(events, false);
  job.expect_dead_letters(events, false);
  EXPECT_EQ(process.stop(), 0) << process.log();
}

TEST(RestartTest, StoppedAndStartedItGoesOnExactlyWhereItWas) {
  const MainJob job;
  EventStreamOptions stream;
  stream.seed = 32;
  TwinspanProcess process(job.yaml(2), job.options());
  process.start_and_wait();
  PacedProducer producer(job.producer(800), generate_events(stream));
  for (const std::size_t after : {800u, 1600u}) {
    producer.wait_acknowledged(after);
    ASSERT_EQ(process.stop(), 0) << process.log();
    process.start_and_wait();
  }
  producer.finish();
  job.close_event_time();
  job.wait_final(process);
  const std::vector<Event> events = job.input(producer.events());
  job.expect_reference(events, true);
  job.expect_dead_letters(events, true);
  EXPECT_EQ(process.stop(), 0) << process.log();
}

TEST(RestartTest, ADeadClustersPositionsSurviveARestart) {
  const MainJob job;
  EventStreamOptions stream;
  stream.seed = 33;
  TwinspanProcess process(job.yaml(), job.options());
  process.start_and_wait();
  PacedProducer producer(job.producer(800), generate_events(stream));
  producer.wait_acknowledged(1000);
  job.pair.b.kill9();
  ASSERT_EQ(process.stop(), 0) << process.log();
  process.start_and_wait();
  producer.wait_acknowledged(2000);
  process.wait_checkpoint();
  process.kill9();
  process.start_and_wait();
  job.pair.b.restart();
  producer.finish();
  job.close_event_time();
  job.wait_final(process);
  const std::vector<Event> events = job.input(producer.events());
  job.expect_all_in_topics(producer.events(), events);
  job.expect_reference(events, false);
  EXPECT_EQ(process.stop(), 0) << process.log();
}

}  // namespace
}  // namespace twinspan::testing
