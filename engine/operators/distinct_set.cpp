#include "engine/operators/distinct_set.h"

#include <algorithm>
#include <tuple>

#include <roaring/roaring.h>
#include <tsl/robin_map.h>

#include "engine/base/result.h"

namespace twinspan::engine {

namespace {

struct FreeBitmap {
  void operator()(roaring_bitmap_t* r) const { roaring_bitmap_free(r); }
};
using Bitmap = std::unique_ptr<roaring_bitmap_t, FreeBitmap>;

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
  const std::uint64_t bit = std::uint64_t{1} << kid;
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
    pair->kid_plus_1 = kGone;
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

void DistinctSet::close_steps(std::uint32_t open) {
  first_in_.erase(first_in_.begin(), first_in_.lower_bound(open));
}

std::size_t DistinctSet::bytes() const {
  std::size_t n = masks_.bytes() + stepped_pairs_.bytes() + pairs_.bytes() + block_bytes_;
  for (const auto& [step, pairs] : first_in_) n += pairs.bytes();
  return n;
}

std::vector<DistinctSet::Block> DistinctSet::changed_blocks() {
  std::sort(added_.begin(), added_.end(), [](const Added& x, const Added& y) {
    return std::tie(x.kid, x.step, x.id) < std::tie(y.kid, y.step, y.id);
  });
  std::vector<Block> out;
  std::vector<std::uint32_t> low;
  for (std::size_t i = 0; i < added_.size();) {
    const Added& first = added_[i];
    const auto high = static_cast<std::uint16_t>(first.id >> 16);
    low.clear();
    for (; i < added_.size() && added_[i].kid == first.kid && added_[i].step == first.step &&
           (added_[i].id >> 16) == high;
         ++i)
      low.push_back(added_[i].id & 0xFFFF);
    const std::uint64_t place = (std::uint64_t{first.kid} << 32) | (std::uint64_t{first.step} << 16) | high;
    Bitmap& bitmap = blocks_->by_place[place];
    if (!bitmap) bitmap.reset(roaring_bitmap_create());
    const std::size_t before = roaring_bitmap_portable_size_in_bytes(bitmap.get());
    roaring_bitmap_add_many(bitmap.get(), low.size(), low.data());
    Block block{first.kid, first.step, high, {}};
    block.bytes.resize(roaring_bitmap_portable_size_in_bytes(bitmap.get()));
    block_bytes_ += block.bytes.size() - std::min(before, block.bytes.size());
    roaring_bitmap_portable_serialize(bitmap.get(), block.bytes.data());
    out.push_back(std::move(block));
  }
  added_ = {};
  return out;
}

bool DistinctSet::ids_of(std::string_view bytes, std::vector<std::uint32_t>& low) {
  const Bitmap bitmap(roaring_bitmap_portable_deserialize_safe(bytes.data(), bytes.size()));
  if (!bitmap) return false;
  low.resize(roaring_bitmap_get_cardinality(bitmap.get()));
  roaring_bitmap_to_uint32_array(bitmap.get(), low.data());
  return low.empty() || low.back() <= 0xFFFF;
}

}  // namespace twinspan::engine
