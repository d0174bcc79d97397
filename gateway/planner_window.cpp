#include <algorithm>

#include <fmt/format.h>

#include "engine/expr/aggregates.h"
#include "engine/operators/combine_rows.h"
#include "engine/operators/new_values.h"
#include "engine/operators/window_operator.h"
#include "engine/operators/window_spec.h"
#include "gateway/planner.h"

namespace twinspan::gateway {

using engine::AstPtr;
using engine::Target;

namespace {

std::string function_names() {
  std::vector<std::string_view> names;
  for (const engine::AggregateInfo& info : engine::aggregate_table()) names.push_back(info.name);
  for (const engine::AggregateInfo* info : engine::native_aggregates()) names.push_back(info->name);
  return fmt::format("{}", fmt::join(names, ", "));
}

engine::WindowKind kind_of(config::WindowKind kind) {
  switch (kind) {
    case config::WindowKind::tumbling: return engine::WindowKind::tumbling;
    case config::WindowKind::sliding: return engine::WindowKind::sliding;
    case config::WindowKind::session: return engine::WindowKind::session;
    case config::WindowKind::cumulate: return engine::WindowKind::cumulate;
    case config::WindowKind::global: return engine::WindowKind::global;
  }
  return engine::WindowKind::tumbling;
}

const char* name_of(engine::WindowKind kind) {
  switch (kind) {
    case engine::WindowKind::tumbling: return "tumbling window";
    case engine::WindowKind::sliding: return "sliding window";
    case engine::WindowKind::session: return "session window";
    case engine::WindowKind::cumulate: return "cumulate window";
    case engine::WindowKind::global: return "global window";
  }
  return "window";
}

engine::SkewSpec skew_of(const config::StepSpec& step) {
  using Kind = config::SplitKeys::Kind;
  if (!step.skew || step.skew->split_keys.value.kind == Kind::off) return {};
  const config::SplitKeys& keys = step.skew->split_keys.value;
  if (keys.kind == Kind::automatic) return {engine::SplitKeys::automatic, 0};
  return {engine::SplitKeys::most_frequent, static_cast<std::uint32_t>(keys.count)};
}

// A column of the projection before the window: equal expressions share one.
class InputColumns {
 public:
  int add(const std::string& name, AstPtr ast, const config::Text* text) {
    const std::string identity = engine::to_string(*ast);
    for (std::size_t i = 0; i < identities_.size(); ++i)
      if (identities_[i] == identity && (select[i].first == name || name.empty())) return static_cast<int>(i);
    select.emplace_back(name.empty() ? fmt::format("$arg{}", select.size()) : name, std::move(ast));
    texts.push_back(text);
    identities_.push_back(identity);
    return static_cast<int>(select.size() - 1);
  }
  std::vector<std::pair<std::string, AstPtr>> select;
  std::vector<const config::Text*> texts;

 private:
  std::vector<std::string> identities_;
};

}  // namespace

// Arguments of a native function become of the types it takes.
void Planner::convert_arguments(engine::AggregateCall& call, const config::Text& text, const engine::Scope& scope) {
  const engine::AggregateInfo& info = call.info();
  for (std::size_t i = 0; i < info.native_arguments.size(); ++i) {
    AstPtr& argument = i == 0 ? call.arg : call.more[i - 1];
    const DataType want = info.native_arguments[i];
    const auto have = engine::type_of(*argument, scope);
    if (!have.ok()) continue;  // told where its column is made
    const AstPtr converted = as_type(argument, *have, want);
    if (converted != nullptr)
      argument = converted;
    else
      diagnostics_.error_at(
          text, argument->offset, argument->length, "T0434",
          fmt::format("`{}` takes {} here, and this is {}", info.name, to_string(want), to_string(*have)),
          "expected " + std::string(info.signature));
  }
}

// A window step is three nodes: a projection of key, arguments and filters (`let` and `where` belong to it), the window
// itself (whose id is the step's: it has the state), and a projection of the results.
void Planner::plan_window(const std::string& id, const config::StepSpec& step) {
  const std::size_t before = diagnostics_.error_count();
  if (!step.from || step.from->ids.empty()) return;
  const auto source = input_stream(id, step.from->ids);
  if (!source) return;
  LetScope let(step.let, expressions_, diagnostics_);
  std::optional<config::Expression> where = step.where;
  const config::OnError on_error = config::effective_on_error(step.on_error, spec_);
  const auto input = add_dictionaries(id, *source, step, let, where, on_error);
  if (!input) return;
  const engine::Scope scope(*input->schema);
  InputColumns columns;
  const bool late_to_sink = step.late && step.late->then;
  // Late rows go out as they came in, so all columns stay when somebody wants them.
  if (late_to_sink) {
    for (const Field& f : source->schema->fields) {
      auto column = std::make_shared<engine::Ast>();
      column->kind = engine::AstKind::column;
      column->text = f.name;
      columns.add(f.name, column, &step.late->then.value());
    }
  }

  engine::WindowSpec spec;
  std::vector<std::string> key_names;
  for (const config::Expression& key : step.key) {
    AstPtr ast = parse(key, diagnostics_);
    if (ast == nullptr) continue;
    if (ast->kind != engine::AstKind::column) {
      diagnostics_.error(key.origin, "T0430", "a key has a name: a column, or one under let",
                         fmt::format("let: {{ k: \"{}\" }}, key: [k]", key.value));
      continue;
    }
    key_names.push_back(ast->text);
    spec.key_columns.push_back(columns.add(ast->text, let.expand(ast), &key));
  }

  std::vector<engine::AggregateCall> calls;
  std::vector<std::pair<std::string, AstPtr>> outer;
  std::vector<const config::Text*> outer_text;
  std::vector<const config::Text*> call_text;
  for (const auto& a : step.aggregate) {
    AstPtr ast = let.expand(parse(a.value, diagnostics_));
    if (ast == nullptr) continue;
    auto split = engine::split_aggregates(ast, calls);
    if (!split.ok()) {
      report(split.errors(), a.value, diagnostics_);
      continue;
    }
    if (!engine::has_aggregates(*ast)) {
      diagnostics_.error(a.value.origin, "T0431", fmt::format("'{}' has no aggregate", a.name.value),
                         "one of " + function_names());
      continue;
    }
    call_text.resize(calls.size(), &a.value);
    outer.emplace_back(a.name.value, std::move(split).value());
    outer_text.push_back(&a.value);
  }
  struct CallColumns {
    int argument, by, filter;
    std::vector<int> more;
  };
  std::vector<CallColumns> call_columns;
  for (std::size_t i = 0; i < calls.size(); ++i) {
    convert_arguments(calls[i], *call_text[i], scope);
    const auto add = [&](const AstPtr& ast) { return ast != nullptr ? columns.add("", ast, call_text[i]) : -1; };
    const int argument = add(calls[i].arg), by = add(calls[i].by);
    call_columns.push_back({argument, by, add(calls[i].filter), {}});
    for (const AstPtr& ast : calls[i].more) call_columns.back().more.push_back(add(ast));
  }
  if (columns.select.empty()) {  // count(*) without a key: rows without columns still are rows
    auto one = std::make_shared<engine::Ast>();
    one->kind = engine::AstKind::int_literal;
    one->number = 1;
    columns.add("$one", one, step.aggregate.empty() ? nullptr : &step.aggregate.entries[0].value);
  }
  if (diagnostics_.error_count() != before) return;

  const auto projected =
      add_transform(id + ".input", *input, scope, where, columns.select, columns.texts, false, let, on_error);
  if (!projected) return;
  const Schema& in = *projected->schema;
  for (std::size_t i = 0; i < spec.key_columns.size(); ++i) {
    spec.key_types.push_back(in.fields[static_cast<std::size_t>(spec.key_columns[i])].type);
    accept_key(spec.key_types.back(), step.key[i], diagnostics_);
  }

  spec.kind = kind_of(step.window->kind());
  spec.size = step.window->size().count();
  spec.offset = step.window->offset.value.count();
  spec.time_zone = step.window->timezone.value;
  spec.processing_time = step.window->time.value == config::WindowTime::processing;
  if (step.window->every) spec.every = step.window->every->value.count();
  if (step.emit && step.emit->every) {
    if (spec.kind == engine::WindowKind::cumulate && step.emit->every->count() != spec.every) {
      diagnostics_.error(step.window->origin(), "T0432",
                         "a cumulate window has results every step: emit.every is not another period");
    }
    if (spec.kind != engine::WindowKind::cumulate) spec.early = step.emit->every->count();
    if (step.emit->clock.value == config::EmitClock::wall) spec.early_clock = engine::EarlyClock::wall;
  }
  if (step.emit && step.emit->mode == config::EmitMode::discarding) spec.mode = engine::EmitMode::discarding;
  if (step.emit && step.emit->mode == config::EmitMode::retracting) spec.mode = engine::EmitMode::retracting;
  spec.updating = !input->append_only;
  spec.feeds_steps = feeds_steps(id);
  if (spec.feeds_steps && spec.mode == engine::EmitMode::discarding) {
    diagnostics_.error(step.from->ids[0].origin, "T0438",
                       fmt::format("'{}' is discarding, and a step reads its results as values", id),
                       "give the sink a window of its own, or use mode: accumulating");
  }
  if (step.late) spec.allow_lateness = step.late->allow.count();
  spec.skew = skew_of(step);
  std::vector<std::string> aggregate_names;
  for (std::size_t i = 0; i < calls.size(); ++i) {
    engine::AggregateSpec a;
    a.function = calls[i].info().function;
    if (a.function == engine::AggregateFunction::native) a.native = &calls[i].info();
    a.more_arguments = call_columns[i].more;
    for (const int c : a.more_arguments) a.more_types.push_back(in.fields[static_cast<std::size_t>(c)].type);
    a.distinct = calls[i].distinct;
    a.argument = call_columns[i].argument;
    if (a.argument >= 0) a.argument_type = in.fields[static_cast<std::size_t>(a.argument)].type;
    a.by = call_columns[i].by;
    if (a.by >= 0) a.by_type = in.fields[static_cast<std::size_t>(a.by)].type;
    a.parameters = calls[i].parameters;
    a.filter = call_columns[i].filter;
    if (a.filter >= 0 && in.fields[static_cast<std::size_t>(a.filter)].type.kind != TypeKind::boolean)
      diagnostics_.error_at(*call_text[i], calls[i].offset, calls[i].length, "T0433",
                            "FILTER (WHERE ...) needs a condition");
    if (auto type = engine::aggregate_type(calls[i], a.argument_type, a.by_type); !type)
      diagnostics_.error_at(*call_text[i], calls[i].offset, calls[i].length, "T0434", type.errors()[0].message,
                            type.errors()[0].hint);
    else if (spec.updating && !calls[i].info().retractable())
      diagnostics_.error_at(*call_text[i], calls[i].offset, calls[i].length, "T0437",
                            fmt::format("{} cannot take a value back, and '{}' changes its results later",
                                        calls[i].function, step.from->ids[0].value),
                            std::string(calls[i].info().not_retractable));
    const bool split = spec.skew.split != engine::SplitKeys::off;
    if (split && !calls[i].info().splittable())
      diagnostics_.error_at(*call_text[i], calls[i].offset, calls[i].length, "T0439",
                            fmt::format("skew cannot split {}: {}", calls[i].function, calls[i].info().not_splittable),
                            "give it a step of its own, or skew: { split_keys: off }");
    else if (split && a.function == engine::AggregateFunction::count && a.distinct && !spec.updating &&
             !engine::NewValues::not_splittable(spec.kind).empty())
      diagnostics_.error_at(*call_text[i], calls[i].offset, calls[i].length, "T0439",
                            fmt::format("skew cannot split count(DISTINCT) of a {}: {}", name_of(spec.kind),
                                        engine::NewValues::not_splittable(spec.kind)),
                            "give it a step of its own, or skew: { split_keys: off }");
    spec.aggregates.push_back(a);
    aggregate_names.push_back(fmt::format("$agg{}", i));
  }
  if (diagnostics_.error_count() != before) return;
  if (auto valid = engine::validate(spec); !valid) {
    const config::Origin& at = step.window->timezone.origin ? step.window->timezone.origin : step.window->origin();
    diagnostics_.error(at, "T0435", valid.error().message);
    return;
  }
  const auto schema = keep(engine::window_output_schema(spec, key_names, aggregate_names));

  const int late_terminal = late_to_sink ? sink_index(step.late->then->value) : -1;
  if (late_to_sink) plan_->sinks[static_cast<std::size_t>(late_terminal)].schema = *source->schema;
  StepInfo info{id, name_of(spec.kind)};
  Stream rows = *projected;
  const auto before_window = [&](engine::OperatorNode node, Target target) {
    target.index = add_node(std::move(node), on_error);
    connect(rows, target);
    rows = {false, target.index, rows.schema, rows.append_only};
  };
  const bool skew = spec.skew.split != engine::SplitKeys::off;
  engine::SplitDistinct split{spec, {}};
  if (skew && !spec.updating) split = engine::split_distinct(spec, in);
  for (std::size_t s = 0; s < split.stages.size(); ++s) {
    const auto call = std::find_if(call_columns.begin(), call_columns.end(),
                                   [&](const CallColumns& c) { return c.argument == split.column(s); });
    const auto number = static_cast<std::size_t>(call - call_columns.begin());
    engine::OperatorNode values;
    values.id = id + ".values" + (s == 0 ? "" : std::to_string(s + 1));
    values.make = [stage = split.stages[s]](unsigned, unsigned) { return std::make_unique<engine::NewValues>(stage); };
    values.late_terminal = late_terminal;
    const auto by =
        std::make_shared<engine::RowCodec>(std::vector<int>{split.column(s)}, std::vector<DataType>{split.type(s)});
    before_window(std::move(values), {Target::Kind::node, 0, 0, by, true});
    rows.schema = keep(split.stages[s].schema);
    info.value_nodes.emplace_back(rows.index, engine::to_string(*calls[number].arg));
  }
  if (skew) {
    engine::OperatorNode combine;
    combine.id = id + ".combine";
    combine.make = [window = split.counting, schema = rows.schema](unsigned, unsigned shards) {
      return std::make_unique<engine::CombineRows>(window, *schema, shards);
    };
    before_window(std::move(combine), {Target::Kind::node, 0, 0, nullptr, true});
    info.skew_node = static_cast<int>(rows.index);
  }
  engine::OperatorNode node;
  node.id = id;
  node.make = [window = split.counting, schema](unsigned shard, unsigned shards) {
    return engine::make_window(window, *schema, shard, shards);
  };
  node.late_terminal = late_terminal;
  const unsigned index = info.node = add_node(std::move(node), on_error);
  connect(rows, {Target::Kind::node, index, 0, std::make_shared<engine::RowCodec>(spec.key_columns, spec.key_types),
                 true, skew});
  plan_->steps.push_back(std::move(info));

  // Results: key, window_start, window_end, then the aggregates under the names the user gave; `select` picks and
  // renames.
  const Stream window{false, index, schema, false};
  std::vector<std::pair<std::string, AstPtr>> named;
  std::vector<const config::Text*> named_text;
  const auto column = [](const std::string& name) {
    auto ast = std::make_shared<engine::Ast>();
    ast->kind = engine::AstKind::column;
    ast->text = name;
    return AstPtr(ast);
  };
  static const config::Text nowhere;
  for (const std::string& k : key_names) named.emplace_back(k, column(k)), named_text.push_back(&nowhere);
  for (const char* w : {"window_start", "window_end"}) named.emplace_back(w, column(w)), named_text.push_back(&nowhere);
  for (std::size_t i = 0; i < outer.size(); ++i) named.push_back(outer[i]), named_text.push_back(outer_text[i]);
  const LetScope no_let({}, expressions_, diagnostics_);
  auto out = add_transform(id + ".output", window, engine::Scope(*schema), std::nullopt, named, named_text, false,
                           no_let, on_error);
  if (!out) return;
  if (!step.select.empty()) {
    std::vector<std::pair<std::string, AstPtr>> select;
    std::vector<const config::Text*> select_text;
    for (const auto& s : step.select) {
      select.emplace_back(s.name.value, parse(s.value, diagnostics_));
      select_text.push_back(&s.value);
    }
    out = add_transform(id + ".select", *out, engine::Scope(*out->schema), std::nullopt, select, select_text, false,
                        no_let, on_error);
    if (!out) return;
  }
  streams_[id] = *out;
}

}  // namespace twinspan::gateway
