#pragma once
// Time comes in by constructor, so that tests and the simulator own it. Milliseconds. Thread: any.

#include <atomic>
#include <chrono>
#include <cstdint>

namespace twinspan {

using Millis = std::chrono::milliseconds;

class Clock {
 public:
  virtual ~Clock() = default;
  virtual std::int64_t wall_ms() const = 0;       // since 1970 UTC; may jump
  virtual std::int64_t monotonic_ms() const = 0;  // never goes back; what timers use
};

class SystemClock final : public Clock {
 public:
  std::int64_t wall_ms() const override {
    return std::chrono::duration_cast<Millis>(std::chrono::system_clock::now().time_since_epoch()).count();
  }
  std::int64_t monotonic_ms() const override {
    return std::chrono::duration_cast<Millis>(std::chrono::steady_clock::now().time_since_epoch()).count();
  }
};

class ManualClock final : public Clock {
 public:
  explicit ManualClock(std::int64_t start_ms = 1'767'225'600'000) : now_(start_ms) {}
  std::int64_t wall_ms() const override { return now_.load(); }
  std::int64_t monotonic_ms() const override { return now_.load(); }
  void advance(std::int64_t ms) { now_ += ms; }

 private:
  std::atomic<std::int64_t> now_;
};

}  // namespace twinspan
