#pragma once
// A control plane with one pipeline, "ad-uv", on two clusters, of which west is down. Remembers what it was
// asked.

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <string>
#include <vector>

#include "admin/control_plane.h"

namespace twinspan::testing {

class FakeControlPlane final : public admin::ControlPlane {
 public:
  static constexpr std::int64_t kNow = 1'767'225'600'000;  // ManualClock's start

  FakeControlPlane() {
    using namespace admin;
    status.name = "ad-uv";
    status.state = PipelineState::running;
    status.since_at = kNow - 3'600'000;
    status.delivery = "at_least_once";
    status.shards = 2;
    SourceStatus impressions;
    impressions.name = "impressions";
    impressions.clusters = {{"east", "up", kNow - 60'000, 120, ""},
                            {"west", "down", kNow - 5'000, 6'200, "Connection refused"}};
    impressions.lanes = {{"east", "ad_impression", 0, 100, 1'100, 1'000, kNow - 4'000},
                         {"east", "ad_impression", 1, 70, 70, 0, kNow - 3'000, true},
                         {"west", "ad_impression", 0, 4'000, -1, -1, kMinTime, false, false, false, "cluster away"}};
    impressions.records_per_s = 91'000.04;
    impressions.bytes_per_s = 18'000'000;
    impressions.records = 123'456;
    impressions.bytes = 24'000'000;
    impressions.lag_records = 1'000;
    impressions.watermark = {kNow - 4'000, kNow - 9'000};
    impressions.limits = {200'000, std::nullopt};
    SourceStatus clicks;
    clicks.name = "clicks";
    clicks.clusters = {{"east", "up", kNow - 60'000, 80, ""}};
    status.sources = {impressions, clicks};
    status.steps = {{"uv", "window", 5'000, 60, 3, 1, 1'200, 4'000'000}};
    SinkStatus out;
    out.name = "uv_out";
    out.clusters = {{"east", "up"}, {"west", "down"}};
    out.active_cluster = "east";
    out.generation = 2;
    out.route_reason = "west is down";
    out.switches = 1;
    out.last_switch_took_ms = 2'300;
    out.records = 60;
    out.acknowledged = 58;
    out.unacknowledged_bytes = 2'048;
    status.sinks = {out};
    status.last_checkpoint = {12, kNow - 4'000, 35, 1'300'000};
    status.dead_letters = 7;
  }

  admin::ServiceInfo service() const override { return {"0.1.0", "abcdef", "/var/lib/twinspan", kNow - 7'200'000}; }
  bool live() const override { return is_live; }
  admin::Readiness ready() const override {
    return {is_ready,
            {{"state restored", is_ready, is_ready ? "" : "epoch 12, 3 of 8 files"}, {"listeners up", true, ""}}};
  }
  std::vector<admin::MetricSample> metrics() const override {
    return {{"process_resident_memory_bytes", {}, 52'428'800}, {"restarts_total", {{"pipeline", "a\"b\\c\nd"}}, 1}};
  }

  std::vector<std::string> list_pipelines() const override {
    return has_pipeline ? std::vector<std::string>{"ad-uv"} : std::vector<std::string>{};
  }
  Result<admin::PipelineStatus> pipeline(const std::string& name) const override {
    if (!has_pipeline || name != "ad-uv")
      return not_found_error("there is no pipeline \"" + name + "\"", admin::kPipelineNotFound);
    const std::lock_guard lock(mutex);
    return status;
  }

  Status pause(const std::string& name, const std::string& reason) override {
    TS_TRYV(pipeline(name));
    const std::lock_guard lock(mutex);
    status.state = admin::PipelineState::paused;
    status.reason = reason;
    return ok();
  }
  Status resume(const std::string& name) override {
    TS_TRYV(pipeline(name));
    const std::lock_guard lock(mutex);
    if (status.state == admin::PipelineState::failed)
      return conflict_error("the pipeline has failed", admin::kWrongState);
    status.state = admin::PipelineState::running;
    return ok();
  }
  Status set_throttle(const std::string& name, const std::string& source, const admin::RateLimits& limits) override {
    TS_TRYV(pipeline(name));
    const std::lock_guard lock(mutex);
    for (admin::SourceStatus& s : status.sources) {
      if (s.name == source) s.limits = limits;
    }
    return ok();
  }

  Result<admin::DiscardPlan> plan_discard(const std::string& name, const std::optional<std::string>& source,
                                          const admin::DiscardTarget& target) override {
    TS_TRYV(pipeline(name));
    if (throws) throw std::runtime_error("a secret detail");
    if (source && *source == "none") return not_found_error("there is no source \"none\"", admin::kSourceNotFound);
    wait_if_blocked();
    const std::lock_guard lock(mutex);
    asked_target = target;
    asked_source = source;
    admin::DiscardPlan plan;
    plan.id = "d1";
    plan.pipeline = name;
    plan.source = source;
    plan.target = target;
    plan.created_at = kNow;
    plan.expires_at = kNow + 300'000;
    plan.cut_at = kNow;
    if (!nothing_to_do) {
      plan.ranges = {
          {"impressions", "east", "ad_impression", 0, false, 100, 4'313'003, 4'312'903, kNow - 50'000, kNow - 9'000},
          {"impressions", "west", "ad_impression", 0, true}};
      plan.records = 4'312'903;
      plan.first_at = kNow - 50'000;
      plan.last_at = kNow - 9'000;
      plan.pending_lanes = 1;
      plan.touched_steps = {"uv"};
    }
    return plan;
  }

  Result<admin::Discard> execute_discard(const std::string& name, const std::string& plan,
                                         const std::string& reason) override {
    TS_TRYV(pipeline(name));
    const std::lock_guard lock(mutex);
    if (reason.empty()) return conflict_error("a reason is needed", admin::kReasonMissing);
    if (plan != "d1") return conflict_error("there is no plan \"" + plan + "\"", admin::kPlanUnknown);
    if (!ledger.empty()) return conflict_error("plan \"d1\" was executed before", admin::kPlanExecuted);
    admin::Discard done;
    done.id = "e1";
    done.pipeline = name;
    done.plan = plan;
    done.reason = reason;
    done.executed_at = kNow + 1'000;
    done.took_ms = 140;
    done.ranges = {{"impressions", "east", "ad_impression", 0, false, 250, 4'313'003, 4'312'753},
                   {"impressions", "west", "ad_impression", 0, true}};
    done.records = 4'312'753;
    done.pending_lanes = 1;
    ledger.push_back(done);
    return done;
  }
  Result<std::vector<admin::Discard>> discards(const std::string& name) const override {
    TS_TRYV(pipeline(name));
    const std::lock_guard lock(mutex);
    return ledger;
  }

  // Makes plan_discard wait, until let_go().
  void block() { blocked = true; }
  void let_go() {
    const std::lock_guard lock(gate);
    blocked = false;
    opened.notify_all();
  }

  mutable std::mutex mutex;
  admin::PipelineStatus status;
  std::vector<admin::Discard> ledger;
  admin::DiscardTarget asked_target;
  std::optional<std::string> asked_source;
  std::atomic<bool> is_live{true}, is_ready{true}, has_pipeline{true}, throws{false}, nothing_to_do{false},
      blocked{false};
  std::atomic<int> waiting{0};

 private:
  void wait_if_blocked() {
    std::unique_lock lock(gate);
    ++waiting;
    opened.wait(lock, [&] { return !blocked; });
    --waiting;
  }
  std::mutex gate;
  std::condition_variable opened;
};

}  // namespace twinspan::testing
