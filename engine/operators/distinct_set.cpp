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
  const std::uint64_t hash = hash_of(kid, id);
  auto same = [&](const Pair& p) { return p.id == id && p.kid_plus_1 == kid + 1; };
  std::int32_t result = kAdded;
  if (!stepped_) {
    if (pairs_.find(hash, same) != nullptr) return kKnown;
    pairs_.insert({kid + 1, id});
  } else if (SteppedPair* p = stepped_pairs_.find(hash, same)) {
    if (p->step <= step) return kKnown;
    result = static_cast<std::int32_t>(p->step);
    p->step = step;
  } else {
    SteppedPair added;
    added.kid_plus_1 = kid + 1;
    added.id = id;
    added.step = step;
    stepped_pairs_.insert(added);
  }
  added_.push_back({kid, id, step, identity});
  return result;
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
