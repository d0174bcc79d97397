#include "engine/operators/distinct_set.h"

#include <algorithm>
#include <bit>

#include <roaring/roaring.h>
#include <tsl/robin_map.h>

#include "engine/base/result.h"

namespace twinspan::engine {

namespace {

struct FreeBitmap {
  void operator()(roaring_bitmap_t* r) const { roaring_bitmap_free(r); }
};
using Bitmap = std::unique_ptr<roaring_bitmap_t, FreeBitmap>;

// Ascending, without repeats. `bits`: 65 536 bits, all 0 before and after.
void sort_low(std::vector<std::uint32_t>& low, std::vector<std::uint64_t>& bits) {
  if (low.size() < 512) {
    std::sort(low.begin(), low.end());
    low.erase(std::unique(low.begin(), low.end()), low.end());
    return;
  }
  for (const std::uint32_t v : low) bits[v / 64] |= std::uint64_t{1} << (v % 64);
  low.clear();
  for (std::uint32_t w = 0; w < bits.size(); ++w) {
    for (std::uint64_t rest = bits[w]; rest != 0; rest &= rest - 1)
      low.push_back(w * 64 + static_cast<std::uint32_t>(std::countr_zero(rest)));
    bits[w] = 0;
  }
}

}  // namespace

struct DistinctSet::Blocks {
  tsl::robin_map<std::uint64_t, Bitmap> by_place;  // kid, step, high
};

DistinctSet::DistinctSet(bool stepped) : stepped_(stepped), blocks_(std::make_unique<Blocks>()) {}
DistinctSet::~DistinctSet() = default;
DistinctSet::DistinctSet(DistinctSet&&) noexcept = default;

std::int32_t DistinctSet::add(std::uint32_t kid, std::uint32_t id, std::uint16_t step,
                              const Dictionary::Identity& identity) {
  const std::int32_t result = kid < kMasked ? add_masked(kid, id, step) : add_pair(kid, id, step);
  if (result == kKnown) return kKnown;
  size_ += result == kAdded ? 1 : 0;
  added_.push_back({kid, id, step, identity});
  return result;
}

std::int32_t DistinctSet::add_masked(std::uint32_t kid, std::uint32_t id, std::uint32_t step) {
  const std::uint32_t bit = std::uint32_t{1} << kid;
  Mask* mask = masks_.find(hash_of(0, id), [&](const Mask& m) { return m.id_plus_1 == id + 1; });
  const bool known = mask != nullptr && (mask->keys & bit) != 0;
  if (known && (!stepped_ || step >= latest_step_)) return kKnown;
  if (mask == nullptr)
    masks_.insert({id + 1, bit});
  else
    mask->keys |= bit;
  if (!stepped_) return kAdded;

  const std::uint64_t hash = hash_of(kid, id);
  std::int32_t result = kAdded;
  if (known) {  // in a closed step, or in one of these
    auto same = [&](const Pair& p) { return p.id == id && p.kid_plus_1 == kid + 1; };
    Pair* pair = nullptr;
    auto first = first_in_.begin();
    for (; first != first_in_.end(); ++first)
      if ((pair = first->second.find(hash, same)) != nullptr) break;
    if (pair == nullptr || first->first <= step) return kKnown;
    // A table that grows has a slot twice for a while: where it was, and where it was moved.
    for (; pair != nullptr; pair = first->second.find(hash, same)) pair->kid_plus_1 = kGone;
    result = static_cast<std::int32_t>(first->first);
  }
  latest_step_ = std::max(latest_step_, step);
  first_in_[step].insert({kid + 1, id});
  return result;
}

std::int32_t DistinctSet::add_pair(std::uint32_t kid, std::uint32_t id, std::uint32_t step) {
  const std::uint64_t hash = hash_of(kid, id);
  auto same = [&](const Pair& p) { return p.id == id && p.kid_plus_1 == kid + 1; };
  if (!stepped_) {
    if (pairs_.find(hash, same) != nullptr) return kKnown;
    pairs_.insert({kid + 1, id});
    return kAdded;
  }
  if (SteppedPair* p = stepped_pairs_.find(hash, same)) {
    if (p->step <= step) return kKnown;
    const auto was = static_cast<std::int32_t>(p->step);
    p->step = step;
    return was;
  }
  SteppedPair added;
  added.kid_plus_1 = kid + 1;
  added.id = id;
  added.step = step;
  stepped_pairs_.insert(added);
  return kAdded;
}

void DistinctSet::close_steps(std::uint32_t open) { first_in_.erase(first_in_.begin(), first_in_.lower_bound(open)); }

std::size_t DistinctSet::bytes() const {
  std::size_t n = masks_.bytes() + stepped_pairs_.bytes() + pairs_.bytes() + block_bytes_;
  for (const auto& [step, pairs] : first_in_) n += pairs.bytes();
  n += added_.bytes();
  if (saving_) n += saving_->added.bytes() + saving_->index.bytes() + saving_->buckets.size() * sizeof(Saving::Bucket);
  return n;
}

bool DistinctSet::begin_save() {
  if (added_.empty()) return false;
  saving_ = std::make_unique<Saving>();
  saving_->added = std::move(added_);
  saving_->bits.resize(1024);
  return true;
}

void DistinctSet::place(const Added& a) {
  Saving& s = *saving_;
  const std::uint64_t place = (std::uint64_t{a.kid} << 32) | (std::uint64_t{a.step} << 16) | (a.id >> 16);
  const Saving::Slot added{place, static_cast<std::uint32_t>(s.buckets.size() + 1)};
  const Saving::Slot* slot = s.index.find(added.hash(), [&](const Saving::Slot& x) { return x.place == place; });
  if (slot == nullptr) {
    s.index.insert(added);
    s.buckets.push_back({place, {}});
    slot = &added;
  }
  s.buckets[slot->bucket_plus_1 - 1].low.push_back(a.id & 0xFFFF);
}

std::size_t DistinctSet::take_block(Block& out) {
  Saving::Bucket bucket = std::move(saving_->buckets.front());
  saving_->buckets.pop_front();
  sort_low(bucket.low, saving_->bits);
  Bitmap& bitmap = blocks_->by_place[bucket.place];
  if (!bitmap)
    bitmap.reset(roaring_bitmap_create());
  else
    block_bytes_ -= roaring_bitmap_portable_size_in_bytes(bitmap.get());
  roaring_bitmap_add_many(bitmap.get(), bucket.low.size(), bucket.low.data());
  out.kid = static_cast<std::uint32_t>(bucket.place >> 32);
  out.step = static_cast<std::uint16_t>(bucket.place >> 16);
  out.high = static_cast<std::uint16_t>(bucket.place);
  out.bytes.resize(roaring_bitmap_portable_size_in_bytes(bitmap.get()));
  block_bytes_ += out.bytes.size();
  roaring_bitmap_portable_serialize(bitmap.get(), out.bytes.data());
  return 1 + bucket.low.size() / 16 + out.bytes.size() / 128;
}

bool DistinctSet::ids_of(std::string_view bytes, std::vector<std::uint32_t>& low) {
  const Bitmap bitmap(roaring_bitmap_portable_deserialize_safe(bytes.data(), bytes.size()));
  if (!bitmap) return false;
  low.resize(roaring_bitmap_get_cardinality(bitmap.get()));
  roaring_bitmap_to_uint32_array(bitmap.get(), low.data());
  return low.empty() || low.back() <= 0xFFFF;
}

}  // namespace twinspan::engine
