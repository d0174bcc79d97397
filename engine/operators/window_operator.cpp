#include "engine/operators/window_operator.h"

#include "engine/operators/combined_input.h"
#include "engine/operators/window_aggregate.h"
#include "engine/operators/window_clock.h"
#include "engine/operators/window_session.h"
#include "engine/operators/window_sliding.h"

namespace twinspan::engine {

std::unique_ptr<Operator> make_window(const WindowSpec& spec, const Schema& schema, unsigned shard, unsigned shards) {
  std::unique_ptr<Operator> window;
  switch (spec.kind) {
    case WindowKind::sliding: window = std::make_unique<SlidingWindow>(spec, schema); break;
    case WindowKind::session: window = std::make_unique<SessionWindow>(spec, schema); break;
    case WindowKind::tumbling:
    case WindowKind::cumulate:
    case WindowKind::global: window = std::make_unique<WindowAggregate>(spec, schema); break;
  }
  if (spec.skew.split != SplitKeys::off) return std::make_unique<CombinedInput>(std::move(window));
  if (!spec.processing_time) return window;
  return std::make_unique<ProcessingTimeWindow>(std::move(window), shard, shards);
}

}  // namespace twinspan::engine
