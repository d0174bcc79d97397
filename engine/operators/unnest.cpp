#include "engine/operators/unnest.h"

#include "engine/base/nested.h"

namespace twinspan::engine {

void Unnest::process(unsigned, Batch&& batch, Output& out) {
  stats_.rows_in += batch.rows;
  const Column& arrays = batch.columns[static_cast<std::size_t>(spec_.column)];
  for (std::uint32_t row = 0; row < batch.rows; ++row) {
    const std::uint32_t n =
        arrays.is_null(row) ? 0 : ArrayView(arrays.as<std::string_view>()[row], spec_.element).size();
    if (n == 0 && spec_.keep_empty) {
      rows_.push_back(row);
      elements_.push_back(kNone);
    }
    for (std::uint32_t i = 0; i < n; ++i) {
      rows_.push_back(row);
      elements_.push_back(i);
      if (rows_.size() == kRows) emit(batch, out);
    }
    if (rows_.size() >= kRows) emit(batch, out);
  }
  if (!rows_.empty()) emit(batch, out);
}

void Unnest::emit(const Batch& batch, Output& out) {
  const auto n = static_cast<std::uint32_t>(rows_.size());
  const Column& arrays = batch.columns[static_cast<std::size_t>(spec_.column)];
  auto arena = std::make_shared<Arena>(16 * 1024);
  const std::size_t width = value_width(spec_.element.kind);
  char* values = static_cast<char*>(arena->allocate(n * width, alignof(Decimal)));
  auto* valid = arena->make<std::uint8_t>(n);
  std::int64_t* numbers = spec_.ordinal ? arena->make<std::int64_t>(n) : nullptr;
  bool nulls = false, empty = false;
  for (std::uint32_t i = 0; i < n; ++i) {
    const bool none = elements_[i] == kNone;
    if (!none) {
      const ArrayView array(arrays.as<std::string_view>()[rows_[i]], spec_.element);
      array.load(elements_[i], values + i * width);
      valid[i] = !array.is_null(elements_[i]);
    } else {
      valid[i] = 0;
      std::memset(values + i * width, 0, width);
      if (spec_.element.is_string_like()) new (values + i * width) std::string_view("", 0);
    }
    if (numbers != nullptr) numbers[i] = none ? 0 : std::int64_t{elements_[i]} + 1;
    nulls |= valid[i] == 0;
    empty |= none;
  }
  Batch result = gather(batch, rows_.data(), n, arena);
  const Column element{spec_.element, values, nulls ? valid : nullptr};
  if (spec_.into >= 0)
    result.columns[static_cast<std::size_t>(spec_.into)] = element;
  else
    result.columns.push_back(element);
  if (numbers != nullptr) {
    std::uint8_t* has = nullptr;
    if (empty) {
      has = arena->make<std::uint8_t>(n);
      for (std::uint32_t i = 0; i < n; ++i) has[i] = elements_[i] != kNone;
    }
    result.columns.push_back({types::int64, numbers, has});
  }
  result.hash = nullptr;
  result.schema = &spec_.schema;
  rows_.clear();
  elements_.clear();
  stats_.rows_out += n;
  out.emit(std::move(result));
}

}  // namespace twinspan::engine
