#include "engine/operators/hot_keys.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <string_view>

namespace twinspan::engine {

namespace {

constexpr std::uint32_t kFirst = 64;     // samples before the first choice; then twice as many, up to
constexpr std::uint32_t kEnough = 4096;  // so many
constexpr std::uint64_t kEvery = 8;      // rows a sample, on average, once the first choices are made
constexpr std::uint32_t kMostHot = 256;  // automatic; of up to eight shards more could not have the share

}  // namespace

HotKeys::HotKeys(const SkewSpec& skew, unsigned shards)
    : skew_(skew),
      share_(1.0 / std::max(128.0, 32.0 * shards)),
      counters_(std::bit_ceil(std::max<std::uint32_t>(512, skew.keys * 4))),
      enough_(kFirst) {}

void HotKeys::see(const std::uint64_t* hashes, std::uint32_t n) {
  std::uint64_t at = skip_;
  for (; at < n; ++at) {
    sketch_.add({reinterpret_cast<const char*>(&hashes[at]), sizeof hashes[at]}, counters_, memory_);
    if (++samples_ == enough_) choose();
    if (enough_ < kEnough) continue;
    // Not every eighth row: an input with a period would show some of its keys only.
    random_ ^= random_ << 13;
    random_ ^= random_ >> 7;
    random_ ^= random_ << 17;
    at += random_ % (2 * kEvery - 1);
  }
  skip_ = at - n;
}

void HotKeys::choose() {
  const bool automatic = skew_.split == SplitKeys::automatic;
  const auto least = static_cast<std::int64_t>(share_ * samples_);
  std::vector<std::uint64_t> hot;
  for (const SpaceSaving::Counted& c : sketch_.top(automatic ? kMostHot : skew_.keys)) {
    if (automatic && c.count - c.error <= least) continue;
    std::uint64_t hash = 0;
    std::memcpy(&hash, c.value.data(), sizeof hash);
    hot.push_back(hash);
  }
  size_ = static_cast<std::uint32_t>(hot.size());
  slots_.assign(hot.empty() ? 0 : std::bit_ceil(hot.size() * 4), Slot{});
  mask_ = slots_.empty() ? 0 : slots_.size() - 1;
  for (std::uint32_t k = 0; k < size_; ++k) {
    std::size_t i = hot[k] & mask_;
    while (slots_[i].number_plus_1 != 0) i = (i + 1) & mask_;
    slots_[i] = {hot[k], k + 1};
  }
  sketch_.release(memory_);
  sketch_ = SpaceSaving{};
  samples_ = 0;
  enough_ = std::min(kEnough, enough_ * 2);
}

}  // namespace twinspan::engine
