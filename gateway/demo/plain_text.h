#pragma once
// The demo in lines, for pipes and CI: no control sequences. Thread: main.

#include <map>
#include <string>
#include <vector>

#include "gateway/demo/demo_view.h"

namespace twinspan::gateway {

std::string plain_time(std::int64_t elapsed_ms);  // "  12.3s "
std::string status_line(const DemoView& view);
std::string event_line(const DemoEvent& event);

// One line a window, when it has become another since the last call.
class ResultLines {
 public:
  std::vector<std::string> take_new(const DemoView& view);

 private:
  EventTime shown_to_ = kMinTime;
  std::map<EventTime, unsigned> updates_;  // by window: rows that replaced others, when it was shown
};

// What a run must have shown to count as good. Empty text: it did.
struct SummaryRules {
  bool scripted = false;  // a failover, a switch and a discard were on the programme
  bool whole = true;      // ran to its end
  std::string failure;    // of the pipeline or of stopping it
};
std::string verdict(const DemoView& view, const SummaryRules& rules);
std::string summary(const DemoView& view, const std::string& verdict);

}  // namespace twinspan::gateway
