#include "engine/expr/executor.h"

#include <algorithm>
#include <cstring>

#include "engine/base/result.h"

namespace twinspan::engine {

namespace {

template <class T>
const void* pick(const void* from, const std::uint32_t* selection, std::uint32_t n, Scratch& scratch, Arena* arena) {
  const T* values = static_cast<const T*>(from);
  T* to = arena != nullptr ? static_cast<T*>(arena->allocate(n * sizeof(T), alignof(Decimal))) : scratch.make<T>(n);
  for (std::uint32_t k = 0; k < n; ++k) to[k] = values[selection[k]];
  return to;
}

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

// A constant as a column.
Column spread(const Value& v, DataType type, std::uint32_t rows, Arena& arena) {
  const std::size_t width = value_width(type.kind);
  auto* data = static_cast<char*>(arena.allocate(width * rows, alignof(Decimal)));
  for (std::uint32_t i = 0; i < rows; ++i) std::memcpy(data + i * width, v.data, width);
  if (type.is_string_like()) {  // the bytes belong to the plan, which the batch may outlive
    const auto text = arena.copy(*static_cast<const std::string_view*>(v.data));
    for (std::uint32_t i = 0; i < rows; ++i) reinterpret_cast<std::string_view*>(data)[i] = text;
  }
  Column column{type, data, nullptr};
  if (v.valid != nullptr)
    column.valid = static_cast<std::uint8_t*>(std::memset(arena.allocate(rows, 1), *v.valid, rows));
  return column;
}

ExprExecutor::ExprExecutor(const ExprPlan& plan) : plan_(plan), values_(plan.nodes.size()) {
  for (NodeId id = 0; id < plan.nodes.size(); ++id)
    if (plan.nodes[id].kind == NodeKind::constant) values_[id] = plan.nodes[id].constant;
}

void ExprExecutor::run(const Batch& in, Arena& bytes, Arena* results) {
  begin(in, bytes, results);
  run_group(kRootGroup, in.rows);
}

void ExprExecutor::begin(const Batch& in, Arena& bytes, Arena* results) {
  scratch_.reset();
  messages_.clear();
  bytes_ = &bytes;
  results_ = results;
  for (NodeId id : plan_.columns) {
    const auto index = static_cast<std::size_t>(plan_.nodes[id].column);
    TS_CHECK(index < in.columns.size());
    values_[id] = {in.columns[index].data, in.columns[index].valid, nullptr, 1};
  }
  if (results != nullptr) {
    for (NodeId id : plan_.texts) {  // a result may outlive the plan
      auto* text = scratch_.make<std::string_view>(1);
      *text = bytes.copy(plan_.nodes[id].constant.at<std::string_view>(0));
      values_[id].data = text;
    }
  }
}

// Goes on with the rows `selection` of those at work.
void ExprExecutor::keep_rows(const std::vector<NodeId>& ids, const std::uint32_t* selection, std::uint32_t n, bool last,
                             ChainResult& out) {
  for (NodeId id : ids) {
    if (values_[id].stride == 0) continue;
    const bool result = last && plan_.nodes[id].output;  // moves no more
    values_[id] = gathered(values_[id], plan_.nodes[id].type, selection, n, result ? results_ : nullptr);
    moved_[id] = !result;
  }
  auto* rows = scratch_.make<std::uint32_t>(n);
  for (std::uint32_t k = 0; k < n; ++k) rows[k] = out.selection != nullptr ? out.selection[selection[k]] : selection[k];
  out.selection = rows;
  out.rows = n;
}

void ExprExecutor::run_chain(const Batch& in, Arena& results, ChainResult& out) {
  begin(in, results, &results);
  moved_.assign(plan_.nodes.size(), 0);
  out.rows = in.rows;
  out.selection = nullptr;
  out.failures.clear();
  out.columns.clear();
  out.stages.assign(plan_.stages.size(), {});
  std::uint8_t* failed = nullptr;  // rows at work that failed in a step since the last filter
  std::uint32_t alive = in.rows;
  const auto fail = [&](std::size_t stage, std::uint32_t k, std::uint32_t error) {
    if (failed == nullptr) failed = static_cast<std::uint8_t*>(std::memset(scratch_.allocate(out.rows), 0, out.rows));
    if (failed[k] != 0) return;
    failed[k] = 1;
    --alive;
    out.failures.push_back({static_cast<std::uint32_t>(stage), out.selection != nullptr ? out.selection[k] : k, error});
  };
  // The rows at work that are left, as a selection; all of them: nothing to do.
  const auto compact = [&](const std::vector<NodeId>& ids, const std::uint32_t* selection, std::uint32_t n, bool last) {
    if (n < out.rows) keep_rows(ids, selection, n, last, out);
    failed = nullptr;
    alive = n;
  };

  run_group(kRootGroup, in.rows);
  for (std::size_t s = 0; s < plan_.stages.size(); ++s) {
    const ExprStage& stage = plan_.stages[s];
    out.stages[s].in = alive;
    if (stage.where != ExprStage::kNoFilter) {
      const Value& w = values_[stage.where];
      auto* selection = scratch_.make<std::uint32_t>(out.rows);
      std::uint32_t n = 0;
      for (std::uint32_t k = 0; k < out.rows; ++k) {
        if (w.errors != nullptr && w.errors[k] != 0) {
          if (failed == nullptr || failed[k] == 0) fail(s, k, w.errors[k]);
          continue;
        }
        selection[n] = k;
        n += !w.is_null(k) && w.at<std::uint8_t>(k) != 0 && (failed == nullptr || failed[k] == 0);
      }
      const bool last = std::none_of(plan_.stages.begin() + static_cast<std::ptrdiff_t>(s) + 1, plan_.stages.end(),
                                     [](const ExprStage& t) { return t.where != ExprStage::kNoFilter; });
      compact(plan_.groups[stage.group].inputs, selection, n, last);
      if (n == 0) return;
      run_group(stage.group, n);
    }
    for (NodeId id : stage.select) {
      const Value& v = values_[id];
      if (v.errors == nullptr) continue;
      for (std::uint32_t k = 0; k < out.rows; ++k)
        if (v.errors[k] != 0) fail(s, k, v.errors[k]);
    }
    out.stages[s].out = alive;
  }
  if (alive < out.rows) {
    auto* selection = scratch_.make<std::uint32_t>(out.rows);
    std::uint32_t n = 0;
    for (std::uint32_t k = 0; k < out.rows; ++k) {
      selection[n] = k;
      n += failed[k] == 0;
    }
    std::vector<NodeId> ids = plan_.slots;  // each once
    std::sort(ids.begin(), ids.end());
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
    compact(ids, selection, n, true);
  }
  if (out.rows == 0) return;
  out.columns.reserve(plan_.slots.size());
  for (NodeId slot : plan_.slots) out.columns.push_back(finished(slot, out.rows, results));
}

// A result as a column whose memory is the caller's or the batch's.
Column ExprExecutor::finished(NodeId slot, std::uint32_t rows, Arena& results) {
  const Value& v = values_[slot];
  const DataType type = plan_.nodes[slot].type;
  if (v.stride == 0) return spread(v, type, rows, results);
  Column column{type, v.data, v.valid};
  if (moved_[slot] == 0) return column;
  const std::size_t bytes = value_width(type.kind) * rows;
  column.data = std::memcpy(results.allocate(bytes, alignof(Decimal)), v.data, bytes);
  if (v.valid != nullptr)
    column.valid = static_cast<const std::uint8_t*>(std::memcpy(results.allocate(rows, 1), v.valid, rows));
  return column;
}

void ExprExecutor::run_group(std::uint32_t group, std::uint32_t rows) {
  for (NodeId id : plan_.groups[group].nodes) {
    const ExprNode& node = plan_.nodes[id];
    if (node.kind == NodeKind::kernel)
      run_kernel(node, id, rows);
    else if (node.kind == NodeKind::case_when)
      run_case(node, id, rows);
    else
      run_logical(node, id, rows);
  }
}

void* ExprExecutor::result_memory(const ExprNode& node, std::uint32_t rows) {
  const std::size_t bytes = value_width(node.type.kind) * rows;
  return node.output && results_ != nullptr ? results_->allocate(bytes, alignof(Decimal)) : scratch_.allocate(bytes);
}

// Validity of an output must outlive the scratch memory, whosever it is.
const std::uint8_t* ExprExecutor::kept(const ExprNode& node, const std::uint8_t* valid, std::uint32_t rows) {
  if (valid == nullptr || !node.output || results_ == nullptr) return valid;
  auto* copy = results_->make<std::uint8_t>(rows);
  std::memcpy(copy, valid, rows);
  return copy;
}

const std::uint8_t* ExprExecutor::merged_valid(const std::vector<Value>& args, std::uint32_t rows) {
  const std::uint8_t* one = nullptr;
  std::uint8_t* all = nullptr;
  for (const Value& v : args) {
    if (v.valid == nullptr || v.stride == 0 || v.valid == one) continue;
    if (one == nullptr) {
      one = v.valid;
      continue;
    }
    if (all == nullptr) {
      all = scratch_.make<std::uint8_t>(rows);
      std::memcpy(all, one, rows);
    }
    for (std::uint32_t i = 0; i < rows; ++i) all[i] &= v.valid[i];
  }
  return all != nullptr ? all : one;
}

void ExprExecutor::run_kernel(const ExprNode& node, NodeId id, std::uint32_t rows) {
  args_.clear();
  bool errors = false;
  for (NodeId a : node.args) {
    args_.push_back(values_[a]);
    errors = errors || values_[a].errors != nullptr;
  }
  if (node.kernel.reuses_arg && args_[0].stride == 1) {
    values_[id] = args_[0];
    values_[id].valid = kept(node, args_[0].valid, rows);
    if (!moved_.empty()) moved_[id] = moved_[node.args[0]];  // the same memory
    return;
  }
  ++evaluations_;
  KernelCall call{args_.data(),
                  static_cast<std::uint32_t>(args_.size()),
                  rows,
                  result_memory(node, rows),
                  node.kernel.strict ? merged_valid(args_, rows) : nullptr,
                  &node.kernel.params,
                  node.type,
                  bytes_,
                  &scratch_,
                  &messages_};
  node.kernel.run(call);
  if (errors) {  // what is computed from an error is the same error
    if (call.errors == nullptr) {
      call.errors = scratch_.make<std::uint32_t>(rows);
      std::memset(call.errors, 0, rows * sizeof(std::uint32_t));
    }
    for (const Value& v : args_) {
      if (v.errors == nullptr) continue;
      for (std::uint32_t i = 0; i < rows; ++i) {
        if (v.errors[i] == 0) continue;
        call.errors[i] = v.errors[i];
        call.set_null(i);
      }
    }
  }
  values_[id] = {call.out, kept(node, call.own_valid != nullptr ? call.own_valid : call.valid, rows), call.errors, 1};
}

Value ExprExecutor::gathered(const Value& v, DataType type, const std::uint32_t* selection, std::uint32_t n,
                             Arena* to) {
  if (v.stride == 0) return v;
  Value out;
  switch (value_width(type.kind)) {
    case 1: out.data = pick<std::uint8_t>(v.data, selection, n, scratch_, to); break;
    case 8: out.data = pick<std::uint64_t>(v.data, selection, n, scratch_, to); break;
    default:
      if (type.is_string_like())
        out.data = pick<std::string_view>(v.data, selection, n, scratch_, to);
      else
        out.data = pick<Decimal>(v.data, selection, n, scratch_, to);
  }
  if (v.valid != nullptr)
    out.valid = static_cast<const std::uint8_t*>(pick<std::uint8_t>(v.valid, selection, n, scratch_, to));
  if (v.errors != nullptr)
    out.errors = static_cast<const std::uint32_t*>(pick<std::uint32_t>(v.errors, selection, n, scratch_, to));
  return out;
}

Value ExprExecutor::run_branch(std::uint32_t group, NodeId arg, const std::uint32_t* selection, std::uint32_t n,
                               std::uint32_t rows) {
  if (n == rows) {
    run_group(group, rows);
    return values_[arg];
  }
  const auto& inputs = plan_.groups[group].inputs;
  std::vector<Value> saved;
  saved.reserve(inputs.size());
  for (NodeId in : inputs) {
    saved.push_back(values_[in]);
    values_[in] = gathered(values_[in], plan_.nodes[in].type, selection, n);
  }
  run_group(group, n);
  const Value result = values_[arg];
  for (std::size_t i = 0; i < inputs.size(); ++i) values_[inputs[i]] = saved[i];
  return result;
}

void ExprExecutor::run_logical(const ExprNode& node, NodeId id, std::uint32_t rows) {
  ++evaluations_;
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
