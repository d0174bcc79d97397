#include "tests/support/event_stream.h"

#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <random>
#include <stdexcept>
#include <thread>

namespace twinspan::testing {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

std::string price_text(std::int64_t e4) {
  const std::int64_t whole = std::abs(e4);
  std::string fraction = std::to_string(whole % 10'000);
  fraction.insert(0, 4 - fraction.size(), '0');
  return (e4 < 0 ? "-" : "") + std::to_string(whole / 10'000) + "." + fraction;
}

std::string device_text(const std::optional<std::string>& device) { return device ? "\"" + *device + "\"" : "null"; }

void write_json(Event& event) {
  event.json = "{\"device_id\":" + device_text(event.device_id) + ",\"ad_id\":" + std::to_string(event.ad_id);
  if (event.stream == Event::Stream::impression) {
    event.json += ",\"region\":\"" + event.region + "\",\"price\":" + price_text(event.price_e4);
  }
  event.json += ",\"ts\":" + std::to_string(event.ts) + "}";
}

class Generator {
 public:
  explicit Generator(const EventStreamOptions& options) : options_(options), random_(options.seed) {}

  std::vector<Event> run() {
    for (int i = 0; i < options_.impressions; ++i) impression(i);
    std::stable_sort(arrivals_.begin(), arrivals_.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    std::vector<Event> events;
    for (auto& [at, event] : arrivals_) events.push_back(std::move(event));
    return events;
  }

 private:
  bool chance(double share) { return std::uniform_real_distribution<>(0, 1)(random_) < share; }
  std::int64_t pick(std::int64_t from, std::int64_t to) {
    return std::uniform_int_distribution<std::int64_t>(from, to)(random_);
  }

  void add(Event event, const std::string& id) {
    event.id = id;
    event.cluster = static_cast<int>(pick(0, 1));
    event.partition = static_cast<int>(pick(0, options_.partitions - 1));
    if (chance(options_.null_device)) event.device_id.reset();
    write_json(event);
    if (chance(options_.malformed)) {
      event.decodes = false;
      event.json.resize(event.json.size() - static_cast<std::size_t>(pick(1, 20)));
    }
    const std::int64_t delay = options_.out_of_order_ms > 0 ? pick(0, options_.out_of_order_ms - 1) : 0;
    arrivals_.emplace_back(event.ts + delay, std::move(event));
  }

  void impression(int i) {
    static const char* kNames[] = {"GD", "BJ", "SH", "SC", "ZJ", "HK", "YN", "HN"};
    Event event;
    event.device_id = "d" + std::to_string(pick(1, options_.devices));
    event.ad_id = pick(1, options_.ads);
    event.region = kNames[pick(0, std::min(options_.regions, 8) - 1)];
    if (chance(options_.untidy_region)) {
      if (chance(0.5))
        std::transform(event.region.begin(), event.region.end(), event.region.begin(), [](char c) { return c + 32; });
      if (chance(0.7)) event.region = "  " + event.region + " ";
    }
    event.price_e4 = pick(0, 99'999);
    if (chance(options_.negative_price)) event.price_e4 = -event.price_e4 - 1;
    event.ts = options_.start_ms + pick(0, options_.span_ms - 1);
    if (chance(options_.clicked)) click(event, "c" + std::to_string(i));
    if (chance(options_.lone_click)) {
      Event other = event;
      other.ad_id += 1'000'000;
      click(other, "l" + std::to_string(i));
    }
    add(std::move(event), "i" + std::to_string(i));
  }

  void click(const Event& impression, const std::string& id) {
    Event event;
    event.stream = Event::Stream::click;
    event.device_id = impression.device_id;
    event.ad_id = impression.ad_id;
    // Both ends of the interval of ten minutes are met exactly now and then.
    event.ts = impression.ts + (chance(0.02) ? 0 : chance(0.02) ? 600'000 : chance(0.02) ? 600'001 : pick(0, 720'000));
    add(event, id);
    if (chance(options_.duplicate_click)) add(event, id + "-again");
  }

  const EventStreamOptions options_;
  std::mt19937_64 random_;
  std::vector<std::pair<std::int64_t, Event>> arrivals_;
};

}  // namespace

std::vector<Event> generate_events(const EventStreamOptions& options) { return Generator(options).run(); }

std::vector<Event> closing_events(int partitions, std::int64_t ts) {
  std::vector<Event> events;
  for (const Event::Stream stream : {Event::Stream::impression, Event::Stream::click}) {
    for (int cluster = 0; cluster < 2; ++cluster) {
      for (int partition = 0; partition < partitions; ++partition) {
        Event event;
        event.stream = stream;
        event.cluster = cluster;
        event.partition = partition;
        event.region = "NONE";
        event.ts = ts;
        event.id = "closing-" + std::to_string(events.size()) + "-" + std::to_string(ts);
        write_json(event);  // no device: not a valid impression, and a click that matches nothing
        events.push_back(event);
      }
    }
  }
  return events;
}

// --- PacedProducer ---

class PacedProducer::Impl {
 public:
  Impl(Settings settings, std::vector<Event> events) : settings_(std::move(settings)), events_(std::move(events)) {
    for (int c = 0; c < 2; ++c) clusters_[c].open(settings_.bootstrap[c]);
    thread_ = std::jthread([this](std::stop_token stop) {
      try {
        run(stop);
      } catch (...) {
        std::lock_guard lock(mutex_);
        failure_ = std::current_exception();
        changed_.notify_all();
      }
    });
  }

  ~Impl() {
    thread_ = {};
    for (Cluster& c : clusters_) c.close();
  }

  void wait(std::size_t count, std::chrono::milliseconds limit) {
    std::unique_lock lock(mutex_);
    const bool done = changed_.wait_for(lock, limit, [&] { return failure_ || acknowledged_.size() >= count; });
    if (failure_) std::rethrow_exception(failure_);
    if (!done) {
      throw std::runtime_error("paced producer: " + std::to_string(acknowledged_.size()) + " of " +
                               std::to_string(count) + " records acknowledged in time");
    }
  }

  std::vector<Acknowledged> acknowledged() {
    std::lock_guard lock(mutex_);
    return acknowledged_;
  }

  const std::vector<Event>& events() const { return events_; }

 private:
  // What is written to a cluster keeps its order: one request at a time, no retries by the client.
  struct Cluster {
    rd_kafka_t* handle = nullptr;
    rd_kafka_queue_t* queue = nullptr;
    bool trusted = true;
    Clock::time_point probe_at;
    std::size_t outstanding = 0;

    void open(const std::string& bootstrap) {
      char error[256];
      rd_kafka_conf_t* conf = rd_kafka_conf_new();
      const std::pair<const char*, std::string> settings[] = {{"bootstrap.servers", bootstrap},
                                                              {"log_level", "0"},
                                                              {"linger.ms", "2"},
                                                              {"acks", "all"},
                                                              {"max.in.flight", "1"},
                                                              {"message.send.max.retries", "0"},
                                                              {"message.timeout.ms", "1500"},
                                                              {"reconnect.backoff.ms", "20"},
                                                              {"reconnect.backoff.max.ms", "100"}};
      for (const auto& [key, value] : settings) {
        if (rd_kafka_conf_set(conf, key, value.c_str(), error, sizeof error) != RD_KAFKA_CONF_OK)
          throw std::runtime_error(error);
      }
      rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR);
      handle = rd_kafka_new(RD_KAFKA_PRODUCER, conf, error, sizeof error);
      if (handle == nullptr) throw std::runtime_error(error);
      queue = rd_kafka_queue_get_main(handle);
    }

    void close() {
      if (handle == nullptr) return;
      rd_kafka_purge(handle, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
      rd_kafka_queue_destroy(queue);
      rd_kafka_destroy(handle);
    }
  };

  void run(std::stop_token stop) {
    const Clock::time_point start = Clock::now();
    std::size_t next = 0;
    while (!stop.stop_requested()) {
      for (int c = 0; c < 2; ++c) serve(c);
      while (!again_.empty()) {
        const auto [event, cluster] = again_.front();
        if (!can_take(1 - cluster)) break;
        again_.pop_front();
        send(event, 1 - cluster);
      }
      const double passed = std::chrono::duration<double>(Clock::now() - start).count();
      const auto due = std::min(events_.size(), static_cast<std::size_t>(passed * settings_.events_per_second));
      // What came back goes first: what follows it would overtake it by more than events may be out of order.
      while (again_.empty() && next < due) {
        const int meant = events_[next].cluster;
        const int to = can_take(meant) ? meant : 1 - meant;
        if (!can_take(to)) break;
        send(next++, to);
      }
      std::unique_lock lock(mutex_);
      if (acknowledged_.size() == events_.size()) return;
      changed_.wait_for(lock, 2ms);
    }
  }

  // A cluster that failed takes one record from time to time until it acknowledges one.
  bool can_take(int c) const {
    const Cluster& cluster = clusters_[c];
    return cluster.trusted || (cluster.outstanding == 0 && Clock::now() >= cluster.probe_at);
  }

  void send(std::size_t index, int c) {
    const Event& event = events_[index];
    const std::string& topic = event.stream == Event::Stream::impression ? settings_.impressions : settings_.clicks;
    const auto opaque = reinterpret_cast<void*>(index + 1);
    const rd_kafka_resp_err_t error =
        rd_kafka_producev(clusters_[c].handle, RD_KAFKA_V_TOPIC(topic.c_str()), RD_KAFKA_V_PARTITION(event.partition),
                          RD_KAFKA_V_KEY(event.id.data(), event.id.size()),
                          RD_KAFKA_V_VALUE(const_cast<char*>(event.json.data()), event.json.size()),
                          RD_KAFKA_V_OPAQUE(opaque), RD_KAFKA_V_END);
    if (error) throw std::runtime_error(std::string("paced producer: ") + rd_kafka_err2str(error));
    ++clusters_[c].outstanding;
  }

  void distrust(int c) {
    Cluster& cluster = clusters_[c];
    if (cluster.trusted) rd_kafka_purge(cluster.handle, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    cluster.trusted = false;
    cluster.probe_at = Clock::now() + 200ms;
  }

  void serve(int c) {
    Cluster& cluster = clusters_[c];
    while (rd_kafka_event_t* event = rd_kafka_queue_poll(cluster.queue, 0)) {
      if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_ERROR) {
        const rd_kafka_resp_err_t error = rd_kafka_event_error(event);
        if (error == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || error == RD_KAFKA_RESP_ERR__TRANSPORT) distrust(c);
      } else if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_DR) {
        while (const rd_kafka_message_t* message = rd_kafka_event_message_next(event)) delivered(c, message);
      }
      rd_kafka_event_destroy(event);
    }
  }

  void delivered(int c, const rd_kafka_message_t* message) {
    Cluster& cluster = clusters_[c];
    --cluster.outstanding;
    const std::size_t index = reinterpret_cast<std::size_t>(message->_private) - 1;
    if (message->err) {
      distrust(c);
      again_.emplace_back(index, c);
      return;
    }
    cluster.trusted = true;
    std::lock_guard lock(mutex_);
    acknowledged_.push_back({index, c, message->partition, message->offset, Clock::now()});
    changed_.notify_all();
  }

  const Settings settings_;
  const std::vector<Event> events_;
  Cluster clusters_[2];
  std::deque<std::pair<std::size_t, int>> again_;  // event, cluster that did not take it
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Acknowledged> acknowledged_;
  std::exception_ptr failure_;
  std::jthread thread_;  // last: ends first
};

PacedProducer::PacedProducer(Settings settings, std::vector<Event> events)
    : impl_(std::make_unique<Impl>(std::move(settings), std::move(events))) {}
PacedProducer::~PacedProducer() = default;

void PacedProducer::wait_acknowledged(std::size_t count, std::chrono::milliseconds limit) { impl_->wait(count, limit); }

std::vector<PacedProducer::Acknowledged> PacedProducer::finish(std::chrono::milliseconds limit) {
  impl_->wait(impl_->events().size(), limit);
  return impl_->acknowledged();
}

const std::vector<Event>& PacedProducer::events() const { return impl_->events(); }

}  // namespace twinspan::testing
