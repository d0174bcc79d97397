#include "gateway/demo/demo.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "admin/listen_address.h"
#include "admin/time_text.h"
#include "config/parse.h"
#include "connectors/kafka/rdkafka_handle.h"
#include "gateway/command_run.h"
#include "gateway/demo/demo_pipeline.h"
#include "gateway/load.h"

namespace twinspan::gateway {

namespace {

constexpr std::int64_t kDayMs = 86'400'000, kMinuteMs = 60'000;
constexpr std::int64_t kZoneMs = 8 * 3'600'000;  // Asia/Shanghai, as in the pipeline
// The join waits 10 minutes of event time for clicks: so much is there already, and results come at once.
constexpr std::int64_t kHistoryMs = 13 * kMinuteMs;
constexpr admin::RateLimits kHeldImpressions{300, {}}, kHeldClicks{60, {}};
constexpr int kReapMs = 5'000;

// Yesterday 08:00 in the pipeline's zone: the day so far begins with the demo and event time stays behind the
// clock, so nothing is "from the future", however fast it runs.
EventTime first_event_time(std::int64_t wall_ms) {
  const std::int64_t today = (wall_ms + kZoneMs) / kDayMs * kDayMs - kZoneMs;
  return today - kDayMs + 8 * 60 * kMinuteMs;
}

bool port_is_free(const std::string& listen) {
  const auto address = admin::parse_listen_address(listen);
  if (!address) return false;
  const int s = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (s < 0) return false;
  const int on = 1;
  ::setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(address.value().port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool free = ::bind(s, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0 && ::listen(s, 1) == 0;
  ::close(s);
  return free;
}

}  // namespace

Result<std::unique_ptr<TemporaryDirectory>> TemporaryDirectory::make() {
  std::error_code error;
  std::filesystem::path below = std::filesystem::temp_directory_path(error);
  if (error) below = "/tmp";
  std::string path = (below / "twinspan-demo-XXXXXX").string();
  if (::mkdtemp(path.data()) == nullptr)
    return permanent_error(fmt::format("no temporary directory '{}': {}; set TMPDIR", path, std::strerror(errno)));
  return std::unique_ptr<TemporaryDirectory>(new TemporaryDirectory(std::move(path)));
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

Demo::Demo(const Clock& clock) : clock_(clock), started_ms_(clock.monotonic_ms()) {}

Demo::~Demo() {
  (void)stop();
  // What still ends (clients of the pipeline) must be gone before its brokers.
  results_.reset();
  generator_.reset();
  service_.reset();
  connectors_.reset();
  connectors::wait_for_reaped(kReapMs);
}

Result<std::unique_ptr<Demo>> Demo::start(const Clock& clock) {
  std::unique_ptr<Demo> demo(new Demo(clock));
  TS_TRYV(demo->begin());
  return demo;
}

Status Demo::begin() {
  TS_TRY(directory, TemporaryDirectory::make());
  directory_ = std::move(directory);
  log_file_ = directory_->path() + "/twinspan.log";
  const char* names[] = {"east", "west"};
  for (unsigned i = 0; i < 2; ++i) {
    TS_TRY(cluster, MockCluster::start(names[i]));
    for (const char* topic : kDemoTopics) TS_TRYV(cluster->create_topic(topic, kDemoPartitions));
    clusters_[i] = std::move(cluster);
  }

  config::Diagnostics diagnostics;
  const bool usual_port = port_is_free(admin::kDefaultListen);
  auto spec = config::parse_service(
      demo_service_yaml({clusters_[kEast]->bootstrap(), clusters_[kWest]->bootstrap(), directory_->path() + "/data",
                         usual_port ? admin::kDefaultListen : "127.0.0.1:0", log_file_}),
      "demo-service.yaml", {}, diagnostics);
  if (spec) service_spec_ = std::move(*spec);
  auto loaded = load_pipeline(demo_pipeline_yaml(), "demo-pipeline.yaml", &service_spec_, {}, diagnostics);
  if (!spec || !loaded) return config_error(diagnostics.render());
  pipeline_ = loaded->plan->name;

  GeneratorSettings traffic;
  traffic.bootstraps = {clusters_[kEast]->bootstrap(), clusters_[kWest]->bootstrap()};
  traffic.start = first_event_time(clock_.wall_ms()) + kHistoryMs;
  traffic.history_ms = kHistoryMs;
  traffic.speed = kSpeed;
  traffic.traffic.seed = static_cast<std::uint64_t>(clock_.wall_ms());
  TS_TRY(generator, Generator::start(traffic, clock_));
  generator_ = std::move(generator);

  try {
    const auto log = make_logger(service_spec_.log);
    spdlog::set_default_logger(log);  // what connectors and the Kafka client say; the screen is not theirs
    connectors_ = std::make_unique<ConnectorRegistry>(service_spec_, clock_, ConnectorOptions{.mock = true});
    service_ = std::make_unique<Service>(service_spec_, ServiceOptions{}, *connectors_, clock_, files_, log);
  } catch (const spdlog::spdlog_ex& e) {
    return permanent_error(e.what());
  }
  service_->add(std::move(*loaded));
  TS_TRYV(service_->start());

  TS_TRY(results,
         ResultsReader::start({{"east", clusters_[kEast]->bootstrap()}, {"west", clusters_[kWest]->bootstrap()}},
                              kDemoResultTopic, kDemoPartitions));
  results_ = std::move(results);
  observer_ = std::make_unique<Observer>(std::array<std::string, 2>{"east", "west"}, "uv_out", events_);
  worker_ = std::jthread([this](std::stop_token stop) { work(stop); });
  return ok();
}

Status Demo::stop() {
  if (std::exchange(stopped_, true) || service_ == nullptr) return ok();
  if (generator_) generator_->stop();
  for (auto& c : clusters_)
    if (c && c->broken()) c->mend();
  worker_ = {};
  Status result = service_->stop();
  if (results_) results_->stop();
  return result;
}

// --- deeds ---

void Demo::later(std::function<void()> deed) {
  std::lock_guard lock(deeds_mutex_);
  deeds_.push_back(std::move(deed));
  deeds_changed_.notify_one();
}

void Demo::work(std::stop_token stop) {
  while (true) {
    std::function<void()> deed;
    {
      std::unique_lock lock(deeds_mutex_);
      if (!deeds_changed_.wait(lock, stop, [&] { return !deeds_.empty(); })) return;
      deed = std::move(deeds_.front());
      deeds_.pop_front();
    }
    deed();
  }
}

void Demo::set_broken(unsigned index, bool broken) {
  MockCluster& cluster = *clusters_[index];
  if (cluster.broken() == broken) return;
  if (broken) {
    say(DemoEvent::Kind::deed, fmt::format("cluster {} breaks: it refuses connections; {}", cluster.name(),
                                           clusters_[1 - index]->broken() ? "its producers wait until one is back"
                                                                          : "its producers go to the other one"));
    observer_->cluster_broken(index, elapsed_ms());
    cluster.break_down();
    generator_->set_broken(index, true);
  } else {
    say(DemoEvent::Kind::deed, fmt::format("cluster {} is mended", cluster.name()));
    observer_->cluster_mended(index);
    cluster.mend();
    generator_->set_broken(index, false);
  }
}

void Demo::set_held(bool held) {
  held_ = held;
  later([this, held] { limit_now(held); });
}

void Demo::limit_now(bool held) {
  const std::pair<const char*, admin::RateLimits> limits[] = {
      {"impressions", held ? kHeldImpressions : admin::RateLimits{}},
      {"clicks", held ? kHeldClicks : admin::RateLimits{}}};
  for (const auto& [source, limit] : limits) {
    if (auto done = service_->set_throttle(pipeline_, source, limit); !done) {
      ++failed_deeds_;
      return say(DemoEvent::Kind::bad,
                 fmt::format("the limit of {} could not be set: {}", source, done.error().message));
    }
  }
  say(DemoEvent::Kind::deed, held ? fmt::format("sources are held back to {} and {} records/s: lag grows",
                                                *kHeldImpressions.records_per_s, *kHeldClicks.records_per_s)
                                  : std::string("sources run freely again"));
}

void Demo::set_paused(bool paused) {
  later([this, paused] {
    const Status done = paused ? service_->pause(pipeline_, "by the demo's key p") : service_->resume(pipeline_);
    if (!done) ++failed_deeds_;
    say(done ? DemoEvent::Kind::deed : DemoEvent::Kind::bad,
        done ? (paused ? "pipeline is paused; p resumes it exactly there" : "pipeline is resumed")
             : done.error().message);
  });
}

bool Demo::paused() const {
  const auto status = service_->pipeline(pipeline_);
  return status && status.value().state == admin::PipelineState::paused;
}

void Demo::discard() {
  later([this] { discard_now(); });
}

void Demo::discard_now() {
  const auto fail = [this](const Error& error) {
    ++failed_deeds_;
    say(DemoEvent::Kind::bad, "lag discard: " + error.message);
  };
  auto plan = service_->plan_discard(pipeline_, std::nullopt, {});
  if (!plan) return fail(plan.error());
  const admin::DiscardPlan& p = plan.value();
  const auto lanes =
      std::count_if(p.ranges.begin(), p.ranges.end(), [](const auto& r) { return r.pending || r.records > 0; });
  std::string steps;
  for (const auto& s : p.touched_steps) steps += (steps.empty() ? "" : ", ") + s;
  say(DemoEvent::Kind::deed,
      fmt::format(
          "lag discard, plan {}: {} records on {} lanes{}; steps that lose rows: {}", p.id,
          admin::format_count(p.records), lanes,
          p.pending_lanes > 0 ? fmt::format(" ({} of a cluster that is away: cut at its return)", p.pending_lanes) : "",
          steps));
  auto done = service_->execute_discard(pipeline_, p.id, "shown by the demo");
  if (!done) return fail(done.error());
  ++discards_;
  discarded_records_ += static_cast<std::uint64_t>(done.value().records);
  say(DemoEvent::Kind::good,
      fmt::format("lag discard {} is done: {} records skipped in {}; every range is in the ledger", done.value().id,
                  admin::format_count(done.value().records), admin::format_duration(done.value().took_ms)));
}

// --- view ---

DemoView Demo::observe() {
  DemoView view;
  view.elapsed_ms = elapsed_ms();
  view.speed = kSpeed;
  view.address = service_->address();
  view.version = kVersion;
  if (auto status = service_->pipeline(pipeline_)) view.status = std::move(status.value());
  for (unsigned i = 0; i < 2; ++i) {
    view.clusters[i].name = clusters_[i]->name();
    view.clusters[i].bootstrap = clusters_[i]->bootstrap();
    view.clusters[i].broken = clusters_[i]->broken();
  }
  view.generated_to = generator_->figures().event_time;
  view.held = held_;
  view.results = results_->snapshot();
  observer_->observe(view, view.elapsed_ms, clock_.wall_ms());
  view.tally.discards = discards_;
  view.tally.discarded_records = discarded_records_;
  view.tally.failed_deeds = failed_deeds_;
  view.events = events_.newest(40);
  return view;
}

std::string Demo::log_tail() const {
  engine::PosixFileSystem files;
  auto text = files.read(log_file_);
  if (!text) return "";
  constexpr std::size_t kTail = 4'000;
  const std::string& all = text.value();
  if (all.size() <= kTail) return all;
  return all.substr(all.find('\n', all.size() - kTail) + 1);
}

}  // namespace twinspan::gateway
