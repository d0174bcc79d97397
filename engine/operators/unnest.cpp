#include "engine/operators/unnest.h"

#include "engine/base/nested.h"

namespace twinspan::engine {

void Unnest::process(unsigned, Batch&& batch, Output& out) {
  stats_.rows_in += batch.rows;
  batch_ = std::move(batch);
  row_ = element_ = 0;
  resume(out);
}

void Unnest::resume(Output& out) {
  const Column& arrays = batch_.columns[static_cast<std::size_t>(spec_.column)];
  for (; row_ < batch_.rows; ++row_, element_ = 0) {
    const std::uint32_t n =
        arrays.is_null(row_) ? 0 : ArrayView(arrays.as<std::string_view>()[row_], spec_.element).size();
    // An empty array that is kept counts as one element.
    for (const std::uint32_t most = n == 0 && spec_.keep_empty ? 1 : n; element_ < most; ++element_) {
      if (rows_.size() == kRows) {
        emit(out);
        if (!out.has_room()) return;
      }
      rows_.push_back(row_);
      elements_.push_back(n == 0 ? kNone : element_);
    }
  }
  if (!rows_.empty()) emit(out);
  batch_ = {};
}

void Unnest::emit(Output& out) {
  const Batch& batch = batch_;
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
