// AND, OR and CASE. Terms and branches that are cheap are there for all rows and put together by whole columns; the
// others run for the rows that need them (ExprExecutor::run_branch).

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "engine/expr/executor.h"

namespace twinspan::engine {

namespace {

// to[selection[k]] = v[k] (compact) or v[selection[k]]
template <class T>
void scatter(void* to, const Value& v, bool compact, const std::uint32_t* selection, std::uint32_t n) {
  T* out = static_cast<T*>(to);
  const T* values = static_cast<const T*>(v.data);
  if (v.stride == 0) {
    for (std::uint32_t k = 0; k < n; ++k) out[selection[k]] = *values;
  } else if (compact) {
    for (std::uint32_t k = 0; k < n; ++k) out[selection[k]] = values[k];
  } else {
    for (std::uint32_t k = 0; k < n; ++k) out[selection[k]] = values[selection[k]];
  }
}

// out[i] = mask[i] ? x[i] : y[i]; y may be out.
template <class T>
void blend(void* out, const std::uint8_t* mask, const Value& x, const Value& y, std::uint32_t n) {
  T* to = static_cast<T*>(out);
  const T *a = static_cast<const T*>(x.data), *b = static_cast<const T*>(y.data);
  const auto loop = [&](auto then, auto otherwise) {
    for (std::uint32_t i = 0; i < n; ++i) {
      const T yes = then(i), no = otherwise(i);
      to[i] = mask[i] != 0 ? yes : no;
    }
  };
  const auto each = [](const T* p) { return [p](std::uint32_t i) { return p[i]; }; };
  const auto same = [](const T* p) { return [v = *p](std::uint32_t) { return v; }; };
  if (x.stride != 0 && y.stride != 0) return loop(each(a), each(b));
  if (x.stride != 0) return loop(each(a), same(b));
  if (y.stride != 0) return loop(same(a), each(b));
  loop(same(a), same(b));
}

// The first condition that is true chooses, of constants.
template <std::size_t n>
void choose(std::uint64_t* out, const std::uint8_t* const* masks, const std::uint64_t* values, std::uint32_t rows) {
  const std::uint8_t* mask[n];
  std::uint64_t value[n + 1];
  std::copy_n(masks, n, mask);
  std::copy_n(values, n + 1, value);
  for (std::uint32_t i = 0; i < rows; ++i) {
    std::uint64_t v = value[n];
    for (std::size_t k = n; k-- > 0;) v = mask[k][i] != 0 ? value[k] : v;
    out[i] = v;
  }
}

void blend(DataType type, void* out, const std::uint8_t* mask, const Value& x, const Value& y, std::uint32_t n) {
  switch (value_width(type.kind)) {
    case 1: return blend<std::uint8_t>(out, mask, x, y, n);
    case 8: return blend<std::uint64_t>(out, mask, x, y, n);
    default:
      if (type.is_string_like()) return blend<std::string_view>(out, mask, x, y, n);
      return blend<Decimal>(out, mask, x, y, n);
  }
}

// What goes with a value, as a value of its own.
Value validity(const Value& v) {
  static constexpr std::uint8_t kAll = 1;
  return v.valid != nullptr ? Value{v.valid, nullptr, nullptr, v.stride} : Value{&kAll, nullptr, nullptr, 0};
}
Value errors_of(const Value& v) {
  static constexpr std::uint32_t kNone = 0;
  return v.errors != nullptr ? Value{v.errors, nullptr, nullptr, v.stride} : Value{&kNone, nullptr, nullptr, 0};
}

}  // namespace

// Every term is there for all rows, without NULLs: bytes that are 0 or 1.
void ExprExecutor::combine_bytes(const ExprNode& node, NodeId id, std::uint32_t rows) {
  auto* out = static_cast<std::uint8_t*>(result_memory(node, rows));
  const auto term = [&](std::size_t t) { return static_cast<const std::uint8_t*>(values_[node.args[t]].data); };
  const auto loop = [&](auto f) {
    const std::uint8_t *a = term(0), *b = term(1);
    for (std::uint32_t i = 0; i < rows; ++i) out[i] = f(a[i], b[i]);
    for (std::size_t t = 2; t < node.args.size(); ++t) {
      const std::uint8_t* c = term(t);
      for (std::uint32_t i = 0; i < rows; ++i) out[i] = f(out[i], c[i]);
    }
  };
  if (node.kind == NodeKind::logical_or)
    loop([](unsigned a, unsigned b) { return static_cast<std::uint8_t>(a | b); });
  else
    loop([](unsigned a, unsigned b) { return static_cast<std::uint8_t>(a & b); });
  values_[id] = {out, nullptr, nullptr, 1};
}

void ExprExecutor::run_logical(const ExprNode& node, NodeId id, std::uint32_t rows) {
  ++evaluations_;
  bool plain = node.args.size() >= 2;
  for (std::size_t t = 0; plain && t < node.args.size(); ++t) {
    const Value& v = values_[node.args[t]];
    plain = node.groups[t] == kRootGroup && v.valid == nullptr && v.errors == nullptr && v.stride == 1;
  }
  if (plain) return combine_bytes(node, id, rows);
  // A term decides when it is FALSE under AND, TRUE under OR.
  const std::uint8_t decisive = node.kind == NodeKind::logical_or;
  auto* decided = static_cast<std::uint8_t*>(result_memory(node, rows));  // becomes the result
  std::memset(decided, 0, rows);
  std::uint8_t* unknown = nullptr;
  std::uint32_t* errors = nullptr;
  const auto merge = [&](const Value& v, std::uint32_t k, std::uint32_t row) {
    if (v.is_null(k)) {
      unknown[row] = 1;
      if (v.errors != nullptr && v.errors[k] != 0 && errors[row] == 0) errors[row] = v.errors[k];
    } else if (v.at<std::uint8_t>(k) == decisive) {
      decided[row] = 1;
    }
  };
  const auto prepare = [&](const Value& v) {
    if (v.valid != nullptr && unknown == nullptr)
      unknown = static_cast<std::uint8_t*>(std::memset(scratch_.allocate(rows), 0, rows));
    if (v.errors != nullptr && errors == nullptr)
      errors = static_cast<std::uint32_t*>(std::memset(scratch_.allocate(rows * 4), 0, rows * 4));
  };
  for (std::size_t t = 0; t < node.args.size(); ++t) {
    if (node.groups[t] != kRootGroup) {
      auto* selection = scratch_.make<std::uint32_t>(rows);
      std::uint32_t n = 0;
      for (std::uint32_t i = 0; i < rows; ++i) {
        selection[n] = i;
        n += decided[i] == 0;
      }
      if (n == 0) break;  // later terms cannot matter; those that run with everything else have run
      const Value v = run_branch(node.groups[t], node.args[t], selection, n, rows);
      prepare(v);
      for (std::uint32_t k = 0; k < n; ++k) merge(v, k, selection[k]);
      continue;
    }
    const Value& v = values_[node.args[t]];
    if (v.valid == nullptr && v.stride == 1) {
      const auto* value = static_cast<const std::uint8_t*>(v.data);
      const std::uint8_t flip = decisive ^ 1;
      for (std::uint32_t i = 0; i < rows; ++i) decided[i] |= value[i] ^ flip;
    } else {
      prepare(v);
      for (std::uint32_t i = 0; i < rows; ++i) merge(v, i, i);
    }
  }
  const std::uint8_t* valid = nullptr;
  if (unknown != nullptr) {
    for (std::uint32_t i = 0; i < rows; ++i) unknown[i] = decided[i] | (unknown[i] ^ 1);  // now: has a value
    valid = unknown;
  }
  if (errors != nullptr)
    for (std::uint32_t i = 0; i < rows; ++i) errors[i] = decided[i] != 0 ? 0 : errors[i];
  if (decisive == 0)
    for (std::uint32_t i = 0; i < rows; ++i) decided[i] ^= 1;
  values_[id] = {decided, kept(node, valid, rows), errors, 1};
}

// Two or three arms of 8 bytes that are constants, conditions without NULL: one pass. False: it is not like that.
bool ExprExecutor::choose_constants(const ExprNode& node, std::uint64_t* out, std::uint32_t rows) {
  const std::size_t arms = node.args.size() / 2;
  if (arms < 2 || arms > 3 || value_width(node.type.kind) != 8) return false;
  const std::uint8_t* masks[3];
  std::uint64_t values[4];
  for (std::size_t k = 0; k <= arms; ++k) {
    const Value& v = values_[node.args[k < arms ? 2 * k + 1 : 2 * k]];
    if (v.stride != 0) return false;
    values[k] = v.at<std::uint64_t>(0);
    if (k == arms) break;
    const Value& c = values_[node.args[2 * k]];
    if (c.valid != nullptr) return false;
    masks[k] = static_cast<const std::uint8_t*>(c.data);
  }
  arms == 2 ? choose<2>(out, masks, values, rows) : choose<3>(out, masks, values, rows);
  return true;
}

// What every arm needs is there for all rows. From the last arm to the first, each takes its rows.
void ExprExecutor::blend_case(const ExprNode& node, NodeId id, std::uint32_t rows) {
  bool nulls = false, failures = false;
  for (std::size_t a = 0; a < node.args.size(); ++a) {
    const Value& v = values_[node.args[a]];
    const bool condition = a % 2 == 0 && a + 1 < node.args.size();
    nulls = nulls || (!condition && v.valid != nullptr) || v.errors != nullptr;
    failures = failures || v.errors != nullptr;
  }
  void* out = result_memory(node, rows);
  if (!nulls && choose_constants(node, static_cast<std::uint64_t*>(out), rows)) {
    values_[id] = {out, nullptr, nullptr, 1};
    return;
  }
  auto* valid = nulls ? scratch_.make<std::uint8_t>(rows) : nullptr;
  auto* errors = failures ? scratch_.make<std::uint32_t>(rows) : nullptr;
  std::uint8_t* some = nullptr;
  Value rest = values_[node.args.back()];
  for (std::size_t arm = node.args.size() - 1; arm >= 2; arm -= 2) {
    const Value &c = values_[node.args[arm - 2]], &then = values_[node.args[arm - 1]];
    const auto* mask = static_cast<const std::uint8_t*>(c.data);
    if (c.valid != nullptr) {
      if (some == nullptr) some = scratch_.make<std::uint8_t>(rows);
      for (std::uint32_t i = 0; i < rows; ++i) some[i] = static_cast<std::uint8_t>((mask[i] != 0) & (c.valid[i] != 0));
      mask = some;
    }
    blend(node.type, out, mask, then, rest, rows);
    if (nulls) blend<std::uint8_t>(valid, mask, validity(then), validity(rest), rows);
    if (failures) blend<std::uint32_t>(errors, mask, errors_of(then), errors_of(rest), rows);
    for (std::uint32_t i = 0; c.errors != nullptr && i < rows; ++i) {
      if (c.errors[i] == 0) continue;
      errors[i] = c.errors[i];
      valid[i] = 0;
    }
    rest = {out, valid, errors, 1};
  }
  values_[id] = {out, kept(node, valid, rows), errors, 1};
}

void ExprExecutor::run_case(const ExprNode& node, NodeId id, std::uint32_t rows) {
  ++evaluations_;
  if (std::all_of(node.groups.begin(), node.groups.end(), [](std::uint32_t g) { return g == kRootGroup; }))
    return blend_case(node, id, rows);
  void* out = result_memory(node, rows);
  std::uint8_t* valid = nullptr;
  std::uint32_t* errors = nullptr;
  auto* open = scratch_.make<std::uint32_t>(rows);  // rows no arm has taken yet
  auto* taken = scratch_.make<std::uint32_t>(rows);
  std::uint32_t n_open = rows;
  for (std::uint32_t i = 0; i < rows; ++i) open[i] = i;

  const auto need_valid = [&] {
    if (valid == nullptr) valid = static_cast<std::uint8_t*>(std::memset(scratch_.allocate(rows), 1, rows));
  };
  const auto set_error = [&](std::uint32_t row, std::uint32_t error) {
    need_valid();
    if (errors == nullptr) errors = static_cast<std::uint32_t*>(std::memset(scratch_.allocate(rows * 4), 0, rows * 4));
    valid[row] = 0;
    errors[row] = error;
  };
  const auto clear = [&](std::uint32_t row) {  // a readable value for a row without one
    if (node.type.is_string_like())
      static_cast<std::string_view*>(out)[row] = {};
    else
      std::memset(static_cast<char*>(out) + row * value_width(node.type.kind), 0, value_width(node.type.kind));
  };
  const auto take = [&](std::size_t arg, const std::uint32_t* selection, std::uint32_t n) {
    if (n == 0) return;
    const bool compact = node.groups[arg] != kRootGroup;
    const Value v =
        compact ? run_branch(node.groups[arg], node.args[arg], selection, n, rows) : values_[node.args[arg]];
    switch (value_width(node.type.kind)) {
      case 1: scatter<std::uint8_t>(out, v, compact, selection, n); break;
      case 8: scatter<std::uint64_t>(out, v, compact, selection, n); break;
      default:
        if (node.type.is_string_like())
          scatter<std::string_view>(out, v, compact, selection, n);
        else
          scatter<Decimal>(out, v, compact, selection, n);
    }
    if (v.valid == nullptr) return;
    need_valid();
    for (std::uint32_t k = 0; k < n; ++k) {
      const std::uint32_t row = selection[k], from = compact ? k : row;
      if (!v.is_null(from)) continue;
      valid[row] = 0;
      if (v.errors != nullptr && v.errors[from] != 0) set_error(row, v.errors[from]);
    }
  };

  for (std::size_t arm = 0; arm + 1 < node.args.size() && n_open > 0; arm += 2) {
    const bool compact = node.groups[arm] != kRootGroup;
    const Value c =
        compact ? run_branch(node.groups[arm], node.args[arm], open, n_open, rows) : values_[node.args[arm]];
    std::uint32_t n_taken = 0, rest = 0;
    for (std::uint32_t k = 0; k < n_open; ++k) {
      const std::uint32_t row = open[k], from = compact ? k : row;
      if (c.errors != nullptr && c.errors[from] != 0) {
        set_error(row, c.errors[from]);
        clear(row);
      } else if (!c.is_null(from) && c.at<std::uint8_t>(from) != 0) {
        taken[n_taken++] = row;
      } else {
        open[rest++] = row;
      }
    }
    n_open = rest;
    take(arm + 1, taken, n_taken);
  }
  take(node.args.size() - 1, open, n_open);
  values_[id] = {out, kept(node, valid, rows), errors, 1};
}

}  // namespace twinspan::engine
