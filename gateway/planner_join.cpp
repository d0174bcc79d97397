#include <algorithm>

#include <fmt/format.h>

#include "engine/operators/interval_join.h"
#include "gateway/planner.h"

namespace twinspan::gateway {

using engine::AstPtr;
using engine::IntervalJoinSpec;
using engine::Target;

namespace {

// What both sides of a key are converted to, so that equal keys are equal bytes; nullopt: they cannot be compared.
std::optional<DataType> common_key_type(DataType a, DataType b) {
  if (a == b) return a;
  if (a.kind == TypeKind::int64 && b.kind == TypeKind::decimal) return b;
  if (a.kind == TypeKind::decimal && b.kind == TypeKind::int64) return a;
  return std::nullopt;
}

IntervalJoinSpec::Type type_of(config::JoinType type) {
  using Type = IntervalJoinSpec::Type;
  switch (type) {
    case config::JoinType::inner: return Type::inner;
    case config::JoinType::left: return Type::left;
    case config::JoinType::right: return Type::right;
    case config::JoinType::full: return Type::full;
    case config::JoinType::semi: return Type::semi;
    case config::JoinType::anti: break;
  }
  return Type::anti;
}

IntervalJoinSpec::Matches matches_of(config::Matches matches) {
  using Matches = IntervalJoinSpec::Matches;
  switch (matches) {
    case config::Matches::all: return Matches::all;
    case config::Matches::first: return Matches::first;
    case config::Matches::earliest: break;
  }
  return Matches::earliest;
}

// Late rows of both inputs have one sink, so one schema: the side they came from, then the columns of left, then those
// that only right has.
void plan_late_rows(const config::StepSpec& step, const Schema& left, const Schema& right, IntervalJoinSpec& spec,
                    config::Diagnostics& diagnostics) {
  spec.late_schema.fields.push_back({"_side", types::string});
  for (int c = 0; c < static_cast<int>(left.fields.size()); ++c) {
    spec.late_schema.fields.push_back(left.fields[static_cast<std::size_t>(c)]);
    spec.late_columns.push_back({c, -1});
  }
  for (int c = 0; c < static_cast<int>(right.fields.size()); ++c) {
    const Field& field = right.fields[static_cast<std::size_t>(c)];
    const int same = left.index_of(field.name);
    if (same < 0) {
      spec.late_schema.fields.push_back(field);
      spec.late_columns.push_back({-1, c});
    } else if (left.fields[static_cast<std::size_t>(same)].type == field.type) {
      spec.late_columns[static_cast<std::size_t>(same)].right = c;
    } else {
      diagnostics.error(
          step.late->then->origin, "T0427",
          fmt::format("late rows of both sides go here, and '{}' is {} on the left, {} on the right", field.name,
                      to_string(left.fields[static_cast<std::size_t>(same)].type), to_string(field.type)),
          "give one of them another name in the step before");
    }
  }
}

// With slow_sources the lanes ahead are held first; what still comes then has to be kept somewhere.
std::uint64_t spill_above_of(const std::optional<config::MaxStateSpec>& budget, const config::StateSpec& state) {
  if (!budget || !budget->bytes || state.backend.value != config::StateBackend::rocksdb) return 0;
  switch (budget->when_full) {
    case config::WhenFull::spill: return *budget->bytes;
    case config::WhenFull::slow_sources: return *budget->bytes + *budget->bytes / 8;
    case config::WhenFull::shed: break;
  }
  return 0;
}

}  // namespace

// A join is up to four nodes: on each side a projection that computes key expressions (only if a key is not a plain
// column), the join itself (whose id is the step's: it has the state), and the step's own where and select.
void Planner::plan_join(const std::string& id, const config::StepSpec& step) {
  const config::IntervalJoinSpec& join = *step.interval_join;
  const std::size_t before = diagnostics_.error_count();
  const auto left = input_stream(id + ".left", {join.left});
  const auto right = input_stream(id + ".right", {join.right});
  if (!left || !right) return;
  for (const auto& [stream, at] : {std::pair(&*left, &join.left), std::pair(&*right, &join.right)})
    rows_stay(*stream, *at, "T0420", "an interval join", "join before the window");

  IntervalJoinSpec spec;
  spec.lower = join.between.lower.count();
  spec.upper = join.between.upper.count();
  spec.type = type_of(join.type.value);
  spec.matches = matches_of(join.matches.value);
  spec.time = join.time.value == config::JoinTime::right ? IntervalJoinSpec::Time::right : IntervalJoinSpec::Time::left;
  spec.provisional = step.unmatched.value == config::Unmatched::provisional;
  if (join.emit_unmatched_after) spec.emit_unmatched_after = join.emit_unmatched_after->value.count();
  if (step.late) spec.allow = step.late->allow.count();

  for (const config::JoinKey& key : join.on) {
    int column[2] = {-1, -1};
    const Stream* side[2] = {&*left, &*right};
    const config::Expression* text[2] = {&key.left, &key.right};
    for (int s = 0; s < 2; ++s) {
      AstPtr ast = parse(*text[s], diagnostics_);
      if (ast == nullptr) continue;
      if (ast->kind != engine::AstKind::column) {
        diagnostics_.error(text[s]->origin, "T0421", "a join key is a column",
                           "compute it in the step before, under a name of its own");
        continue;
      }
      column[s] = side[s]->schema->index_of(ast->text);
      if (column[s] < 0) {
        std::vector<std::string> names;
        for (const Field& f : side[s]->schema->fields) names.push_back(f.name);
        diagnostics_.error(
            text[s]->origin, "T0422",
            fmt::format("'{}' has no column '{}'", s == 0 ? join.left.value : join.right.value, ast->text),
            engine::nearest_name(ast->text, names));
      }
    }
    if (column[0] < 0 || column[1] < 0) continue;
    const DataType l = left->schema->fields[column[0]].type, r = right->schema->fields[column[1]].type;
    if (!accept_key(l, key.left, diagnostics_) || !accept_key(r, key.right, diagnostics_)) continue;
    if (!(l == r)) {
      const auto common = common_key_type(l, r);
      diagnostics_.error(key.right.origin, "T0423",
                         fmt::format("join keys have different types: {} and {}", to_string(l), to_string(r)),
                         common ? fmt::format("CAST one to {} in the step before", to_string(*common)) : "");
      continue;
    }
    spec.left.key.push_back(column[0]);
    spec.left.key_types.push_back(l);
    spec.right.key.push_back(column[1]);
    spec.right.key_types.push_back(r);
  }

  // Only the columns that somebody reads are kept in state.
  const LetScope let(step.let, expressions_, diagnostics_);
  std::vector<std::pair<std::string, AstPtr>> select;
  std::vector<const config::Text*> select_text;
  std::set<std::pair<std::string, std::string>> used;
  for (const auto& s : step.select) {
    AstPtr ast = let.expand(parse(s.value, diagnostics_));
    if (ast != nullptr) collect_columns(*ast, used);
    select.emplace_back(s.name.value, std::move(ast));
    select_text.push_back(&s.value);
  }
  const std::optional<config::Expression>& where = step.where;
  config::Diagnostics reported_later;
  if (where)
    if (AstPtr ast = let.expand(parse(*where, reported_later))) collect_columns(*ast, used);
  std::set<std::pair<std::string, std::string>> tested;
  const AstPtr condition = join.where ? let.expand(parse(*join.where, diagnostics_)) : nullptr;
  if (condition != nullptr) collect_columns(*condition, tested);
  const auto names = [](const std::set<std::pair<std::string, std::string>>& columns, const std::string& qualifier,
                        const std::string& name) {
    return columns.count({qualifier, name}) > 0 || columns.count({"", name}) > 0;
  };
  const auto keep_columns = [&](const Stream& stream, const std::string& qualifier, bool in_results,
                                IntervalJoinSpec::Side& side) {
    for (int c = 0; c < static_cast<int>(stream.schema->fields.size()); ++c) {
      const Field& f = stream.schema->fields[static_cast<std::size_t>(c)];
      const bool wanted = in_results && (step.select.empty() || names(used, qualifier, f.name));
      if (!wanted && !names(tested, qualifier, f.name)) continue;
      side.kept.push_back(c);
      side.kept_types.push_back(f.type);
      if (in_results) spec.schema.fields.push_back(f);
    }
  };
  keep_columns(*left, "left", true, spec.left);
  keep_columns(*right, "right", !join.left_only(), spec.right);
  if (condition != nullptr) {
    engine::Scope pair;
    int index = 0;
    for (const int c : spec.left.kept) {
      const Field& f = left->schema->fields[static_cast<std::size_t>(c)];
      pair.add("left", f.name, f.type, index++);
    }
    for (const int c : spec.right.kept) {
      const Field& f = right->schema->fields[static_cast<std::size_t>(c)];
      pair.add("right", f.name, f.type, index++);
    }
    auto predicate = engine::Predicate::compile(*condition, pair);
    if (predicate.ok())
      spec.where = std::move(predicate).value();
    else
      report(predicate.errors(), *join.where, diagnostics_);
  }
  if (step.select.empty()) {
    std::set<std::string> seen;
    for (const Field& f : spec.schema.fields)
      if (!seen.insert(f.name).second)
        diagnostics_.error(join.right.origin, "T0425", fmt::format("both sides have a column '{}'", f.name),
                           "add a select that names what you want");
  }
  if (step.late && step.late->then) plan_late_rows(step, *left->schema, *right->schema, spec, diagnostics_);
  if (diagnostics_.error_count() != before) return;

  engine::Scope scope;
  const std::size_t left_kept = spec.left.kept.size();
  for (std::size_t i = 0; i < spec.schema.fields.size(); ++i)
    scope.add(i < left_kept ? "left" : "right", spec.schema.fields[i].name, spec.schema.fields[i].type,
              static_cast<int>(i));

  engine::OperatorNode node;
  node.id = id;
  node.inputs = 2;
  if (step.late && step.late->then) {
    node.late_terminal = sink_index(step.late->then->value);
    plan_->sinks[static_cast<std::size_t>(node.late_terminal)].schema = spec.late_schema;
  }
  const std::uint64_t spill_above = spill_above_of(join.max_state ? join.max_state : step.max_state, spec_.state);
  node.make = [spec, spill_above](unsigned shard, unsigned shards) {
    IntervalJoinSpec mine = spec;
    mine.spill_bytes = static_cast<std::size_t>(spill_above / shards);
    return std::make_unique<engine::IntervalJoin>(std::move(mine), shard, shards);
  };
  const config::OnError on_error = config::effective_on_error(step.on_error, spec_);
  const auto schema = keep(spec.schema);
  const unsigned index = add_node(std::move(node), on_error);
  connect(*left,
          {Target::Kind::node, index, 0, std::make_shared<engine::RowCodec>(spec.left.key, spec.left.key_types), true});
  connect(*right, {Target::Kind::node, index, 1,
                   std::make_shared<engine::RowCodec>(spec.right.key, spec.right.key_types), true});
  plan_->steps.push_back({id, "interval_join", index});
  const bool takes_back = spec.provisional || spec.emit_unmatched_after;
  Stream out{false, index, schema, !takes_back};
  if (where || !step.select.empty()) {
    auto selected =
        add_transform(id + ".select", out, scope, where, select, select_text, step.select.empty(), let, on_error);
    if (!selected) return;
    out = *selected;
  }
  streams_[id] = out;
}

}  // namespace twinspan::gateway
