#pragma once
// Strong numbers: an offset cannot be passed where a partition is due. Thread: any.

#include <compare>
#include <cstdint>
#include <functional>
#include <limits>

namespace twinspan {

template <class Tag, class Rep>
struct Strong {
  Rep value{};
  constexpr Strong() = default;
  constexpr explicit Strong(Rep v) : value(v) {}
  friend constexpr auto operator<=>(const Strong&, const Strong&) = default;
};

using Offset = Strong<struct OffsetTag, std::int64_t>;        // position in a partition of a Kafka topic
using Partition = Strong<struct PartitionTag, std::int32_t>;  // partition of a Kafka topic
using Epoch = Strong<struct EpochTag, std::uint64_t>;         // counts barriers of a unit; 0 = before the first
using LaneIndex = Strong<struct LaneTag, std::uint32_t>;      // place in a source's lane table; never reused in a run

// Event time: milliseconds since 1970-01-01 UTC. Plain, because it is what columns hold and kernels compute with.
using EventTime = std::int64_t;
inline constexpr EventTime kMinTime = std::numeric_limits<std::int64_t>::min();
inline constexpr EventTime kMaxTime = std::numeric_limits<std::int64_t>::max();

// t + d without leaving the range; kMinTime and kMaxTime stay what they are.
constexpr EventTime shift(EventTime t, std::int64_t d) {
  if (t == kMinTime || t == kMaxTime) return t;
  EventTime r = 0;
  if (__builtin_add_overflow(t, d, &r)) return d < 0 ? kMinTime : kMaxTime;
  return r;
}

// The two watermarks of semantics.md: `firing` (F) decides when windows fire, `retention` (R) what is late and what
// expires. retention <= firing; they differ only while a cluster is away. A watermark w says: rows with time <= w have
// been seen (one that comes after R passed it is late).
struct Watermark {
  EventTime firing = kMinTime;
  EventTime retention = kMinTime;
  friend constexpr bool operator==(const Watermark&, const Watermark&) = default;
};

}  // namespace twinspan

template <class Tag, class Rep>
struct std::hash<twinspan::Strong<Tag, Rep>> {
  std::size_t operator()(const twinspan::Strong<Tag, Rep>& s) const noexcept { return std::hash<Rep>()(s.value); }
};
