#include "engine/operators/join_waiting.h"

#include <algorithm>
#include <bit>
#include <limits>

namespace twinspan::engine {

namespace {
constexpr std::int64_t kNoSlice = std::numeric_limits<std::int64_t>::max();
constexpr std::size_t kPortion = 1024;  // rows that are sorted at a time
constexpr std::size_t kAhead = 16;      // rows on their way into the caches
}  // namespace

JoinWaiting::JoinWaiting(const RowLog& log, unsigned needs, std::int64_t slice_ms)
    : log_(log), needs_(needs), slice_ms_(std::max<std::int64_t>(slice_ms, 2)), next_(slice_of(kMinTime) + 1) {}

std::int64_t JoinWaiting::slice_of(EventTime time) const {
  const std::int64_t slice = time / slice_ms_;
  return slice - (time % slice_ms_ < 0);
}

EventTime JoinWaiting::start_of(std::int64_t slice) const {
  EventTime t = 0;
  return __builtin_mul_overflow(slice, slice_ms_, &t) ? kMinTime : t;
}

void JoinWaiting::start_at(EventTime horizon) { next_ = std::max(next_, slice_of(horizon) + 1); }

void JoinWaiting::note(std::int64_t slice, RowAddress address) {
  if (slices_.empty()) slices_.resize(kSlices);
  Slice& s = at(slice);
  const std::size_t before = s.rows.capacity();
  s.rows.push_back(address);
  slice_bytes_ += (s.rows.capacity() - before) * sizeof(RowAddress);
  const std::size_t i = static_cast<std::size_t>(slice) % kSlices;
  used_[i / 64] |= std::uint64_t{1} << (i % 64);
}

void JoinWaiting::forget(std::int64_t slice) {
  Slice& s = at(slice);
  slice_bytes_ -= s.rows.capacity() * sizeof(RowAddress);
  s = {};
  const std::size_t i = static_cast<std::size_t>(slice) % kSlices;
  used_[i / 64] &= ~(std::uint64_t{1} << (i % 64));
}

void JoinWaiting::insert(EventTime time, std::uint64_t sequence, RowAddress address) {
  const std::int64_t slice = slice_of(time);
  if (slice < next_) {
    front_.insert({time, sequence, address});
  } else if (slice - next_ < kSlices) [[likely]] {
    note(slice, address);
    ++at(slice).waiting;
    ++in_slices_;
  } else {
    far_.insert({time, sequence, address});
  }
}

void JoinWaiting::erase(EventTime time, std::uint64_t sequence) {
  const std::int64_t slice = slice_of(time);
  if (slice < next_) {
    front_.erase(time, sequence);
  } else if (slice - next_ < kSlices) [[likely]] {
    --in_slices_;
    if (--at(slice).waiting == 0) forget(slice);
  } else {
    far_.erase(time, sequence);
  }
}

void JoinWaiting::move(EventTime time, std::uint64_t sequence, RowAddress to) {
  const std::int64_t slice = slice_of(time);
  if (slice < next_)
    front_.move(time, sequence, to);
  else if (slice - next_ < kSlices)
    note(slice, to);  // the old note is of a row that has moved away
  else
    far_.move(time, sequence, to);
}

std::int64_t JoinWaiting::first_slice() const {
  if (in_slices_ == 0) return kNoSlice;
  const auto begin = static_cast<unsigned>(static_cast<std::uint64_t>(next_) % kSlices);
  for (unsigned k = 0; k <= used_.size(); ++k) {
    const unsigned word = (begin / 64 + k) % static_cast<unsigned>(used_.size());
    std::uint64_t bits = used_[word];
    if (k == 0) bits &= ~std::uint64_t{0} << (begin % 64);
    if (bits == 0) continue;
    const unsigned i = word * 64 + static_cast<unsigned>(std::countr_zero(bits));
    return next_ + (i + kSlices - begin) % kSlices;
  }
  return kNoSlice;
}

EventTime JoinWaiting::none_before() const {
  if (!front_.empty()) return front_.first().time;
  if (in_slices_ > 0) return start_of(first_slice());
  return far_.empty() ? kMaxTime : far_.first().time;
}

// Some of the slice's notes that still count, in order, into front_.
void JoinWaiting::load(std::int64_t slice, std::int64_t& fuel) {
  Slice& s = at(slice);
  const std::size_t end = std::min({s.rows.size(), loaded_ + kPortion, loaded_ + static_cast<std::size_t>(fuel)});
  fuel -= static_cast<std::int64_t>(end - loaded_);
  portion_.clear();
  for (; loaded_ < end; ++loaded_) {
    if (loaded_ + kAhead < end && s.rows[loaded_ + kAhead] >= log_.tail())
      __builtin_prefetch(log_.at(s.rows[loaded_ + kAhead]));
    const RowAddress address = s.rows[loaded_];
    if (address < log_.tail()) continue;
    const JoinRow* row = log_.at(address);
    if (row->has(JoinRow::kMoved | JoinRow::kRemoved) || (row->flags & needs_) != needs_) continue;
    portion_.push_back({row->time, row->sequence, address});
  }
  std::sort(portion_.begin(), portion_.end(), [](const TimeTree::Entry& a, const TimeTree::Entry& b) {
    return a.time != b.time ? a.time < b.time : a.sequence < b.sequence;
  });
  for (const TimeTree::Entry& e : portion_) front_.insert(e);
  in_slices_ -= portion_.size();
  s.waiting -= static_cast<std::uint32_t>(portion_.size());
  if (loaded_ < s.rows.size()) return;
  loaded_ = 0;
  forget(slice);
  next_ = slice + 1;
}

// What the slices reach now leaves far_.
void JoinWaiting::bring_near(std::int64_t& fuel) {
  TimeTree::Entry last;
  std::size_t n = 0;
  far_.scan_while(kMinTime, 0, kMaxTime, [&](const TimeTree::Entry& e) {
    const std::int64_t slice = slice_of(e.time);
    if (slice - next_ >= kSlices) return false;
    if (slice < next_) {
      front_.insert(e);
    } else {
      note(slice, e.address);
      ++at(slice).waiting;
      ++in_slices_;
    }
    last = e;
    return ++n < 256;
  });
  fuel -= static_cast<std::int64_t>(n);
  far_.drop_through(last.time, last.sequence, ~std::size_t{0});
}

bool JoinWaiting::due(EventTime horizon, std::int64_t& fuel) {
  const std::int64_t target = slice_of(horizon) + 1;
  for (;;) {
    // A slice that is half loaded says nothing of its order yet; what lies before it does.
    if (!front_.empty() && front_.first().time <= horizon && (loaded_ == 0 || slice_of(front_.first().time) < next_))
      return true;
    if (fuel <= 0) return false;
    if (loaded_ > 0) {
      load(next_, fuel);
      continue;
    }
    if (!far_.empty() && slice_of(far_.first().time) - next_ < kSlices) {
      bring_near(fuel);
      continue;
    }
    if (next_ >= target) return false;
    const std::int64_t slice = first_slice();
    if (slice < target) {
      next_ = slice;
      load(slice, fuel);
    } else {
      next_ = slice != kNoSlice || far_.empty() ? target : std::min(target, slice_of(far_.first().time));
    }
  }
}

void JoinWaiting::drop_front(EventTime time, std::uint64_t sequence) {
  front_.drop_through(time, sequence, ~std::size_t{0});
}

std::size_t JoinWaiting::bytes() const {
  return front_.bytes() + far_.bytes() + slices_.capacity() * sizeof(Slice) + slice_bytes_ +
         portion_.capacity() * sizeof(TimeTree::Entry);
}

}  // namespace twinspan::engine
