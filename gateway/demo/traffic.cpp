#include "gateway/demo/traffic.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace twinspan::gateway {

namespace {

struct Region {
  const char* spellings[4];
  double share;
};
// Half as written, half not: the pipeline trims and raises them.
constexpr Region kRegions[] = {
    {{"GD", "gd", " GD", "gd "}, 0.30}, {{"BJ", "bj", "BJ ", " bj"}, 0.22}, {{"SH", "sh", " SH", "Sh"}, 0.20},
    {{"ZJ", "zj", " zj ", "ZJ"}, 0.13}, {{"SC", "sc", "SC", " Sc"}, 0.09},  {{"HN", "hn", "Hn ", "HN"}, 0.06},
};

constexpr double kOutOfOrderMs = 5'000;
constexpr double kClickDelayMs = 3 * 60'000;  // mean; some come after the 10 minutes of the join

}  // namespace

Traffic::Traffic(TrafficSettings settings, EventTime start)
    : settings_(settings), random_(settings.seed), now_(start), next_impression_(static_cast<double>(start)) {}

void Traffic::advance(EventTime to, const Emit& emit) {
  while (true) {
    const bool click_first = !clicks_.empty() && static_cast<double>(clicks_.top().at) <= next_impression_;
    const double at = click_first ? static_cast<double>(clicks_.top().at) : next_impression_;
    if (at >= static_cast<double>(to)) break;
    if (click_first) {
      const Click due = clicks_.top();
      clicks_.pop();
      click(due, emit);
    } else {
      impression(static_cast<EventTime>(at), emit);
      next_impression_ += std::exponential_distribution<double>(settings_.impressions_per_event_s / 1000.0)(random_);
    }
  }
  now_ = std::max(now_, to);
}

void Traffic::impression(EventTime at, const Emit& emit) {
  // The square of a uniform number: few devices come often, many seldom.
  const double u = uniform();
  const auto device = static_cast<std::uint32_t>(u * u * static_cast<double>(settings_.devices));
  const int ad = 1 + static_cast<int>(uniform() * settings_.ads);
  const EventTime ts = at - static_cast<EventTime>(uniform() * kOutOfOrderMs);
  key_ = fmt::format("d{:06}", device);
  if (uniform() < settings_.malformed_ratio) {
    value_ = fmt::format(R"({{"device_id":"{}","ad_id":{},"price":)", key_, ad);  // cut off on its way
    return emit(Kind::impression, key_, value_, ts);
  }
  double share = uniform();
  std::size_t region = 0;
  while (region + 1 < std::size(kRegions) && share >= kRegions[region].share) share -= kRegions[region++].share;
  const char* spelling = kRegions[region].spellings[static_cast<std::size_t>(uniform() * 4)];
  const double odd = uniform();
  const std::string device_text = odd < 0.002 ? "null" : fmt::format("\"{}\"", key_);
  const double price = odd > 0.998 ? -1.0 : 0.01 + uniform() * 0.5;
  value_ = fmt::format(R"({{"device_id":{},"ad_id":{},"region":"{}","price":{:.4f},"ts":{}}})", device_text, ad,
                       spelling, price, ts);
  emit(Kind::impression, key_, value_, ts);
  if (uniform() >= settings_.click_ratio) return;
  const double delay = std::exponential_distribution<double>(1.0 / kClickDelayMs)(random_);
  // Not before its creation: `at` is what the stream has reached.
  clicks_.push({std::max(at, ts + static_cast<EventTime>(delay)), device, ad});
}

void Traffic::click(const Click& click, const Emit& emit) {
  key_ = fmt::format("d{:06}", click.device);
  value_ = fmt::format(R"({{"device_id":"{}","ad_id":{},"ts":{}}})", key_, click.ad, click.at);
  emit(Kind::click, key_, value_, click.at);
}

}  // namespace twinspan::gateway
