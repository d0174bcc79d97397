#include "connectors/kafka/kafka_sink_writer.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <utility>

namespace twinspan::connectors {

using Sent = ClusterProducer::Sent;
using Outcome = ClusterProducer::Report::Outcome;

namespace {
constexpr std::int64_t kBackOffMs = 100;
constexpr std::int64_t kMissingTopicBackOffMs = 1'000;
constexpr std::size_t kFirstWindow = 256 * 1024;
constexpr std::size_t kLeastWindow = 256;
}  // namespace

KafkaSinkWriter::KafkaSinkWriter(unsigned shard, std::string identity, std::size_t max_bytes, const Clock& clock,
                                 RejectedRecord rejected)
    : shard_(shard),
      identity_(std::move(identity)),
      max_bytes_(max_bytes),
      clock_(clock),
      rejected_(std::move(rejected)) {}

void KafkaSinkWriter::write(const OutputRecord& record) {
  Entry e;
  e.has_key = record.has_key;
  e.has_value = record.has_value;
  e.timestamp = record.timestamp;
  const std::string_view key = record.has_key ? record.key : std::string_view();
  const std::string_view value = record.has_value ? record.value : std::string_view();
  e.key = static_cast<std::uint32_t>(key.size());
  e.value = static_cast<std::uint32_t>(value.size());
  std::size_t size = key.size() + value.size();
  for (std::size_t i = 0; i < record.header_count; ++i)
    size += record.headers[i].first.size() + record.headers[i].second.size();
  TS_CHECK(size < (std::size_t{1} << 31));
  e.size = static_cast<std::uint32_t>(size);
  e.bytes.reset(new char[size + 1]);
  char* to = e.bytes.get();
  auto put = [&](std::string_view s) {
    if (!s.empty()) std::memcpy(to, s.data(), s.size());
    to += s.size();
  };
  put(key);
  put(value);
  e.headers.reserve(record.header_count);
  for (std::size_t i = 0; i < record.header_count; ++i) {
    const auto& [name, text] = record.headers[i];
    put(name);
    put(text);
    e.headers.emplace_back(name.size(), text.size());
  }
  e.written_ms = clock_.monotonic_ms();
  bytes_.fetch_add(e.size + kEntryOverhead, std::memory_order_relaxed);

  std::lock_guard lock(mutex_);
  entries_.push_back(std::move(e));
  written_.store(first_ + entries_.size() - 1, std::memory_order_release);
  send_waiting();
}

void KafkaSinkWriter::step() {
  if (!has_rejected_.load(std::memory_order_acquire)) return;
  // Out of the lock, and counted as done only afterwards: a checkpoint waits for the dead letter as for any output.
  std::vector<std::uint64_t> sequences;
  {
    std::lock_guard lock(mutex_);
    for (std::size_t i = 0; i < entries_.size(); ++i)
      if (entries_[i].state == State::rejected) sequences.push_back(first_ + i);
    has_rejected_.store(false, std::memory_order_release);
  }
  std::vector<std::pair<std::string_view, std::string_view>> headers;
  for (const std::uint64_t sequence : sequences) {
    OutputRecord record;
    std::string why;
    {
      std::lock_guard lock(mutex_);
      const Entry& e = entries_[sequence - first_];  // a rejected entry stays until this thread marks it
      record = view(e, headers);
      why = e.why;
    }
    if (rejected_) rejected_(shard_, record, why);
    std::lock_guard lock(mutex_);
    entries_[sequence - first_].state = State::done;
    --rejected_waiting_;
    free_done();
  }
}

OutputRecord KafkaSinkWriter::view(const Entry& e,
                                   std::vector<std::pair<std::string_view, std::string_view>>& headers) const {
  OutputRecord r;
  const char* at = e.bytes.get();
  auto take = [&](std::size_t n) {
    std::string_view s(at, n);
    at += n;
    return s;
  };
  r.key = take(e.key);
  r.value = take(e.value);
  r.has_key = e.has_key;
  r.has_value = e.has_value;
  r.timestamp = e.timestamp;
  headers.clear();
  for (const auto& [name, value] : e.headers) {
    const std::string_view n = take(name);
    headers.emplace_back(n, take(value));
  }
  r.headers = headers.data();
  r.header_count = headers.size();
  return r;
}

Sent KafkaSinkWriter::send(Entry& e, std::uint64_t sequence) {
  const OutputRecord r = view(e, header_scratch_);
  char digits[24];
  const auto end = std::to_chars(digits, digits + sizeof digits, sequence).ptr;
  scratch_.assign(identity_).append(digits, static_cast<std::size_t>(end - digits));
  ProducerRecord p{r.key, r.value, r.has_key, r.has_value, r.timestamp, scratch_, r.headers, r.header_count};
  return producer_->produce(p, (static_cast<std::uintptr_t>(shard_) << kSequenceBits) | sequence, e.why);
}

void KafkaSinkWriter::send_waiting() {
  if (producer_ == nullptr || draining_ || broken_ || next_ >= entries_.size()) return;
  if (not_before_ms_ != 0) {
    if (clock_.monotonic_ms() < not_before_ms_) return;
    not_before_ms_ = 0;
  }
  for (; next_ < entries_.size(); ++next_) {
    Entry& e = entries_[next_];
    if (e.state != State::waiting) continue;
    if (window_ != 0 && sent_ > 0 && sent_bytes_ + e.size > window_) return;
    switch (send(e, first_ + next_)) {
      case Sent::queued:
        e.state = State::sent;
        e.sent_ms = clock_.monotonic_ms();
        e.window = window_;
        sent_bytes_ += e.size;
        if (std::exchange(e.was_sent, true)) ++resent_;
        ++sent_;
        topic_missing_ = false;
        continue;
      case Sent::full: return;
      case Sent::topic_missing:
        topic_missing_ = true;
        note_ = std::exchange(e.why, {});
        not_before_ms_ = clock_.monotonic_ms() + kMissingTopicBackOffMs;
        return;
      case Sent::failed:
        client_failed_ = true;
        note_ = std::exchange(e.why, {});
        not_before_ms_ = clock_.monotonic_ms() + kBackOffMs;
        return;
      case Sent::rejected:
        e.state = State::rejected;
        ++rejected_waiting_;
        has_rejected_.store(true, std::memory_order_release);
        continue;
    }
  }
}

void KafkaSinkWriter::free_done() {
  std::size_t n = 0, freed = 0;
  while (!entries_.empty() && entries_.front().state == State::done) {
    freed += entries_.front().size + kEntryOverhead;
    entries_.pop_front();
    ++n;
  }
  if (n == 0) return;
  first_ += n;
  next_ -= std::min(n, next_);
  bytes_.fetch_sub(freed, std::memory_order_relaxed);
  acknowledged_.store(first_ - 1, std::memory_order_release);
}

void KafkaSinkWriter::attach(ClusterProducer* producer) {
  std::lock_guard lock(mutex_);
  producer_ = producer;
  for (Entry& e : entries_)  // sent to the client before this one, and no report came: unknown, so it is sent again
    if (e.state == State::sent) e.state = State::waiting;
  sent_ = sent_bytes_ = window_ = 0;
  draining_ = broken_ = topic_missing_ = client_failed_ = false;
  not_before_ms_ = 0;
  note_.clear();
  next_ = 0;
  send_waiting();
}

void KafkaSinkWriter::detach() {
  std::lock_guard lock(mutex_);
  producer_ = nullptr;
}

void KafkaSinkWriter::drain(bool on) {
  std::lock_guard lock(mutex_);
  draining_ = on;
}

void KafkaSinkWriter::report(const std::vector<ClusterProducer::Report>& reports) {
  std::lock_guard lock(mutex_);
  for (const auto& r : reports) {
    if (shard_of(r.tag) != shard_) continue;
    const std::uint64_t sequence = r.tag & ((std::uint64_t{1} << kSequenceBits) - 1);
    TS_CHECK(sequence >= first_ && sequence - first_ < entries_.size());
    Entry& e = entries_[sequence - first_];
    TS_CHECK(e.state == State::sent);
    --sent_;
    sent_bytes_ -= e.size;
    Outcome outcome = r.outcome;
    if (outcome == Outcome::too_large) {
      const bool alone = e.window != 0 && e.size >= e.window;
      if (e.window == window_) window_ = window_ == 0 ? kFirstWindow : std::max(kLeastWindow, window_ / 2);
      outcome = alone ? Outcome::rejected : Outcome::again;
    }
    switch (outcome) {
      case Outcome::acknowledged: e.state = State::done; break;
      case Outcome::rejected:
        e.state = State::rejected;
        e.why = r.why;
        ++rejected_waiting_;
        has_rejected_.store(true, std::memory_order_release);
        break;
      case Outcome::topic_missing: topic_missing_ = true; [[fallthrough]];
      case Outcome::again:
        e.state = State::waiting;
        broken_ = true;
        note_ = r.why;
        if (r.outcome == Outcome::too_large) break;  // smaller batches at once
        not_before_ms_ = clock_.monotonic_ms() + (topic_missing_ ? kMissingTopicBackOffMs : kBackOffMs);
        break;
      case Outcome::too_large: break;  // resolved above
    }
  }
  free_done();
}

void KafkaSinkWriter::pump() {
  std::lock_guard lock(mutex_);
  if (broken_ && sent_ == 0) {
    broken_ = false;
    next_ = 0;
  }
  send_waiting();
}

KafkaSinkWriter::Snapshot KafkaSinkWriter::snapshot() const {
  std::lock_guard lock(mutex_);
  Snapshot s;
  s.sent = sent_;
  s.waiting = entries_.size() - sent_ - rejected_waiting_;
  s.resent = resent_;
  s.topic_missing = topic_missing_;
  s.client_failed = client_failed_;
  s.note = note_;
  if (!entries_.empty()) s.oldest_ms = entries_.front().written_ms;
  if (!entries_.empty() && entries_.front().state == State::sent) s.oldest_sent_ms = entries_.front().sent_ms;
  return s;
}

}  // namespace twinspan::connectors
