#include "tests/bench/engine/memory_feed.h"

#include <time.h>

#include <algorithm>
#include <stdexcept>

namespace twinspan::bench {

namespace {

constexpr std::uint32_t kBatch = 1024;

std::int64_t number_of(const Event& e, const std::string& field) {
  if (field == "event_id") return e.id;
  if (field == "ts") return e.ts;
  if (field == "dur_ms") return e.dur_ms;
  if (field == "user_id") return e.user_id();
  throw std::runtime_error("no number " + field);
}

std::string text_of(const Event& e, const std::string& field) {
  if (field == "device_id") return e.device_id();
  if (field == "type") return e.type;
  if (field == "page") return e.page();
  if (field == "os") return e.os();
  if (field == "app_ver") return e.app_ver();
  if (field == "net") return e.net();
  throw std::runtime_error("no text " + field);
}

}  // namespace

std::int64_t thread_cpu_ns() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<std::int64_t>(t.tv_sec) * 1'000'000'000 + t.tv_nsec;
}

MemoryFeed::MemoryFeed(const gateway::SourcePlan& source, Events events, int stream, std::int64_t count, unsigned shard,
                       unsigned shards) {
  EventTime max = kMinTime;
  std::size_t strings = 0;
  std::int64_t rows = 0;
  std::vector<Event> chunk;
  const auto cut = [&] {
    Batch b;
    b.schema = &source.schema;
    b.rows = static_cast<std::uint32_t>(chunk.size());
    Arena& arena = b.add_arena();
    auto* time = arena.make<EventTime>(b.rows);
    auto* firing = arena.make<EventTime>(b.rows);
    for (std::uint32_t i = 0; i < b.rows; ++i) {
      time[i] = chunk[i].ts;
      firing[i] = max == kMinTime ? kMinTime : max - source.watermarks.out_of_order_ms - 1;
      max = std::max(max, chunk[i].ts);
    }
    for (const auto& field : source.decoder.fields) {
      if (field.type.kind == TypeKind::string) {
        auto* text = arena.make<std::string_view>(b.rows);
        for (std::uint32_t i = 0; i < b.rows; ++i) {
          text[i] = arena.copy(text_of(chunk[i], field.name));
          strings += text[i].size();
        }
        b.columns.push_back({field.type, text, nullptr});
      } else {
        auto* number = arena.make<std::int64_t>(b.rows);
        for (std::uint32_t i = 0; i < b.rows; ++i) number[i] = number_of(chunk[i], field.name);
        b.columns.push_back({field.type, number, nullptr});
      }
    }
    b.time = time;
    b.firing = b.retention = firing;
    rows += b.rows;
    batches_.push_back(std::move(b));
    after_batch_.push_back(max - source.watermarks.out_of_order_ms - 1);
    chunk.clear();
  };
  for (std::int64_t i = shard; i < count; i += shards) {
    chunk.push_back(events(stream, i));
    if (chunk.size() == kBatch) cut();
  }
  if (!chunk.empty()) cut();
  string_bytes_ = rows == 0 ? 0 : static_cast<double>(strings) / static_cast<double>(rows);
}

bool MemoryFeed::poll(std::int64_t, Batch& out) {
  if (drained() || (after_ != nullptr && !after_->drained())) return false;
  if (first_cpu_ns_ < 0) first_cpu_ns_ = thread_cpu_ns();
  out = batches_[at_];
  watermark_ = {after_batch_[at_], after_batch_[at_]};
  rows_given_ += out.rows;
  ++at_;
  return true;
}

}  // namespace twinspan::bench
