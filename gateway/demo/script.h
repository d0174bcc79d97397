#pragma once
// What a run without keys does by itself, scaled to its length: break east, mend it, hold the sources back,
// discard the lag. A pure schedule. Owned by the command. Thread: main.

#include <cstddef>
#include <cstdint>
#include <optional>

namespace twinspan::gateway {

class Script {
 public:
  enum class Step : std::uint8_t { break_east, mend_east, hold, discard, release };

  explicit Script(std::int64_t length_ms) : length_ms_(length_ms) {}

  // The next step that is due; each comes once.
  std::optional<Step> next(std::int64_t now_ms) {
    if (done() || now_ms * 100 < length_ms_ * kSteps[next_].percent) return std::nullopt;
    return kSteps[next_++].step;
  }
  bool done() const { return next_ == kCount; }

 private:
  struct At {
    int percent;
    Step step;
  };
  static constexpr At kSteps[] = {
      {25, Step::break_east}, {50, Step::mend_east}, {65, Step::hold}, {80, Step::discard}, {82, Step::release}};
  static constexpr std::size_t kCount = sizeof kSteps / sizeof kSteps[0];

  std::int64_t length_ms_;
  std::size_t next_ = 0;
};

}  // namespace twinspan::gateway
