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

}  // namespace twinspan::engine
