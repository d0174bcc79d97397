#pragma once
// The words of the pipeline language's enums, and the codecs of its values with several forms (`clusters: west` or a
// pair). Included by pipeline_table.cpp and pipeline_codecs.cpp only. Thread: any.

#include "config/codec.h"
#include "config/pipeline_spec.h"

namespace twinspan::config {

template <>
struct Choices<FormatType> {
  static constexpr std::array words{
      Choice<FormatType>{"json", FormatType::json}, Choice<FormatType>{"avro", std::nullopt},
      Choice<FormatType>{"protobuf", std::nullopt}, Choice<FormatType>{"csv", std::nullopt},
      Choice<FormatType>{"debezium", std::nullopt}, Choice<FormatType>{"raw", std::nullopt}};
};
template <>
struct Choices<OnError> {
  static constexpr std::array words{Choice<OnError>{"dead_letter", OnError::dead_letter},
                                    Choice<OnError>{"skip", OnError::skip}, Choice<OnError>{"fail", OnError::fail}};
};
template <>
struct Choices<WhenIdle> {
  static constexpr std::array words{Choice<WhenIdle>{"hold", WhenIdle::hold},
                                    Choice<WhenIdle>{"advance", WhenIdle::advance}};
};
template <>
struct Choices<LateBacklog> {
  static constexpr std::array words{Choice<LateBacklog>{"merge", LateBacklog::merge},
                                    Choice<LateBacklog>{"side", LateBacklog::side},
                                    Choice<LateBacklog>{"drop", std::nullopt}};
};
template <>
struct Choices<OnGap> {
  static constexpr std::array words{Choice<OnGap>{"fail", OnGap::fail}, Choice<OnGap>{"skip", OnGap::skip},
                                    Choice<OnGap>{"earliest", OnGap::earliest}};
};
template <>
struct Choices<PairMode> {
  static constexpr std::array words{Choice<PairMode>{"split", PairMode::split},
                                    Choice<PairMode>{"mirror", std::nullopt}};
};
template <>
struct Choices<JoinType> {
  static constexpr std::array words{
      Choice<JoinType>{"inner", JoinType::inner}, Choice<JoinType>{"left", JoinType::left},
      Choice<JoinType>{"right", JoinType::right}, Choice<JoinType>{"full", JoinType::full},
      Choice<JoinType>{"semi", JoinType::semi},   Choice<JoinType>{"anti", JoinType::anti}};
};
template <>
struct Choices<Matches> {
  static constexpr std::array words{Choice<Matches>{"all", Matches::all}, Choice<Matches>{"first", Matches::first},
                                    Choice<Matches>{"earliest", Matches::earliest}};
};
template <>
struct Choices<JoinTime> {
  static constexpr std::array words{Choice<JoinTime>{"left", JoinTime::left},
                                    Choice<JoinTime>{"right", JoinTime::right}};
};
template <>
struct Choices<WhenFull> {
  static constexpr std::array words{Choice<WhenFull>{"slow_sources", WhenFull::slow_sources},
                                    Choice<WhenFull>{"spill", WhenFull::spill},
                                    Choice<WhenFull>{"shed", WhenFull::shed}};
};
template <>
struct Choices<Unmatched> {
  static constexpr std::array words{Choice<Unmatched>{"wait", Unmatched::wait},
                                    Choice<Unmatched>{"provisional", Unmatched::provisional}};
};
template <>
struct Choices<EmitMode> {
  static constexpr std::array words{Choice<EmitMode>{"accumulating", EmitMode::accumulating},
                                    Choice<EmitMode>{"discarding", EmitMode::discarding},
                                    Choice<EmitMode>{"retracting", EmitMode::retracting}};
};
template <>
struct Choices<EmitClock> {
  static constexpr std::array words{Choice<EmitClock>{"event", EmitClock::event},
                                    Choice<EmitClock>{"wall", EmitClock::wall}};
};
template <>
struct Choices<WindowTime> {
  static constexpr std::array words{Choice<WindowTime>{"event", WindowTime::event},
                                    Choice<WindowTime>{"processing", WindowTime::processing}};
};
template <>
struct Choices<RoutePolicy> {
  static constexpr std::array words{Choice<RoutePolicy>{"primary_backup", RoutePolicy::primary_backup},
                                    Choice<RoutePolicy>{"round_robin", std::nullopt}};
};
template <>
struct Choices<Delivery> {
  static constexpr std::array words{Choice<Delivery>{"at_least_once", Delivery::at_least_once},
                                    Choice<Delivery>{"exactly_once", std::nullopt}};
};
template <>
struct Choices<Compression> {
  static constexpr std::array words{
      Choice<Compression>{"none", Compression::none}, Choice<Compression>{"gzip", Compression::gzip},
      Choice<Compression>{"snappy", Compression::snappy}, Choice<Compression>{"lz4", Compression::lz4},
      Choice<Compression>{"zstd", Compression::zstd}};
};
template <>
struct Choices<Partitioner> {
  static constexpr std::array words{Choice<Partitioner>{"murmur2_random", Partitioner::murmur2_random},
                                    Choice<Partitioner>{"murmur2", Partitioner::murmur2},
                                    Choice<Partitioner>{"consistent_random", Partitioner::consistent_random},
                                    Choice<Partitioner>{"consistent", Partitioner::consistent},
                                    Choice<Partitioner>{"fnv1a_random", Partitioner::fnv1a_random},
                                    Choice<Partitioner>{"fnv1a", Partitioner::fnv1a},
                                    Choice<Partitioner>{"random", Partitioner::random}};
};
template <>
struct Choices<StateBackend> {
  static constexpr std::array words{Choice<StateBackend>{"memory", StateBackend::memory},
                                    Choice<StateBackend>{"rocksdb", StateBackend::rocksdb}};
};
template <>
struct Choices<ParamType> {
  static constexpr std::array words{
      Choice<ParamType>{"string", ParamType::string}, Choice<ParamType>{"int64", ParamType::int64},
      Choice<ParamType>{"bool", ParamType::bool_},    Choice<ParamType>{"duration", ParamType::duration},
      Choice<ParamType>{"bytes", ParamType::bytes},   Choice<ParamType>{"rate", ParamType::rate}};
};

// A value with several forms: described by hand, no default text unless it says so.
template <class T>
struct FormsCodec {
  static std::optional<std::string> text(const T&) { return std::nullopt; }
};

template <>
struct Codec<TopicSpec> : FormsCodec<TopicSpec> {
  static Shape shape();
  static bool read(Reader& reader, const Node& node, TopicSpec& into);
};
template <>
struct Codec<SourceClusters> : FormsCodec<SourceClusters> {
  static Shape shape();
  static bool read(Reader& reader, const Node& node, SourceClusters& into);
};
template <>
struct Codec<RouteSpec> : FormsCodec<RouteSpec> {
  static Shape shape();
  static bool read(Reader& reader, const Node& node, RouteSpec& into);
};
template <>
struct Codec<StartSpec> {
  static Shape shape();
  static bool read(Reader& reader, const Node& node, StartSpec& into);
  static std::optional<std::string> text(const StartSpec&) { return "latest"; }
};
template <>
struct Codec<Inputs> : FormsCodec<Inputs> {
  static Shape shape();
  static bool read(Reader& reader, const Node& node, Inputs& into);
};
template <>
struct Codec<UnnestSpec> : FormsCodec<UnnestSpec> {
  static Shape shape();
  static bool read(Reader& reader, const Node& node, UnnestSpec& into);
};
template <>
struct Codec<JoinKey> : FormsCodec<JoinKey> {
  static Shape shape();
  static bool read(Reader& reader, const Node& node, JoinKey& into);
};
template <>
struct Codec<Interval> : FormsCodec<Interval> {
  static Shape shape();
  static bool read(Reader& reader, const Node& node, Interval& into);
};
template <>
struct Codec<ShardCount> {
  static Shape shape();
  static bool read(Reader& reader, const Node& node, ShardCount& into);
  static std::optional<std::string> text(const ShardCount&) { return "auto"; }
};

template <>
struct Codec<SplitKeys> {
  static Shape shape();
  static bool read(Reader& reader, const Node& node, SplitKeys& into);
  static std::optional<std::string> text(const SplitKeys&) { return "auto"; }
};

}  // namespace twinspan::config
