#include "engine/native/native_aggregate.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include <fmt/format.h>

#include "engine/aggregates/kernel.h"
#include "engine/expr/kernel.h"
#include "engine/native/native_scalar.h"

namespace twinspan::engine {

namespace {

constexpr std::size_t kMostBytes = std::size_t{1} << 30;  // of one allocation
constexpr std::size_t kMostMessage = 500;
constexpr std::uint32_t kRows = 64;  // of one call
constexpr std::uint32_t kMostArguments = 16;

// What a group keeps: the function's state, and how many of its rows the function refused (less those taken back).
struct Block {
  ts_state state;  // data nullptr: no row came yet
  std::int64_t failed;
  char* why;  // u32 size and text of a refusal; of several the least, so that it does not depend on their order
};

Block& block_at(char* p) { return *reinterpret_cast<Block*>(p); }
const Block& block_at(const char* p) { return *reinterpret_cast<const Block*>(p); }

const ts_aggregate& function_of(const AggregateSpec& spec) {
  return *static_cast<const ts_aggregate*>(spec.native->native_state);
}

std::string_view reason_of(const Block& b) {
  if (b.why == nullptr) return "the native function failed a row";
  std::uint32_t n = 0;
  std::memcpy(&n, b.why, sizeof n);
  return {b.why + sizeof n, n};
}

void drop_reason(Block& b, BlockMemory& memory) {
  if (b.why != nullptr) memory.give(b.why, sizeof(std::uint32_t) + reason_of(b).size());
  b.why = nullptr;
}

void keep_reason(Block& b, std::string_view text, BlockMemory& memory) {
  if (b.why != nullptr && reason_of(b) <= text) return;
  char* kept = memory.take(sizeof(std::uint32_t) + text.size());
  const auto n = static_cast<std::uint32_t>(text.size());
  std::memcpy(kept, &n, sizeof n);
  std::memcpy(kept + sizeof n, text.data(), text.size());
  drop_reason(b, memory);
  b.why = kept;
}

void grow(Block& b, std::uint64_t size, BlockMemory& memory) {
  if (b.state.data == nullptr || BlockMemory::rounded(size) != BlockMemory::rounded(b.state.size)) {
    char* data = memory.take(size);
    if (b.state.data != nullptr) {
      std::memcpy(data, b.state.data, std::min(size, b.state.size));
      memory.give(b.state.data, b.state.size);
    } else {
      b.state.size = 0;
    }
    b.state.data = data;
  }
  if (size > b.state.size) std::memset(static_cast<char*>(b.state.data) + b.state.size, 0, size - b.state.size);
  b.state.size = size;
}

void begin(Block& b, const ts_aggregate& f, BlockMemory& memory) {
  if (b.state.data == nullptr) grow(b, f.state_size, memory);
}

std::string_view message_of(const char* message) {
  return std::string_view(message != nullptr ? message : "failed").substr(0, kMostMessage);
}

// What the plug-in's `self` points to during a call that changes states.
struct Host {
  const ts_aggregate& function;
  BlockMemory& memory;
  std::uint32_t rows;
  ts_state* const* states;
  bool failed[kRows] = {};
  std::optional<Arena> scratch = {};

  static void* allocate(void* self, std::uint64_t bytes) {
    if (bytes > kMostBytes) return nullptr;
    std::optional<Arena>& scratch = static_cast<Host*>(self)->scratch;
    if (!scratch) scratch.emplace(1024);
    return scratch->allocate(bytes);
  }
  static void fail(void* self, std::uint64_t row, const char* message) {
    Host& host = *static_cast<Host*>(self);
    const bool strays = row >= host.rows;
    if (strays) row = 0;
    host.failed[row] = true;
    keep_reason(*reinterpret_cast<Block*>(host.states[row]),
                strays ? "the native function failed a row that is not there" : message_of(message), host.memory);
  }
  static int resize(void* self, ts_state* state, std::uint64_t bytes) {
    Host& host = *static_cast<Host*>(self);
    if (bytes < host.function.state_size || bytes > host.function.most_bytes) return 0;
    grow(*reinterpret_cast<Block*>(state), bytes, host.memory);
    return 1;
  }
  ts_host interface() { return {this, &Host::allocate, &Host::fail, &Host::resize}; }
  // Rows that failed count as such; what they say goes when none is left.
  void settle(std::int64_t sign) {
    for (std::uint32_t i = 0; i < rows; ++i) {
      if (!failed[i]) continue;
      Block& b = *reinterpret_cast<Block*>(states[i]);
      b.failed += sign;
    }
    for (std::uint32_t i = 0; i < rows; ++i) {
      Block& b = *reinterpret_cast<Block*>(states[i]);
      if (failed[i] && b.failed == 0) drop_reason(b, memory);
    }
  }
};

// The chosen rows of a batch, dense: what a call gets.
struct Rows {
  alignas(16) char values[kMostArguments][kRows * sizeof(ts_text)];
  std::uint8_t valid[kMostArguments][kRows];
  std::int64_t time[kRows];
  ts_state* states[kRows];
  ts_column columns[kMostArguments];

  void put(std::uint32_t arg, std::uint32_t at, std::uint32_t kind, const Column& c, std::uint32_t row) {
    valid[arg][at] = !c.is_null(row);
    switch (kind) {
      case TS_BOOL: values[arg][at] = c.as<char>()[row]; return;
      case TS_STRING:
      case TS_BYTES: {
        const std::string_view s = valid[arg][at] != 0 ? c.as<std::string_view>()[row] : std::string_view();
        const ts_text text{s.data() != nullptr ? s.data() : "", s.size()};
        std::memcpy(values[arg] + at * sizeof text, &text, sizeof text);
        return;
      }
      default: std::memcpy(values[arg] + at * 8, c.as<std::int64_t>() + row, 8);
    }
  }
};

template <bool kRetract>
void count_rows(const AggregateSpec& spec, const Batch& batch, const std::uint32_t* rows, char* const* blocks,
                std::size_t offset, std::uint32_t n, BlockMemory& memory) {
  const ts_aggregate& f = function_of(spec);
  const auto column = [&](int c) -> const Column& { return batch.columns[static_cast<std::size_t>(c)]; };
  const Column* args[kMostArguments];
  for (std::uint32_t a = 0; a < f.arg_count; ++a)
    args[a] = &column(a == 0 ? spec.argument : spec.more_arguments[a - 1]);
  const Column* filter = spec.filter >= 0 ? &column(spec.filter) : nullptr;
  const bool takes_nulls = (f.flags & TS_TAKES_NULLS) != 0;
  const auto passes = [&](std::uint32_t row) {
    if (filter != nullptr && (filter->is_null(row) || filter->as<std::uint8_t>()[row] == 0)) return false;
    for (std::uint32_t a = 0; a < f.arg_count && !takes_nulls; ++a)
      if (args[a]->is_null(row)) return false;
    return true;
  };
  Rows in;
  for (std::uint32_t a = 0; a < f.arg_count; ++a) in.columns[a] = {f.args[a], 0, in.values[a], in.valid[a]};
  for (std::uint32_t i = 0; i < n;) {
    std::uint32_t some = 0;
    for (; i < n && some < kRows; ++i) {
      const std::uint32_t row = rows[i];
      if (!passes(row)) continue;
      for (std::uint32_t a = 0; a < f.arg_count; ++a) in.put(a, some, f.args[a], *args[a], row);
      in.time[some] = batch.time[row];
      Block& b = block_at(blocks[i] + offset);
      begin(b, f, memory);
      in.states[some++] = &b.state;
    }
    if (some == 0) return;
    Host self{f, memory, some, in.states};
    const ts_host host = self.interface();
    (kRetract ? f.retract : f.add)(&host, some, in.columns, in.time, in.states);
    self.settle(kRetract ? -1 : 1);
  }
}

void merge(const AggregateSpec& spec, const char* from_bytes, char* into_bytes, BlockMemory& memory) {
  const ts_aggregate& f = function_of(spec);
  const Block& from = block_at(from_bytes);
  Block& into = block_at(into_bytes);
  if (from.failed != 0) keep_reason(into, reason_of(from), memory);
  into.failed += from.failed;
  if (into.failed == 0) drop_reason(into, memory);
  if (from.state.data == nullptr) return;
  if (into.state.data == nullptr) {
    grow(into, from.state.size, memory);
    std::memcpy(into.state.data, from.state.data, from.state.size);
    return;
  }
  ts_state* states[1] = {&into.state};
  Host self{f, memory, 1, states};
  const ts_host host = self.interface();
  f.merge(&host, &from.state, &into.state);
  self.settle(1);
}

void reset(char* bytes, BlockMemory& memory) {
  Block& b = block_at(bytes);
  drop_reason(b, memory);
  if (b.state.data != nullptr) memory.give(b.state.data, b.state.size);
  std::memset(bytes, 0, sizeof(Block));
}

// A result: its texts lie in the arena of the output.
struct ValueHost {
  const AggregateCell& cell;
  std::string_view failure;

  static void* allocate(void* self, std::uint64_t bytes) {
    return bytes > kMostBytes ? nullptr : static_cast<ValueHost*>(self)->cell.arena.allocate(bytes);
  }
  static void fail(void* self, std::uint64_t, const char* message) {
    ValueHost& host = *static_cast<ValueHost*>(self);
    if (host.failure.empty()) host.failure = host.cell.arena.copy(message_of(message));
  }
  static int resize(void*, ts_state*, std::uint64_t) { return 0; }
};

bool put(const ts_value& v, std::uint32_t kind, const AggregateCell& cell) {
  if (v.null != 0) return cell.null();
  switch (kind) {
    case TS_BOOL: return cell.put(static_cast<std::uint8_t>(v.as.boolean != 0));
    case TS_FLOAT64: return cell.put(v.as.float64);
    case TS_STRING:
    case TS_BYTES: {
      if (v.as.text.data == nullptr && v.as.text.size != 0)
        return cell.fail("the native function gave a text without bytes");
      const std::string_view text(v.as.text.data != nullptr ? v.as.text.data : "", v.as.text.size);
      if (text.size() > kMaxValue) return cell.fail(kValueTooLong);
      if (kind == TS_STRING && !is_utf8(text)) return cell.fail("the native function gave a string that is not UTF-8");
      return cell.text(text);
    }
    default: return cell.put(v.as.int64);
  }
}

bool finish(const AggregateSpec& spec, const char* bytes, const AggregateCell& cell) {
  const ts_aggregate& f = function_of(spec);
  const Block& b = block_at(bytes);
  if (b.failed != 0) return cell.fail(cell.arena.copy(reason_of(b)));
  ts_state state = b.state;
  if (state.data == nullptr) state = {std::memset(cell.arena.allocate(f.state_size), 0, f.state_size), f.state_size};
  ValueHost self{cell, {}};
  const ts_host host{&self, &ValueHost::allocate, &ValueHost::fail, &ValueHost::resize};
  ts_value value{};
  f.value(&host, &state, &value);
  return self.failure.empty() ? put(value, f.result, cell) : cell.fail(self.failure);
}

// i64 failed, u32 size and text of the reason; u64 size and bytes of the state, ~0 without one.
constexpr std::uint64_t kNoState = ~std::uint64_t{0};

void save(const AggregateSpec&, const char* bytes, std::string& to) {
  const Block& b = block_at(bytes);
  append_raw(to, b.failed);
  const std::string_view why = b.why != nullptr ? reason_of(b) : std::string_view();
  append_raw(to, static_cast<std::uint32_t>(why.size()));
  to.append(why);
  append_raw(to, b.state.data != nullptr ? b.state.size : kNoState);
  if (b.state.data != nullptr) to.append(static_cast<const char*>(b.state.data), b.state.size);
}

bool load(const AggregateSpec& spec, std::string_view& from, char* bytes, BlockMemory& memory) {
  const ts_aggregate& f = function_of(spec);
  Block& b = block_at(bytes);
  std::uint32_t n = 0;
  std::uint64_t size = 0;
  std::string_view why, state;
  if (!take_raw(from, b.failed) || !take_raw(from, n) || n > kMostMessage || !take_bytes(from, n, why) ||
      !take_raw(from, size))
    return false;
  if (!why.empty()) keep_reason(b, why, memory);
  if (size == kNoState) return true;
  if (size < f.state_size || size > f.most_bytes || !take_bytes(from, size, state)) return false;
  grow(b, size, memory);
  std::memcpy(b.state.data, state.data(), state.size());
  return true;
}

AggregateKernel kernel(bool retracts) {
  static_assert(sizeof(Block) % 8 == 0 && std::is_trivially_copyable_v<Block>);
  AggregateKernel k{};
  k.bytes = sizeof(Block);
  k.owns = true;
  k.update = &count_rows<false>;
  if (retracts) k.retract = &count_rows<true>;
  k.merge = &merge;
  k.reset = &reset;
  k.finish = &finish;
  k.save = &save;
  k.load = &load;
  return k;
}

}  // namespace

AggregateInfo native_aggregate(const ts_aggregate& f, std::string_view name, NativeAggregateTexts& keep) {
  std::string types;
  for (std::uint32_t a = 0; a < f.arg_count; ++a) {
    types += fmt::format("{}{}", a == 0 ? "" : ", ", native_type_name(f.args[a]));
    keep.arguments.push_back(native_type(f.args[a]));
  }
  keep.signature = fmt::format("{}({}) -> {}", name, types, native_type_name(f.result));
  keep.memory = f.most_bytes > f.state_size ? fmt::format("{} to {} bytes", f.state_size, f.most_bytes)
                                            : fmt::format("{} bytes", f.state_size);
  AggregateInfo info{};
  info.function = AggregateFunction::native;
  info.name = name;
  info.signature = keep.signature;
  info.doc = f.doc;
  info.distinct = AggregateInfo::Distinct::no;
  info.error = "as the module says";
  info.merge = "as the module does it";
  info.memory = keep.memory;
  info.not_retractable = f.retract != nullptr ? "" : f.append_only;
  info.native_arguments = keep.arguments;
  info.native_result = native_type(f.result);
  static const AggregateKernel kernels[2] = {kernel(false), kernel(true)};
  info.native_kernel = &kernels[f.retract != nullptr ? 1 : 0];
  info.native_state = &f;
  info.native_saved = f.state_version;
  return info;
}

}  // namespace twinspan::engine
