#include "connectors/kafka/route.h"

#include <fmt/format.h>

#include "engine/base/result.h"

namespace twinspan::connectors {

Route::Route(RouteRules rules, std::size_t members, std::size_t active, std::uint64_t generation)
    : rules_(rules), members_(members), active_(active), generation_(generation) {
  TS_CHECK(members >= 1 && members <= 2 && active < members);
}

// A cluster that has just come back is better than one that is down, but no reason to leave a slow one.
bool Route::takes_output(const HealthSnapshot& h, bool even_fresh) const {
  return h.ever_reached && (h.state == ClusterState::up || (even_fresh && h.state == ClusterState::rejoining));
}

RouteVerdict Route::decide(const RouteInput& in) {
  using Action = RouteVerdict::Action;
  const HealthSnapshot& active = in.members[active_];
  const bool down = active.state == ClusterState::down;
  const bool stalled = !in.topic_missing && in.stalled_ms > rules_.stalled_after_ms;
  const bool partly = !in.topic_missing && in.oldest_ms > rules_.oldest_after_ms;
  const bool suspicious = active.state == ClusterState::suspect || (!in.topic_missing && in.stalled_ms > 1'000);
  if (down || stalled || partly || suspicious) {
    if (first_bad_ < 0) first_bad_ = in.stalled_ms > 0 ? in.now - in.stalled_ms : in.now;
  } else {
    first_bad_ = -1;
  }
  while (!switches_.empty() && in.now - switches_.front() >= rules_.switch_window_ms) switches_.pop_front();

  if (members_ == 1) {
    RouteVerdict v{Action::stay, 0, down || stalled, ""};
    if (v.holding) v.reason = "the only cluster takes no output";
    return v;
  }

  const std::size_t other = 1 - active_;
  by_hand_ = false;
  if (forced_) {
    if (*forced_ != active_) {
      by_hand_ = true;
      return {Action::move, *forced_, false, "by hand"};
    }
    forced_.reset();
    pinned_ = true;
  }

  if (down || stalled || partly) {
    std::string why = down      ? "the active cluster is down"
                      : stalled ? fmt::format("no acknowledgement for {} ms", in.stalled_ms)
                                : fmt::format("the oldest record is not acknowledged for {} ms", in.oldest_ms);
    if (!takes_output(in.members[other], down)) {
      wanted_since_ = -1;
      return {Action::stay, active_, true, why + ", and the other cluster takes no output either"};
    }
    if (wanted_since_ < 0) wanted_since_ = in.now;
    if (in.now - wanted_since_ < rules_.settle_ms) return {Action::stay, active_, false, ""};
    if (switches_.size() >= rules_.max_switches)
      return {Action::stay, active_, true,
              fmt::format("{}, but the route moved {} times within {} min already", why, switches_.size(),
                          rules_.switch_window_ms / 60'000)};
    return {Action::move, other, false, why};
  }
  wanted_since_ = -1;

  const HealthSnapshot& primary = in.members[0];
  if (active_ != 0 && !pinned_ && takes_output(primary, false) && primary.healthy_since_ms >= 0 &&
      in.now - primary.healthy_since_ms >= rules_.fail_back_after_ms && switches_.size() < rules_.max_switches) {
    return {in.idle ? Action::move : Action::drain, 0, false,
            fmt::format("fail back: the primary is healthy for {} s", (in.now - primary.healthy_since_ms) / 1'000)};
  }
  return {};
}

void Route::moved(std::size_t to, std::int64_t now) {
  active_ = to;
  ++generation_;
  wanted_since_ = first_bad_ = -1;
  if (by_hand_) {
    forced_.reset();
    pinned_ = true;
  } else {
    pinned_ = false;  // the pinned cluster failed
    switches_.push_back(now);
  }
}

}  // namespace twinspan::connectors
