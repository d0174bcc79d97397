#pragma once
// Which of a sink's clusters takes the output: a decision, without I/O. Inputs and `now` in, verdict out, so every rule
// is a row of a test table. Policy primary_backup: member 0 is the primary.
//
//   primary --(active DOWN, or no acknowledgement for 3 s, while the other is UP)--> secondary
//   secondary --(primary healthy for fail_back_after)--> drain: nothing new is sent, what is sent gets acknowledged
//             --(drained)--> primary
//
// Both bad at the same moment: the fault is probably ours; stay and wait. More than max_switches by ourselves within
// the window: hold, say so, and go on when the window allows it. Milliseconds, monotonic. Owned by the sink's thread.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "connectors/kafka/cluster_health.h"

namespace twinspan::connectors {

struct RouteRules {
  std::int64_t stalled_after_ms = 3'000;  // something is sent and nothing at all was acknowledged for so long
  std::int64_t oldest_after_ms = 15'000;  // others are acknowledged, the oldest is not: part of the cluster is away
  std::int64_t settle_ms = 300;           // the wish must hold for so long: a common fault shows on the other side too
  std::int64_t fail_back_after_ms = 60'000;
  std::size_t max_switches = 3;
  std::int64_t switch_window_ms = 600'000;
};

struct RouteInput {
  std::int64_t now = 0;
  std::vector<HealthSnapshot> members;  // one or two, in the order of the configuration
  std::int64_t stalled_ms = 0;          // since the last acknowledgement (or the first send after); 0 = nothing is sent
  std::int64_t oldest_ms = 0;           // of the oldest sent record, on this route; 0 = none
  bool idle = true;                     // nothing is sent and unacknowledged
  bool topic_missing = false;  // the active cluster is fine but lacks the topic: waiting is right, switching is not
};

struct RouteVerdict {
  enum class Action : std::uint8_t { stay, drain, move } action = Action::stay;
  std::size_t target = 0;
  bool holding = false;  // output waits: switch limit reached, or no cluster takes it
  std::string reason;    // of a move, or of holding
  friend bool operator==(const RouteVerdict&, const RouteVerdict&) = default;
};

class Route {
 public:
  Route(RouteRules rules, std::size_t members, std::size_t active, std::uint64_t generation);

  // Remembers since when it wants to move; does not move: that is moved(), after the new generation is durable.
  RouteVerdict decide(const RouteInput& input);
  void moved(std::size_t to, std::int64_t now);

  // By hand: moves at the next decide(), whatever the limit, and does not fail back by itself until release().
  void force(std::size_t target) { forced_ = target; }
  void release() { forced_.reset(), pinned_ = false; }

  std::size_t active() const { return active_; }
  std::uint64_t generation() const { return generation_; }
  // When the present trouble of the active cluster began; -1 = there is none.
  std::int64_t first_bad_sign_ms() const { return first_bad_; }

 private:
  bool takes_output(const HealthSnapshot& h, bool even_fresh) const;

  RouteRules rules_;
  std::size_t members_, active_;
  std::uint64_t generation_;
  std::deque<std::int64_t> switches_;  // our own, within the window
  std::int64_t wanted_since_ = -1, first_bad_ = -1;
  std::optional<std::size_t> forced_;
  bool pinned_ = false, by_hand_ = false;
};

}  // namespace twinspan::connectors
