#pragma once
// What happened, in words, for people: the demo's own deeds and what it sees the pipeline do. Times are since
// the start. Thread: any.

#include <algorithm>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <vector>

namespace twinspan::gateway {

struct DemoEvent {
  enum class Kind : std::uint8_t { deed, good, bad, note };  // deed: somebody (a key, the script) did it
  std::int64_t at_ms = 0;
  Kind kind = Kind::note;
  std::string text;
};

class EventLog {
 public:
  void add(std::int64_t at_ms, DemoEvent::Kind kind, std::string text) {
    std::lock_guard lock(mutex_);
    events_.push_back({at_ms, kind, std::move(text)});
    ++count_;
    if (events_.size() > kKept) events_.pop_front();
  }
  std::vector<DemoEvent> newest(std::size_t count) const {
    std::lock_guard lock(mutex_);
    const std::size_t n = std::min(count, events_.size());
    return {events_.end() - static_cast<std::ptrdiff_t>(n), events_.end()};
  }
  // Those since the last call; one caller.
  std::vector<DemoEvent> take_new() {
    std::lock_guard lock(mutex_);
    const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(count_ - taken_, events_.size()));
    taken_ = count_;
    return {events_.end() - static_cast<std::ptrdiff_t>(n), events_.end()};
  }

 private:
  static constexpr std::size_t kKept = 200;
  mutable std::mutex mutex_;
  std::deque<DemoEvent> events_;
  std::uint64_t count_ = 0, taken_ = 0;
};

}  // namespace twinspan::gateway
