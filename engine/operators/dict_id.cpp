// Checkpoints: one entry a value (space 0, tag 0, key: the identity's 12 bytes, value: the counter) in the key group
// that is its partition. Never dropped.

#include "engine/operators/dict_id.h"

#include <fmt/format.h>

namespace twinspan::engine {

namespace {

constexpr std::uint8_t kValues = 0;
constexpr std::size_t kIdentity = 12;

}  // namespace

void DictId::process(unsigned, Batch&& batch, Output& out) {
  stats_.rows_in += batch.rows;
  const Column& x = batch.columns[static_cast<std::size_t>(spec_.column)];
  auto arena = std::make_shared<Arena>(std::size_t{batch.rows} * 24 + 64);
  const std::uint64_t* hash = batch.hash;
  if (hash == nullptr) {
    auto* own = arena->make<std::uint64_t>(batch.rows);
    codec_.hash(batch, own);
    hash = own;
  }
  rows_.clear();
  partitions_.clear();
  for (std::uint32_t i = 0; i < batch.rows; ++i) {
    if (x.is_null(i)) continue;
    rows_.push_back(i);
    partitions_.push_back(key_group_of(hash[i]));
  }
  const auto n = static_cast<std::uint32_t>(rows_.size());
  values_.resize(n);
  counters_.resize(n);
  Dictionary::identify(x, rows_.data(), n, values_.data());
  dictionary_->find_or_add(place_, values_.data(), partitions_.data(), n, counters_.data(), unsaved_);

  Column id{types::int64, nullptr, x.valid};
  auto* ids = arena->make<std::int64_t>(batch.rows);
  if (n < batch.rows) std::fill_n(ids, batch.rows, 0);
  bool full = false;
  for (std::uint32_t k = 0; k < n; ++k) {
    ids[rows_[k]] = static_cast<std::int64_t>(partitions_[k]) << 32 | counters_[k];
    full |= counters_[k] == NamedDictionary::kFull;
  }
  id.data = ids;
  batch.columns.push_back(id);
  batch.arenas.push_back(std::move(arena));
  if (full) [[unlikely]] {
    std::vector<std::uint32_t> good;
    for (std::uint32_t i = 0, k = 0; i < batch.rows; ++i) {
      const bool valued = k < n && rows_[k] == i;
      if (valued && counters_[k++] == NamedDictionary::kFull) {
        ++stats_.rows_failed;
        out.failed(batch, i, "this partition of the dictionary has given out all of its 2^32 - 1 ids");
      } else {
        good.push_back(i);
      }
    }
    if (good.empty()) return;
    batch = gather(batch, good.data(), static_cast<std::uint32_t>(good.size()), std::make_shared<Arena>());
  }
  batch.hash = nullptr;
  batch.schema = &spec_.schema;
  stats_.rows_out += batch.rows;
  out.emit(std::move(batch));
}

bool DictId::begin_snapshot(DeltaWriter&) {
  TS_CHECK(saving_.empty());
  saving_ = std::move(unsaved_);
  return !saving_.empty();
}

bool DictId::snapshot_portion(std::size_t entries, DeltaWriter& out) {
  char key[kIdentity];
  while (!saving_.empty()) {
    if (entries == 0) return true;
    const auto some = saving_.take(entries);
    entries -= some.size();
    for (const NamedDictionary::Recorded& e : some) {
      std::memcpy(key, &e.value.a, 8);
      std::memcpy(key + 8, &e.value.b, 4);
      out.put(kValues, e.partition, 0, {key, kIdentity}, {reinterpret_cast<const char*>(&e.counter), 4});
    }
  }
  return false;
}

Status DictId::restore(const StateEntry& e) {
  NamedDictionary::Recorded r;
  r.partition = e.key_group;
  if (e.kind != StateEntry::Kind::put || e.space != kValues || e.key.size() != kIdentity || e.value.size() != 4 ||
      e.key_group >= kKeyGroups)
    return data_error("dictionary state: an entry does not fit this step");
  std::memcpy(&r.value.a, e.key.data(), 8);
  std::memcpy(&r.value.b, e.key.data() + 8, 4);
  std::memcpy(&r.counter, e.value.data(), 4);
  if (r.counter == NamedDictionary::kFull || !dictionary_->restore(place_, r))
    return data_error("dictionary state: one value has two ids");
  return ok();
}

OperatorStats DictId::stats() const {
  OperatorStats s = stats_;
  s.state_rows = dictionary_->size();
  s.state_bytes = dictionary_->bytes() + unsaved_.bytes() + saving_.bytes();
  return s;
}

}  // namespace twinspan::engine
