// What a pipeline finds on disk and goes on from: journals, incarnation, the restored checkpoint, and the operations
// that came after it.
#include "gateway/pipeline.h"

#include <algorithm>

#include <fmt/format.h>
#include <boost/json.hpp>

namespace twinspan::gateway {

namespace json = boost::json;

Status Pipeline::open_state() {
  TS_TRYV(engine::make_durable_directories(env_.files, env_.directory));
  TS_TRYV(store_.open());
  TS_TRYV(ledger_.open());
  TS_TRYV(operations_.open());
  for (DiscardOperation& o : operations_.operations()) {
    for (const Ledger::Entry& e : ledger_.entries()) {
      if (!e.range.why.starts_with(fmt::format("discard {}:", o.id))) continue;
      o.ranges.push_back(e.range);
      o.durable_in = e.epoch.value;
    }
  }
  std::uint64_t last = 0;
  const std::string file = env_.directory + "/incarnation";
  if (env_.files.exists(file)) {
    TS_TRY(text, env_.files.read(file));
    last = std::strtoull(text.c_str(), nullptr, 10);
  }
  return claim_incarnation(last);
}

Status Pipeline::claim_incarnation(std::uint64_t above) {
  if (incarnation_ > above) return ok();
  incarnation_ = above + 1;
  return engine::replace_file(env_.files, env_.directory, "incarnation", std::to_string(incarnation_) + "\n");
}

Status Pipeline::apply_restored(const engine::RestoredState& state) {
  for (const std::string& w : state.warnings) env_.log->warn("{}", w);
  try {
    const json::value meta = json::parse(state.meta);
    std::vector<std::vector<std::string>> by_source(plan_->sources.size());
    std::vector<std::string> names;
    for (const auto& n : meta.at("sources").as_array()) names.emplace_back(n.as_string());
    for (const auto& shard : meta.at("feeds").as_array()) {
      for (std::size_t i = 0; i < names.size() && i < shard.as_array().size(); ++i)
        for (std::size_t s = 0; s < plan_->sources.size(); ++s)
          if (plan_->sources[s].id == names[i]) by_source[s].emplace_back(shard.as_array()[i].as_string());
    }
    for (const auto& states : by_source) {
      TS_TRY(feed, parse_feed_states(states));
      restored_feeds_.push_back(std::move(feed));
    }
    const auto& node_names = meta.at("nodes").as_array();
    for (const auto& shard : meta.at("watermarks").as_array()) {
      auto& nodes = restored_watermarks_.emplace_back(plan_->graph.nodes.size());
      for (std::size_t n = 0; n < node_names.size(); ++n) {
        for (std::size_t p = 0; p < plan_->graph.nodes.size(); ++p) {
          if (plan_->graph.nodes[p].id != node_names[n].as_string()) continue;
          for (const auto& w : shard.as_array().at(n).as_array())
            nodes[p].push_back({w.at(0).to_number<std::int64_t>(), w.at(1).to_number<std::int64_t>()});
        }
      }
    }
    for (const auto& r : meta.at("routes").as_array()) {
      const auto& names_of_sinks = plan_->graph.terminals;
      const auto it = std::find(names_of_sinks.begin(), names_of_sinks.end(), std::string(r.at("sink").as_string()));
      const std::size_t at = static_cast<std::size_t>(it - names_of_sinks.begin());
      if (routes_.size() <= names_of_sinks.size()) routes_.resize(names_of_sinks.size() + 1);
      if (it != names_of_sinks.end() || r.at("sink").as_string() == "dead_letter")
        routes_[at] = {r.at("generation").to_number<std::uint64_t>(), std::string(r.at("cluster").as_string())};
    }
    last_operation_ = meta.at("last_operation").to_number<std::uint64_t>();
    // Never one again, also if the file of its own was lost (protocol.md 9, 10).
    TS_TRYV(claim_incarnation(meta.at("incarnation").to_number<std::uint64_t>()));
    // The crash may have come between PREPARED and the ledger.
    std::vector<SkippedRange> ranges;
    for (const auto& r : meta.at("ledger").as_array())
      ranges.push_back({std::string(r.at("source").as_string()),
                        {std::string(r.at("cluster").as_string()), std::string(r.at("topic").as_string()),
                         r.at("partition").to_number<std::int32_t>()},
                        r.at("from").to_number<std::int64_t>(),
                        r.at("to").to_number<std::int64_t>(),
                        std::string(r.at("why").as_string())});
    TS_TRYV(ledger_.append(state.epoch, ranges, meta.at("at").to_number<std::int64_t>()));
    for (const auto& c : meta.at("pending_cuts").as_array()) {
      PlannedCut p;
      p.source = std::string(c.at("source").as_string());
      p.cut.lane = {std::string(c.at("cluster").as_string()), std::string(c.at("topic").as_string()),
                    c.at("partition").to_number<std::int32_t>()};
      p.cut.cut_time_ms = c.at("cut_time").to_number<std::int64_t>();
      p.cut.cut_offset = c.at("cut_offset").to_number<std::int64_t>();
      p.cut.by_time = c.at("by_time").as_bool();
      if (const json::value* o = c.as_object().if_contains("operation")) p.operation = o->to_number<std::uint64_t>();
      planned_cuts_["restored"].push_back(p);
    }
    for (const auto& t : meta.at("throttle").as_array()) {
      const unsigned s = source_index(std::string(t.at("source").as_string()));
      if (s >= plan_->sources.size()) continue;
      throttle::Limits limits;
      if (!t.at("records").is_null()) limits.records_per_s = t.at("records").to_number<std::uint64_t>();
      if (!t.at("bytes").is_null()) limits.bytes_per_s = t.at("bytes").to_number<std::uint64_t>();
      buckets_.resize(plan_->sources.size());
      buckets_[s] = std::make_unique<throttle::TokenBucket>(limits, env_.clock.monotonic_ms() * 1'000'000);
    }
    if (const json::value* paused = meta.as_object().if_contains("paused"); paused != nullptr && !paused->is_null()) {
      user_paused_ = true;
      pause_reason_ = std::string(paused->as_string());
    }
  } catch (const std::exception& e) {
    return permanent_error(fmt::format("checkpoint {} of '{}' has a meta.json that cannot be used: {}",
                                       state.epoch.value, name(), e.what()));
  }
  return ok();
}

Status Pipeline::reapply_operations() {
  for (const DiscardOperation& o : operations_.operations()) {
    if (o.id <= last_operation_) continue;
    env_.log->warn("lag discard {} was asked for after the restored checkpoint: it is done again", o.id);
    for (const auto& [source, cut] : o.cuts) {
      const unsigned s = source_index(source);
      if (s >= sources_.size()) continue;
      // As a pending cut: it is taken before the lane's first fetch, whether or not the cluster answers yet.
      connectors::LaneCut pending = cut;
      if (cut.reachable) {
        // Where it ended is known: no second search, which might find more than there was at the click.
        pending.cut_offset = cut.to;
        pending.by_time = false;
      }
      wait_for_cut(source, pending, o.id);
    }
    last_operation_ = o.id;
  }
  return ok();
}

// The source takes the cuts of a lane in the order in which they came; so does record_skipped().
void Pipeline::wait_for_cut(const std::string& source, const connectors::LaneCut& cut, std::uint64_t operation) {
  std::lock_guard lock(mutex_);  // over both: a barrier finds list and queue alike
  waiting_cuts_[{source, cut.lane}].push_back(operation);
  sources_[source_index(source)]->add_pending_cut(cut);
}

}  // namespace twinspan::gateway
