#include "engine/expr/builder.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "engine/base/json_text.h"
#include "engine/base/result.h"

namespace twinspan::engine {

namespace {

constexpr std::uint8_t kNotValid = 0;

// NULL in every row. Its arguments matter for their errors alone, which the executor passes on.
void all_null(KernelCall& call) {
  std::memset(call.out, 0, call.rows * value_width(call.type.kind));
  for (std::uint32_t i = 0; i < call.rows; ++i) call.set_null(i);
}

}  // namespace

NodeId NodeBuilder::intern(ExprNode node, const std::string& key) {
  const auto found = known_.find(key);
  if (found != known_.end()) return found->second;
  const auto id = static_cast<NodeId>(nodes_.size());
  nodes_.push_back(std::move(node));
  known_.emplace(key, id);
  return id;
}

NodeId NodeBuilder::column(const ScopeColumn& c) {
  ExprNode n;
  n.kind = NodeKind::column;
  n.type = c.type;
  n.column = c.index;
  n.name = c.qualifier.empty() ? c.name : c.qualifier + "." + c.name;
  return intern(std::move(n), fmt::format("column {}", c.index));
}

NodeId NodeBuilder::constant(DataType type, const void* data, std::size_t size, const std::string& text) {
  ExprNode n;
  n.kind = NodeKind::constant;
  n.type = type;
  n.name = text;
  n.constant.stride = 0;
  void* copy = memory_->allocate(sizeof(Decimal), alignof(Decimal));
  std::memset(copy, 0, sizeof(Decimal));
  if (data != nullptr)
    std::memcpy(copy, data, size);
  else if (type.is_string_like())
    new (copy) std::string_view("");
  n.constant.data = copy;
  if (data == nullptr) n.constant.valid = &kNotValid;
  return intern(std::move(n), fmt::format("constant {} {}", to_string(type), text));
}

NodeId NodeBuilder::null(DataType type) { return constant(type, nullptr, 0, "NULL"); }
NodeId NodeBuilder::boolean(bool value) {
  const std::uint8_t v = value;
  return constant(types::boolean, &v, 1, value ? "TRUE" : "FALSE");
}
NodeId NodeBuilder::int64(std::int64_t value, DataType type) {
  return constant(type, &value, 8, std::to_string(value));
}
NodeId NodeBuilder::float64(double value) { return constant(types::float64, &value, 8, fmt::format("{}", value)); }
NodeId NodeBuilder::decimal(Decimal value, DataType type) {
  return constant(type, &value, sizeof value, decimal_to_string(value, type.scale));
}
NodeId NodeBuilder::string(std::string_view value) {
  const std::string_view kept = memory_->copy(value);
  return constant(types::string, &kept, sizeof kept, "'" + std::string(value) + "'");
}

NodeId NodeBuilder::kernel(std::string_view name, KernelChoice choice, std::vector<NodeId> args) {
  TS_CHECK(choice.run != nullptr);
  if (choice.strict && std::any_of(args.begin(), args.end(), [&](NodeId a) { return is_null(a); })) {
    // NULL, but an error of another argument is still one, as it is when the NULL comes from a column.
    std::erase_if(args, [&](NodeId a) { return is_constant(a) || nodes_[a].kind == NodeKind::column; });
    if (args.empty()) return null(choice.type);
    KernelChoice nothing;
    nothing.run = all_null;
    nothing.type = choice.type;
    nothing.strict = false;
    return kernel("null", std::move(nothing), std::move(args));
  }
  bool all_constant = true;
  std::string key =
      fmt::format("{} {} {} {} {}", name, to_string(choice.type), choice.params.a, choice.params.b, choice.params.c);
  for (NodeId a : args) {
    all_constant = all_constant && is_constant(a);
    key += fmt::format(" #{}", a);
  }
  if (const auto found = known_.find(key); found != known_.end()) return found->second;
  if (all_constant && !args.empty()) {
    // Computed now. What fails is left to fail on each row that needs it: it may stand in a branch that is never taken.
    std::vector<Value> values;
    for (NodeId a : args) values.push_back(nodes_[a].constant);
    Scratch scratch;
    std::vector<std::string> messages;
    alignas(Decimal) char out[sizeof(Decimal)] = {};
    KernelCall call{values.data(),
                    static_cast<std::uint32_t>(values.size()),
                    1,
                    out,
                    nullptr,
                    &choice.params,
                    choice.type,
                    memory_.get(),
                    &scratch,
                    &messages};
    if (choice.reuses_arg)
      std::memcpy(out, values[0].data, value_width(choice.type.kind));
    else
      choice.run(call);
    if (call.errors == nullptr) {
      NodeId id = 0;
      if (call.own_valid != nullptr && call.own_valid[0] == 0)
        id = null(choice.type);
      else
        id = constant(choice.type, out, value_width(choice.type.kind), "folded " + key);
      if (nodes_[id].name.starts_with("folded ")) {
        const auto& v = nodes_[id].constant;
        std::string text = key;
        switch (choice.type.kind) {
          case TypeKind::boolean: text = v.at<std::uint8_t>(0) != 0 ? "TRUE" : "FALSE"; break;
          case TypeKind::float64: text = fmt::format("{}", v.at<double>(0)); break;
          case TypeKind::decimal: text = decimal_to_string(v.at<Decimal>(0), choice.type.scale); break;
          case TypeKind::string:
          case TypeKind::bytes: text = fmt::format("'{}'", v.at<std::string_view>(0)); break;
          case TypeKind::array:
          case TypeKind::map:
          case TypeKind::row:
          case TypeKind::json:
            text.clear();
            append_json(choice.type, v.data, JsonTimestamps::iso8601, text);
            break;
          default: text = std::to_string(v.at<std::int64_t>(0));
        }
        // Under the name a literal would have, so that 1 + 1 and 2 are one node.
        const bool packed = choice.type.kind >= TypeKind::array;  // shown shortened: NaN and NULL are both null
        const std::string literal = fmt::format("constant {} {}", to_string(choice.type),
                                                packed ? std::string(v.at<std::string_view>(0)) : text);
        if (const auto same = known_.find(literal); same != known_.end())
          id = same->second;
        else
          known_.emplace(literal, id);
        nodes_[id].name = text;
      }
      known_.emplace(key, id);
      return id;
    }
  }
  ExprNode n;
  n.kind = NodeKind::kernel;
  n.type = choice.type;
  n.name = name;
  n.args = std::move(args);
  n.kernel = std::move(choice);
  return intern(std::move(n), key);
}

NodeId NodeBuilder::logical(NodeKind kind, std::vector<NodeId> terms) {
  const bool conjunction = kind == NodeKind::logical_and;
  std::vector<NodeId> kept;
  std::string key = conjunction ? "and" : "or";
  for (NodeId t : terms) {
    if (is_constant(t) && !is_null(t)) {
      const bool value = nodes_[t].constant.at<std::uint8_t>(0) != 0;
      if (value != conjunction) return boolean(value);  // decides, whatever the others are
      continue;
    }
    if (std::find(kept.begin(), kept.end(), t) == kept.end()) kept.push_back(t);
  }
  if (kept.empty()) return boolean(conjunction);
  if (kept.size() == 1) return kept[0];
  for (NodeId t : kept) key += fmt::format(" #{}", t);
  ExprNode n;
  n.kind = kind;
  n.type = types::boolean;
  n.name = conjunction ? "and" : "or";
  n.args = std::move(kept);
  n.kernel.cost = 2;
  return intern(std::move(n), key);
}

NodeId NodeBuilder::case_when(std::vector<NodeId> args, DataType type) {
  std::vector<NodeId> kept;
  NodeId otherwise = args.back();
  for (std::size_t i = 0; i + 1 < args.size(); i += 2) {
    if (is_constant(args[i])) {
      if (is_null(args[i]) || nodes_[args[i]].constant.at<std::uint8_t>(0) == 0) continue;
      otherwise = args[i + 1];
      break;
    }
    kept.push_back(args[i]);
    kept.push_back(args[i + 1]);
  }
  if (kept.empty()) return otherwise;
  kept.push_back(otherwise);
  std::string key = "case " + to_string(type);
  for (NodeId a : kept) key += fmt::format(" #{}", a);
  ExprNode n;
  n.kind = NodeKind::case_when;
  n.type = type;
  n.name = "case";
  n.args = std::move(kept);
  n.kernel.cost = 4;
  return intern(std::move(n), key);
}

}  // namespace twinspan::engine
