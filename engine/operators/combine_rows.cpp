#include "engine/operators/combine_rows.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

namespace twinspan::engine {

namespace {

// What a batch of combined rows points to. Made once, then read by the shards that rows go to.
struct Owner {
  Batch batch;  // the rows as they came; owns what some may be combined of already
  Arena arena{16 * 1024};
  BlockMemory memory;
  std::vector<CombinedRows> parts, ends;  // ends: of session windows
};

Calendar calendar_of(const WindowSpec& window) {
  auto calendar = Calendar::make(window.time_zone, unit_of(window), window.offset);
  TS_CHECK(calendar.has_value());  // validate() has seen it
  return calendar.value();
}

}  // namespace

CombineRows::CombineRows(WindowSpec window, const Schema& schema, unsigned shards)
    : window_(std::move(window)),
      schema_(schema),
      calendar_(calendar_of(window_)),
      codec_(window_.key_columns, window_.key_types),
      accumulators_(accumulated(window_), window_.updating),
      passes_(window_.skew.split == SplitKeys::automatic && shards == 1),
      hot_keys_(window_.skew, shards) {}

void CombineRows::watermark(unsigned, Watermark watermark, Output& out) {
  now_ = watermark;
  out.watermark(watermark);
}

void CombineRows::process(unsigned, Batch&& batch, Output& out) {
  stats_.rows_in += batch.rows;
  if (passes_) {
    stats_.rows_out += batch.rows;
    return out.emit(std::move(batch));
  }
  auto arena = std::make_shared<Arena>(batch.rows * sizeof(std::uint64_t));
  auto* hash = arena->make<std::uint64_t>(batch.rows);
  codec_.hash(batch, hash);
  batch.hash = hash;
  batch.arenas.push_back(std::move(arena));
  hot_keys_.see(hash, batch.rows);
  parts_.clear();
  if (hot_keys_.size() > 0) place_rows(batch, hash);
  if (batch.firing != nullptr)
    now_ = {std::max(now_.firing, batch.firing[batch.rows - 1]),
            std::max(now_.retention, batch.retention[batch.rows - 1])};
  if (std::any_of(parts_.begin(), parts_.end(), [](const Part& p) { return p.rows > 1; }))
    batch = combined(std::move(batch));
  stats_.rows_out += batch.rows;
  out.emit(std::move(batch));
}

void CombineRows::place_rows(const Batch& batch, const std::uint64_t* hash) {
  ++batches_;
  if (keys_.size() < hot_keys_.size()) keys_.resize(hot_keys_.size());
  part_.assign(batch.rows, kNoPart);
  placed_.clear();
  for (std::uint32_t row = 0; row < batch.rows; ++row) {
    const std::uint32_t number = hot_keys_.find(hash[row]);
    if (number == HotKeys::kNone) continue;
    HotKey& hot = keys_[number];
    if (batch.combined != nullptr && batch.combined[row] != nullptr) continue;  // NewValues has made it
    const EventTime t = batch.time[row];
    if (t < Calendar::kEarliest || t > Calendar::kLatest || (is_retraction(batch.flag(row)) && !window_.updating))
      continue;  // fails
    key_bytes_.clear();
    codec_.append(batch, row, key_bytes_);
    if (hot.batch != batches_) {
      hot.batch = batches_;
      hot.closed = false;
      hot.key = key_bytes_;
      hot.parts.clear();
    } else if (hot.key != key_bytes_) {
      continue;  // another key with the same hash
    }
    if (hot.closed) continue;
    Watermark at = batch.firing != nullptr ? Watermark{batch.firing[row], batch.retention[row]} : now_;
    at.firing = std::max(at.firing, at.retention);
    const std::uint32_t part = place(hot, t, at);
    if (part == kNoPart) continue;
    ++parts_[part].rows;
    part_[row] = part;
    placed_.push_back({row, part});
  }
}

// A row that fits a part goes to the newest it fits, and once rows of a key have gone by themselves, all do whose
// window could be the same: where event times are equal the order is that of the rows.
std::uint32_t CombineRows::place(HotKey& hot, EventTime t, Watermark at) {
  for (auto p = hot.parts.rbegin(); p != hot.parts.rend(); ++p) {
    Part& part = parts_[*p];
    if (!takes(part, t, at)) continue;
    if (session()) {
      part.from = std::min(part.from, t);
      part.to = std::max(part.to, t);
      part.until = part.from + window_.size - 1;
    } else if (window_.kind == WindowKind::global) {
      part.to = std::max(part.to, t);
    }
    return *p;
  }
  Part part;
  if (!open(part, t, at)) {
    // Whether it meets a session depends on the rows before it: none that comes later may be counted with those.
    if (session()) hot.parts.clear();
    return kNoPart;
  }
  if (hot.parts.size() == kParts) {
    hot.closed = true;
    return kNoPart;
  }
  hot.parts.push_back(static_cast<std::uint32_t>(parts_.size()));
  parts_.push_back(part);
  return hot.parts.back();
}

bool CombineRows::takes(const Part& part, EventTime t, Watermark at) {
  if (session()) {
    // Rows of the same watermark only: a row that moves the bounds of a session that was told takes it back at once.
    const EventTime from = std::min(part.from, t), to = std::max(part.to, t);
    return at == part.at && to - from < window_.size && at.firing < from + window_.size - 1;
  }
  if (window_.kind != WindowKind::global && (t < part.from || t >= part.to)) return false;
  if (at.firing >= part.until) return false;
  if (window_.early == 0 || window_.early_clock == EarlyClock::wall) return true;
  // Windows that share a pane have early results at moments of their own.
  if (window_.kind == WindowKind::sliding) return at == part.at;
  return moment_of(part.from, at.firing) == part.moment;
}

// false: something about this row is decided already, by the watermark here.
bool CombineRows::open(Part& part, EventTime t, Watermark at) {
  part = {t, t, 0, at, 0, 0};
  switch (window_.kind) {
    case WindowKind::session: part.until = t + window_.size - 1; break;
    case WindowKind::global: part.until = kMaxTime; break;
    case WindowKind::sliding: {
      const std::int64_t pane = calendar_.index_of(t);
      part.from = calendar_.start_of(pane);
      part.to = calendar_.start_of(pane + 1);
      part.until = part.to - 1;
      break;
    }
    case WindowKind::tumbling:
    case WindowKind::cumulate: {
      const WindowRange range = calendar_.window_of(t);
      part.from = range.start;
      part.to = range.end;
      if (window_.kind == WindowKind::cumulate) {
        part.from += (t - range.start) / window_.every * window_.every;
        part.to = std::min(part.from + window_.every, range.end);
      }
      part.until = part.to - 1;
    }
  }
  if (at.firing >= part.until) return false;
  if (window_.early > 0 && window_.kind != WindowKind::session) part.moment = moment_of(part.from, at.firing);
  return true;
}

// The number of the last early result that F has reached, of a window that begins at `start`.
std::int64_t CombineRows::moment_of(EventTime start, EventTime firing) {
  if (window_.kind == WindowKind::global) return firing == kMinTime ? kMinTime : calendar_.index_of(firing + 1);
  return firing == kMinTime || firing + 1 <= start ? 0 : (firing + 1 - start) / window_.early;
}

Batch CombineRows::combined(Batch&& batch) {
  auto owner = std::make_shared<Owner>();
  owner->batch = std::move(batch);
  const Batch& rows = owner->batch;
  Arena& arena = owner->arena;

  // Parts of one row go as the row they are; not of sessions, where the window must see if all are taken apart.
  std::uint32_t parts = 0, total = 0;
  std::vector<std::uint32_t> number(parts_.size(), kNoPart);
  for (std::size_t p = 0; p < parts_.size(); ++p) {
    if (parts_[p].rows < 2 && !session()) continue;
    number[p] = parts++;
    total += parts_[p].rows;
  }
  owner->parts.resize(parts);
  auto* which = arena.make<std::uint32_t>(total);
  std::vector<std::uint32_t*> next(parts);  // where its next row is noted
  const std::size_t block_bytes = accumulators_.bytes();
  char* blocks = static_cast<char*>(arena.allocate(std::max<std::size_t>(8, parts * block_bytes), 8));
  std::memset(blocks, 0, parts * block_bytes);
  for (std::size_t p = 0; p < parts_.size(); ++p) {
    if (number[p] == kNoPart) continue;
    next[number[p]] = which;
    owner->parts[number[p]] = {blocks + number[p] * block_bytes, &rows, which, parts_[p].rows, parts_[p].until};
    which += parts_[p].rows;
    if (session()) owner->ends.push_back({nullptr, nullptr, nullptr, 0, parts_[p].until});
  }

  std::vector<std::uint32_t> counted;
  std::vector<char*> into;
  counted.reserve(total);
  into.reserve(total);
  for (const Placed& placed : placed_) {
    const std::uint32_t n = number[placed.part];
    if (n == kNoPart) continue;
    *next[n]++ = placed.row;
    counted.push_back(placed.row);
    into.push_back(blocks + n * block_bytes);
  }
  for (std::uint32_t i = 0; i < total;) {
    const std::uint32_t from = i;
    const bool taken_back = is_retraction(rows.flag(counted[from]));
    if (rows.flags == nullptr) i = total;
    while (i < total && is_retraction(rows.flag(counted[i])) == taken_back) ++i;
    if (taken_back)
      accumulators_.retract(rows, &counted[from], &into[from], i - from, owner->memory);
    else
      accumulators_.update(rows, &counted[from], &into[from], i - from, owner->memory);
  }
  stats_.rows_combined += total;

  // Rows by themselves, and of each part the first; of a session also the last: the two say how far it goes.
  std::vector<std::uint32_t> chosen;
  std::vector<const CombinedRows*> what;
  std::vector<EventTime> time;
  const auto choose = [&](std::uint32_t row, const CombinedRows* part, EventTime t) {
    chosen.push_back(row);
    what.push_back(part);
    time.push_back(t);
  };
  // Every watermark the window would have seen it sees, in the same order: what it fires, and when, depends on each.
  static constexpr CombinedRows kOnlyTime{.until = kMaxTime, .only_time = true};
  const auto before = [&](std::uint32_t row) {
    return rows.firing == nullptr ? Watermark{} : Watermark{rows.firing[row], rows.retention[row]};
  };
  Watermark told = before(0);
  std::uint32_t untold = kNoPart;  // a row with a watermark that no chosen row has, so far
  const auto tell = [&] {
    if (untold == kNoPart) return;
    choose(untold, &kOnlyTime, rows.time[untold]);
    told = before(untold);
    untold = kNoPart;
  };
  for (std::uint32_t row = 0; row < rows.rows; ++row) {
    const std::uint32_t p = part_[row], k = p == kNoPart ? kNoPart : number[p];
    const bool stays = k == kNoPart || owner->parts[k].which[0] == row;
    if (untold != kNoPart && before(row) != before(untold)) tell();
    if (!stays) {
      if (before(row) != told) untold = row;
      continue;
    }
    untold = kNoPart;
    told = before(row);
    if (k == kNoPart) {
      choose(row, rows.combined != nullptr ? rows.combined[row] : nullptr, rows.time[row]);
    } else if (session()) {
      choose(row, &owner->parts[k], parts_[p].from);
      if (parts_[p].to > parts_[p].from) choose(row, &owner->ends[k], parts_[p].to);
    } else {
      choose(row, &owner->parts[k], window_.kind == WindowKind::global ? parts_[p].to : rows.time[row]);
    }
  }
  tell();
  const auto n = static_cast<std::uint32_t>(chosen.size());
  auto own = std::make_shared<Arena>(16 * 1024);
  Arena& to = *own;
  Batch out = gather(rows, chosen.data(), n, std::move(own));
  auto* times = to.make<EventTime>(n);
  std::copy(time.begin(), time.end(), times);
  out.time = times;
  auto* marks = to.make<const CombinedRows*>(n);
  std::copy(what.begin(), what.end(), marks);
  out.combined = marks;
  auto* before_that = to.make<std::uint32_t>(n);
  std::copy(chosen.begin(), chosen.end(), before_that);
  out.row_before = before_that;
  if (out.flags != nullptr) {
    auto* flags = to.make<std::uint8_t>(n);
    for (std::uint32_t i = 0; i < n; ++i) flags[i] = what[i] != nullptr ? 0 : out.flags[i];
    out.flags = flags;
  }
  out.combined_owner = std::move(owner);
  return out;
}

OperatorStats CombineRows::stats() const {
  OperatorStats s = stats_;
  s.hot_keys = hot_keys_.size();
  return s;
}

}  // namespace twinspan::engine
