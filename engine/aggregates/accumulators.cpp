#include "engine/aggregates/accumulators.h"

#include <algorithm>

#include <fmt/format.h>
#include <xxhash.h>

#include "engine/aggregates/kernel.h"

namespace twinspan::engine {

namespace {

using F = AggregateFunction;

constexpr char kFormat = 1;  // of saved blocks; goes up when a kernel's bytes change

const AggregateKernel& kernel_for(const AggregateSpec& a, bool updating) {
  switch (a.function) {
    case F::count: return a.distinct && updating ? bag_kernel(a) : count_kernel();
    case F::sum:
    case F::avg: return sum_kernel(a);
    case F::min:
    case F::max: return updating ? bag_kernel(a) : extreme_kernel(a);
    case F::first:
    case F::last:
    case F::min_by:
    case F::max_by: return pick_kernel(a);
    case F::approx_count_distinct: return approx_count_distinct_kernel();
    case F::percentile: return percentile_kernel();
    case F::top_k: return top_k_kernel();
    case F::string_agg:
    case F::array_agg: return list_kernel();
    case F::native: return *a.native->native_kernel;
  }
  TS_CHECK(false);
}

// What is kept depends on these alone; the rest decides what is made of it.
bool keeps_the_same(const AggregateSpec& a, const AggregateSpec& b) {
  return a.argument == b.argument && a.argument_type == b.argument_type && a.distinct == b.distinct &&
         a.filter == b.filter && a.by == b.by && a.by_type == b.by_type && a.parameters.number == b.parameters.number &&
         a.native == b.native && a.more_arguments == b.more_arguments;
}

}  // namespace

Accumulators::Accumulators(const std::vector<AggregateSpec>& aggregates, bool updating_input) {
  std::string marks(1, kFormat);
  for (AggregateSpec a : aggregates) {
    TS_CHECK(validate(a, updating_input).has_value());
    a.distinct &= info_of(a).distinct == AggregateInfo::Distinct::yes;
    const AggregateKernel& kernel = kernel_for(a, updating_input);
    const bool outside = a.function == F::count && a.distinct && !updating_input;
    auto s = std::find_if(states_.begin(), states_.end(), [&](const State& x) {
      return x.kernel == &kernel && !x.outside && !outside && keeps_the_same(x.spec, a);
    });
    if (s == states_.end()) {
      states_.push_back({a, &kernel, bytes_, outside});
      s = states_.end() - 1;
      bytes_ += kernel.bytes;
      owns_ |= kernel.owns;
      marks += fmt::format("{},{},{},{},{},{};", static_cast<int>(a.function), to_string(a.argument_type),
                           to_string(a.by_type), a.distinct, a.parameters.number, outside);
      if (a.native != nullptr) marks += fmt::format("{}: {};", a.native->signature, a.native->native_saved);
    }
    parts_.push_back({a, aggregate_result_type(a).value(), &kernel, s->offset, outside});
  }
  if (updating_input) marks += "updating";
  mark_ = static_cast<std::uint16_t>(XXH3_64bits(marks.data(), marks.size()));
}

void Accumulators::update(const Batch& batch, const std::uint32_t* rows, char* const* blocks, std::uint32_t n,
                          BlockMemory& memory) const {
  if (batch.combined != nullptr) return update_combined(batch, rows, blocks, n, memory);
  for (const State& s : states_)
    if (!s.outside) s.kernel->update(s.spec, batch, rows, blocks, s.offset, n, memory);
}

// In their order, which decides where event times are equal.
void Accumulators::update_combined(const Batch& batch, const std::uint32_t* rows, char* const* blocks, std::uint32_t n,
                                   BlockMemory& memory) const {
  for (std::uint32_t i = 0; i < n;) {
    if (const CombinedRows* c = batch.combined[rows[i]]; c != nullptr) {
      if (c->block != nullptr) merge(c->block, blocks[i], memory);
      ++i;
      continue;
    }
    const std::uint32_t from = i;
    while (i < n && batch.combined[rows[i]] == nullptr) ++i;
    for (const State& s : states_)
      if (!s.outside) s.kernel->update(s.spec, batch, rows + from, blocks + from, s.offset, i - from, memory);
  }
}

void Accumulators::retract(const Batch& batch, const std::uint32_t* rows, char* const* blocks, std::uint32_t n,
                           BlockMemory& memory) const {
  for (const State& s : states_) {
    TS_CHECK(!s.outside && s.kernel->retract != nullptr);
    s.kernel->retract(s.spec, batch, rows, blocks, s.offset, n, memory);
  }
}

bool Accumulators::retractable(std::size_t aggregate) const {
  return !parts_[aggregate].outside && parts_[aggregate].kernel->retract != nullptr;
}

std::int64_t Accumulators::count(const char* block, std::size_t aggregate) const {
  return *reinterpret_cast<const std::int64_t*>(block + parts_[aggregate].offset);
}

void Accumulators::add_count(char* block, std::size_t aggregate, std::int64_t by) const {
  *reinterpret_cast<std::int64_t*>(block + parts_[aggregate].offset) += by;
}

void Accumulators::merge(const char* from, char* into, BlockMemory& memory) const {
  for (const State& s : states_) s.kernel->merge(s.spec, from + s.offset, into + s.offset, memory);
}

void Accumulators::reset(char* block, BlockMemory& memory) const {
  for (const State& s : states_) s.kernel->reset(block + s.offset, memory);
}

bool Accumulators::finish(std::size_t a, const char* block, char* data, std::uint8_t* valid, std::size_t row,
                          Arena& arena, std::string_view* why) const {
  const Part& p = parts_[a];
  valid[row] = 1;
  const AggregateCell cell{p.result, data + row * value_width(p.result.kind), valid[row], arena, why};
  return p.kernel->finish(p.spec, block + p.offset, cell);
}

bool Accumulators::finish(std::size_t a, const char* const* blocks, std::size_t n, char* data, std::uint8_t* valid,
                          std::size_t first, Arena& arena, std::uint8_t* fine, std::string_view* why) const {
  const Part& p = parts_[a];
  const std::size_t width = value_width(p.result.kind);
  bool all = true;
  std::fill_n(valid + first, n, std::uint8_t{1});
  for (std::size_t i = 0; i < n; ++i) {
    std::string_view reason;
    const AggregateCell cell{p.result, data + (first + i) * width, valid[first + i], arena, &reason};
    if (p.kernel->finish(p.spec, blocks[i] + p.offset, cell)) [[likely]]
      continue;
    if (fine[i] != 0) why[i] = reason;
    fine[i] = 0;
    all = false;
  }
  return all;
}

void Accumulators::save(const char* block, std::string& to) const {
  append_raw(to, mark_);
  for (const State& s : states_) s.kernel->save(s.spec, block + s.offset, to);
}

bool Accumulators::load(std::string_view& from, char* block, BlockMemory& memory) const {
  reset(block, memory);
  std::uint16_t mark = 0;
  if (!take_raw(from, mark) || mark != mark_) return false;
  for (const State& s : states_) {
    if (s.kernel->load(s.spec, from, block + s.offset, memory)) continue;
    reset(block, memory);
    return false;
  }
  return true;
}

}  // namespace twinspan::engine
