// A source cluster dies, hangs, and comes back with what it holds.

#include <algorithm>
#include <thread>

#include "tests/scenarios_kafka/main_job.h"

namespace twinspan::testing {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

// Watches how long after its acknowledgement a record of one cluster is read. Thread: its own.
class LaneWatch {
 public:
  LaneWatch(const TwinspanProcess& process, std::string cluster) : process_(process), cluster_(std::move(cluster)) {
    thread_ = std::jthread([this](std::stop_token stop) {
      while (!stop.stop_requested()) {
        look();
        std::this_thread::sleep_for(20ms);
      }
    });
  }

  // The longest wait of any of these records that was acknowledged after `since`; stops watching.
  std::chrono::milliseconds longest_wait(const std::vector<PacedProducer::Acknowledged>& records, int cluster,
                                         Clock::time_point since, const std::vector<Event>& events,
                                         const MainJob& job) {
    thread_ = {};
    std::chrono::milliseconds longest{0};
    for (const auto& record : records) {
      if (record.cluster != cluster || record.at < since) continue;
      const bool impression = events[record.event].stream == Event::Stream::impression;
      const auto& seen = positions_[{impression ? job.impressions : job.clicks, record.partition}];
      auto read = std::find_if(seen.begin(), seen.end(), [&](const auto& s) { return s.second > record.offset; });
      if (read == seen.end() && !seen.empty()) --read;  // not read yet when it was last looked at
      if (read == seen.end()) continue;
      longest = std::max(longest, std::chrono::duration_cast<std::chrono::milliseconds>(read->first - record.at));
    }
    return longest;
  }

 private:
  void look() {
    const auto at = Clock::now();
    boost::json::value status;
    try {
      status = process_.pipeline();
    } catch (const std::exception&) {
      return;  // the test itself will see that it is gone
    }
    for (const auto& source : status.at("sources").as_array()) {
      for (const auto& lane : source.at("lanes").as_array()) {
        if (lane.at("cluster").as_string() != cluster_) continue;
        positions_[{std::string(lane.at("topic").as_string()), lane.at("partition").to_number<int>()}].emplace_back(
            at, lane.at("position").to_number<std::int64_t>());
      }
    }
  }

  const TwinspanProcess& process_;
  const std::string cluster_;
  std::map<std::pair<std::string, int>, std::vector<std::pair<Clock::time_point, std::int64_t>>> positions_;
  std::jthread thread_;
};

void wait_cluster(TwinspanProcess& process, const std::string& cluster, const std::string& state) {
  process.wait_until("source cluster " + cluster + " " + state, [&](const boost::json::value& status) {
    for (const auto& source : status.at("sources").as_array()) {
      for (const auto& c : source.at("clusters").as_array()) {
        if (c.at("name").as_string() == cluster && c.at("state").as_string() != state) return false;
      }
    }
    return true;
  });
}

std::vector<Event> stream_of(std::uint64_t seed) {
  EventStreamOptions stream;
  stream.seed = seed;
  stream.impressions = 4000;
  return generate_events(stream);
}

TEST(SourceFailoverTest, AnOutageShorterThanTheHoldChangesNothing) {
  const MainJob job;
  TwinspanProcess process(job.yaml(1, "20s"), job.options());
  process.start_and_wait();
  LaneWatch other(process, "a");
  PacedProducer producer(job.producer(700), stream_of(21));
  producer.wait_acknowledged(2000);
  job.pair.b.kill9();
  const auto failed = Clock::now();
  wait_cluster(process, "b", "down");
  producer.wait_acknowledged(3500);
  job.pair.b.restart();
  const auto acknowledged = producer.finish();
  const auto waited = other.longest_wait(acknowledged, 0, failed, producer.events(), job);
  std::printf("longest wait on the other cluster: %lld ms\n", static_cast<long long>(waited.count()));
  EXPECT_LT(waited, 1000ms);
  job.close_event_time();
  job.wait_final(process);
  const std::vector<Event> events = job.input(producer.events());
  job.expect_all_in_topics(producer.events(), events);
  job.expect_reference(events, true);
  job.expect_dead_letters(events, true);
  EXPECT_EQ(process.stop(), 0) << process.log();
}

TEST(SourceFailoverTest, AnOutageLongerThanTheHoldIsMendedByUpdates) {
  const MainJob job;
  TwinspanProcess process(job.yaml(1, "1s"), job.options());
  process.start_and_wait();
  PacedProducer producer(job.producer(700), stream_of(22));
  producer.wait_acknowledged(1500);
  // Records of b that are written and not read yet come late. A paused pipeline would not do: its clients go on
  // filling their queues. A stopped process has at most the answer of the fetch under way, which the first record ends.
  process.sigstop();
  producer.wait_acknowledged(2000);
  job.pair.b.kill9();
  process.sigcont();
  wait_cluster(process, "b", "down");
  producer.wait_acknowledged(4500);
  job.pair.b.restart();
  producer.finish();
  job.close_event_time();
  job.wait_final(process);
  const std::vector<Event> events = job.input(producer.events());
  job.expect_all_in_topics(producer.events(), events);
  const MainJob::Said said = job.expect_reference(events, false);
  std::printf("uv: %zu records, %zu updates, %zu provisional; views: %zu records, %zu updates, %zu provisional\n",
              said.uv.records, said.uv.updates, said.uv.provisional, said.views.records, said.views.updates,
              said.views.provisional);
  EXPECT_GT(said.views.provisional, 0u) << "windows fire without a lost cluster, and say so";
  EXPECT_GT(said.views.updates, 0u) << "what came late is told";
  job.expect_dead_letters(events, true);
  EXPECT_EQ(process.stop(), 0) << process.log();
}

TEST(SourceFailoverTest, AClusterThatHangsForTenSecondsCostsNothing) {
  const MainJob job;
  TwinspanProcess process(job.yaml(1, "2s"), job.options());
  process.start_and_wait();
  LaneWatch other(process, "a");
  PacedProducer producer(job.producer(450), stream_of(23));
  producer.wait_acknowledged(1000);
  job.pair.b.sigstop();
  const auto failed = Clock::now();
  wait_cluster(process, "b", "down");
  std::printf("hanging cluster called down after %.2f s\n",
              std::chrono::duration<double>(Clock::now() - failed).count());
  EXPECT_LT(Clock::now() - failed, 4s);
  std::this_thread::sleep_until(failed + 10s);  // how long it hangs is the scenario
  job.pair.b.sigcont();
  const auto acknowledged = producer.finish();
  const auto waited = other.longest_wait(acknowledged, 0, failed, producer.events(), job);
  std::printf("longest wait on the other cluster: %lld ms\n", static_cast<long long>(waited.count()));
  EXPECT_LT(waited, 1000ms);
  wait_cluster(process, "b", "up");
  job.close_event_time();
  job.wait_final(process);
  const std::vector<Event> events = job.input(producer.events());
  job.expect_all_in_topics(producer.events(), events);
  job.expect_reference(events, false);
  job.expect_dead_letters(events, false);
  EXPECT_EQ(process.stop(), 0) << process.log();
}

TEST(SourceFailoverTest, BothClustersAwayAtStartIsWaitingAndNothingElse) {
  const MainJob job;
  EventStreamOptions stream;
  stream.seed = 24;
  stream.impressions = 600;
  PacedProducer producer(job.producer(5000), generate_events(stream));
  producer.finish();
  job.close_event_time();
  const std::vector<Event> events = job.input(producer.events());
  job.pair.a.kill9();
  job.pair.b.kill9();
  TwinspanProcess process(job.yaml(), job.options());
  process.start_and_wait();
  process.wait_until("waiting", [](const boost::json::value& status) {
    return status.at("state").as_string() == "waiting" && !status.at("reason").as_string().empty();
  });
  job.pair.restore();
  job.wait_final(process);
  job.expect_reference(events, true);
  EXPECT_EQ(process.stop(), 0) << process.log();
}

}  // namespace
}  // namespace twinspan::testing
