#include "engine/base/batch.h"

#include <algorithm>

namespace twinspan {

void Arena::grow(std::size_t at_least) {
  size_ = std::max(at_least, next_block_);
  next_block_ = std::min<std::size_t>(size_ * 2, 4u << 20);
  blocks_.push_back(std::unique_ptr<char[]>(new char[size_]));
  current_ = blocks_.back().get();
  used_ = 0;
  total_ += size_;
}

void Arena::clear() {
  if (blocks_.size() > 1) blocks_.erase(blocks_.begin(), blocks_.end() - 1);
  used_ = 0;
  total_ = size_;
}

std::size_t Batch::bytes() const {
  std::size_t total = 0;
  for (const auto& a : arenas) total += a->bytes();
  return total;
}

namespace {

template <class T>
const T* pick(const T* from, const std::uint32_t* selection, std::uint32_t n, Arena& arena) {
  if (from == nullptr) return nullptr;
  T* to = arena.make<T>(n);
  for (std::uint32_t i = 0; i < n; ++i) to[i] = from[selection[i]];
  return to;
}

}  // namespace

Column gather(const Column& column, const std::uint32_t* selection, std::uint32_t n, Arena& arena) {
  Column out{column.type, nullptr, pick(column.valid, selection, n, arena)};
  switch (value_width(column.type.kind)) {
    case 1: out.data = pick(column.as<std::uint8_t>(), selection, n, arena); break;
    case 8: out.data = pick(column.as<std::int64_t>(), selection, n, arena); break;
    default:
      if (column.type.is_string_like())
        out.data = pick(column.as<std::string_view>(), selection, n, arena);
      else
        out.data = pick(column.as<Decimal>(), selection, n, arena);
  }
  return out;
}

Batch gather(const Batch& batch, const std::uint32_t* selection, std::uint32_t n, std::shared_ptr<Arena> arena) {
  Batch out;
  out.schema = batch.schema;
  out.rows = n;
  out.columns.reserve(batch.columns.size());
  for (const Column& c : batch.columns) out.columns.push_back(gather(c, selection, n, *arena));
  out.time = pick(batch.time, selection, n, *arena);
  out.flags = pick(batch.flags, selection, n, *arena);
  out.hash = pick(batch.hash, selection, n, *arena);
  out.firing = pick(batch.firing, selection, n, *arena);
  out.retention = batch.retention == batch.firing ? out.firing : pick(batch.retention, selection, n, *arena);
  out.combined = pick(batch.combined, selection, n, *arena);
  out.combined_owner = batch.combined_owner;
  out.row_before = pick(batch.row_before, selection, n, *arena);
  out.origins = batch.origins;
  if (out.origins) {
    if (batch.origin_row != nullptr) {
      out.origin_row = pick(batch.origin_row, selection, n, *arena);
    } else {
      auto* rows = arena->make<std::uint32_t>(n);
      std::copy_n(selection, n, rows);
      out.origin_row = rows;
    }
  }
  out.arenas = batch.arenas;
  out.arenas.push_back(std::move(arena));
  return out;
}

}  // namespace twinspan
