#include "gateway/planner.h"

#include <algorithm>

#include <fmt/format.h>

#include "engine/operators/transform.h"

namespace twinspan::gateway {

using engine::AstPtr;
using engine::Target;

std::unique_ptr<Plan> make_plan(const config::PipelineSpec& spec, config::Diagnostics& diagnostics) {
  return Planner(spec, diagnostics).run();
}

std::unique_ptr<Plan> Planner::run() {
  plan_ = std::make_unique<Plan>();
  plan_->name = spec_.name.value;
  plan_->spec = &spec_;
  for (const auto& sink : spec_.sinks) plan_->graph.terminals.push_back(sink.name.value);
  plan_->sinks.resize(spec_.sinks.size());
  for (const auto& source : spec_.sources) plan_source(source.name.value, source.value);
  if (!order_steps()) return nullptr;
  for (const auto* step : order_) {
    plan_step(step->name.value, step->value);
    const auto out = streams_.find(step->name.value);
    for (StepInfo& info : plan_->steps) {
      if (info.id != step->name.value || out == streams_.end()) continue;
      info.schema = out->second.schema;
      info.append_only = out->second.append_only;
    }
  }
  for (const auto& sink : spec_.sinks) plan_sink(sink.name.value, sink.value);
  plan_budgets();
  if (diagnostics_.error_count() != errors_before_) return nullptr;
  return std::move(plan_);
}

void Planner::Needed::add(const std::set<std::pair<std::string, std::string>>& columns,
                          const std::string& only_qualifier) {
  for (const auto& [qualifier, name] : columns)
    if (only_qualifier.empty() || qualifier.empty() || qualifier == only_qualifier) names.insert(name);
}

bool Planner::order_steps() {
  // config/ has refused cycles and unknown names; what is left is to put inputs first.
  std::set<std::string> done;
  for (const auto& source : spec_.sources) done.insert(source.name.value);
  while (order_.size() < spec_.steps.size()) {
    bool progress = false;
    for (const auto& step : spec_.steps) {
      if (done.count(step.name.value) > 0) continue;
      const auto inputs = step.value.inputs();
      // An input that does not exist has been reported; it keeps nobody waiting.
      const auto ready = [&](const config::Id* i) {
        return done.count(i->value) > 0 || spec_.steps.find(i->value) == nullptr;
      };
      if (!std::all_of(inputs.begin(), inputs.end(), ready)) continue;
      order_.push_back(&step);
      done.insert(step.name.value);
      progress = true;
    }
    if (!progress) return false;
  }
  return true;
}

Planner::Needed Planner::needed_of(const std::string& id) const {
  Needed out;
  config::Diagnostics ignored;  // parse errors are reported where the expression is bound
  const auto columns_of = [&](const config::Text& text) {
    std::set<std::pair<std::string, std::string>> columns;
    if (AstPtr ast = parse(text, ignored)) collect_columns(*ast, columns);
    return columns;
  };
  for (const auto& sink : spec_.sinks)
    if (sink.value.from && sink.value.from->value == id) out.all = true;
  for (const auto& entry : spec_.steps) {
    const config::StepSpec& step = entry.value;
    std::vector<std::string> qualifiers;
    if (step.interval_join) {
      if (step.interval_join->left.value == id) qualifiers.push_back("left");
      if (step.interval_join->right.value == id) qualifiers.push_back("right");
    } else {
      for (const config::Id* input : step.inputs())
        if (input->value == id) qualifiers.push_back("");
    }
    for (const std::string& q : qualifiers) {
      for (const auto& l : step.let) out.add(columns_of(l.value), q);
      if (step.where) out.add(columns_of(*step.where), q);
      for (const auto& s : step.select) out.add(columns_of(s.value), q);
      for (const auto& k : step.key) out.add(columns_of(k), q);
      for (const auto& a : step.aggregate) out.add(columns_of(a.value), q);
      if (step.unnest) out.add(columns_of(step.unnest->array), q);
      if (step.apply) out.add(columns_of(*step.apply), q);
      if (step.deduplicate)
        for (const auto& k : step.deduplicate->by) out.add(columns_of(k), q);
      if (step.interval_join) {
        for (const auto& k : step.interval_join->on) {
          if (q == "left") out.add(columns_of(k.left), q);
          if (q == "right") out.add(columns_of(k.right), q);
        }
        if (step.interval_join->where) out.add(columns_of(*step.interval_join->where), q);
        if (step.select.empty() || (step.late && step.late->then)) out.all = true;
      } else if (step.window) {
        if (step.late && step.late->then) out.all = true;
      } else if (step.late && step.late->then) {
        out.all = true;
      } else if (step.select.empty()) {
        const Needed after = needed_of(entry.name.value);
        out.all |= after.all;
        out.names.insert(after.names.begin(), after.names.end());
      }
    }
  }
  return out;
}

bool Planner::feeds_steps(const std::string& id) const {
  for (const auto& entry : spec_.steps) {
    const auto inputs = entry.value.inputs();
    if (std::none_of(inputs.begin(), inputs.end(), [&](const config::Id* i) { return i->value == id; })) continue;
    // A projection takes every row by itself; a filter may let one half of an update pass.
    const bool projection = entry.value.kind() == config::StepKind::transform && !entry.value.where;
    if (!projection || feeds_steps(entry.name.value)) return true;
  }
  return false;
}

std::shared_ptr<const Schema> Planner::keep(Schema schema) {
  plan_->schemas.push_back(std::make_shared<const Schema>(std::move(schema)));
  return plan_->schemas.back();
}

const Planner::Stream* Planner::find(const config::Id& id) const {
  auto it = streams_.find(id.value);
  return it == streams_.end() ? nullptr : &it->second;  // missing: its own errors have been reported
}

int Planner::sink_index(const std::string& id) const {
  const auto& names = plan_->graph.terminals;
  const auto it = std::find(names.begin(), names.end(), id);
  return it == names.end() ? -1 : static_cast<int>(it - names.begin());
}

unsigned Planner::add_node(engine::OperatorNode node, config::OnError on_error) {
  plan_->graph.nodes.push_back(std::move(node));
  plan_->node_on_error.push_back(on_error);
  return static_cast<unsigned>(plan_->graph.nodes.size() - 1);
}

std::size_t Planner::readers(const std::string& id) const {
  std::size_t n = 0;
  for (const auto& step : spec_.steps)
    for (const config::Id* input : step.value.inputs()) n += input->value == id;
  for (const auto& sink : spec_.sinks) n += sink.value.from && sink.value.from->value == id;
  return n;
}

void Planner::connect(const Stream& from, Target target) {
  if (!from.source) {
    const auto t = transforms_.find(from.index);
    TS_CHECK(t == transforms_.end() || from.stage + 1 == t->second->steps.size());  // else it is no end of the node
  }
  auto& out = from.source ? plan_->graph.sources[from.index].out : plan_->graph.nodes[from.index].out;
  out.push_back(std::move(target));
}

void Planner::plan_source(const std::string& id, const config::SourceSpec& source) {
  SourcePlan plan;
  plan.id = id;
  plan.spec = &source;
  const Needed needed = needed_of(id);
  const std::string* time_field = source.event_time.field ? &source.event_time.field->value : nullptr;
  bool time_found = false;
  for (const auto& field : source.fields) {
    TypeError error;
    const auto type = parse_type(field.value.value, &error);
    if (!type) {
      diagnostics_.error_at(field.value, error.offset, error.length, "T0410", error.message,
                            "types: bool, int64, float64, decimal(p,s), string, bytes, timestamp, timestamp_ms, "
                            "timestamp_s, duration, json, array<..>, map<string, ..>, row<name type, ..>");
      continue;
    }
    const bool is_time = time_field != nullptr && *time_field == field.name.value;
    if (is_time) {
      time_found = true;
      if (type->kind != TypeKind::timestamp && type->kind != TypeKind::int64) {
        diagnostics_.error(source.event_time.field->origin, "T0411",
                           fmt::format("event time field '{}' is {}, not a timestamp", *time_field, to_string(*type)));
        continue;
      }
    }
    if (!needed.all && needed.names.count(field.name.value) == 0 && !is_time) continue;
    connectors::JsonField f{field.name.value, *type, connectors::JsonField::Wire::millis};
    if (type->kind == TypeKind::timestamp) {
      if (field.value.value.ends_with("_s") || field.value.value.ends_with("_S"))
        f.wire = connectors::JsonField::Wire::seconds;
      else if (!field.value.value.ends_with("_ms") && !field.value.value.ends_with("_MS"))
        f.wire = connectors::JsonField::Wire::iso8601;
    }
    if (is_time) plan.decoder.event_time_field = static_cast<int>(plan.decoder.fields.size());
    plan.decoder.fields.push_back(std::move(f));
  }
  if (time_field != nullptr && !time_found && source.fields.find(*time_field) == nullptr)
    diagnostics_.error(source.event_time.field->origin, "T0412",
                       fmt::format("event time field '{}' is not among the fields", *time_field),
                       engine::nearest_name(*time_field, source.fields.names()));
  for (const auto meta :
       {connectors::MetaColumn::key, connectors::MetaColumn::timestamp, connectors::MetaColumn::cluster,
        connectors::MetaColumn::topic, connectors::MetaColumn::partition, connectors::MetaColumn::offset})
    if (needed.names.count(connectors::column_name(meta)) > 0) plan.decoder.meta.push_back(meta);
  for (const auto& f : plan.decoder.fields) plan.schema.fields.push_back({f.name, f.type});
  for (const auto m : plan.decoder.meta)
    plan.schema.fields.push_back({connectors::column_name(m), connectors::column_type(m)});
  plan.watermarks.out_of_order_ms = source.event_time.out_of_order.count();
  plan.watermarks.idle_after_ms = source.event_time.idle_after.count();
  plan.watermarks.advance_when_all_idle = source.event_time.when_idle == config::WhenIdle::advance;
  plan.watermarks.hold_ms = source.on_cluster_down.hold_watermark.count();
  plan.watermarks.merge_backlog = source.on_cluster_down.late_backlog == config::LateBacklog::merge;
  plan.watermarks.outage_budget_ms = source.outage_state.for_time.count();
  plan.on_error = config::effective_on_error(source.format.on_error, spec_);

  plan_->graph.sources.push_back({id, {}});
  streams_[id] = {true, static_cast<unsigned>(plan_->graph.sources.size() - 1), keep(plan.schema), true};
  plan_->sources.push_back(std::move(plan));
}

bool Planner::rows_stay(const Stream& input, const config::Id& named, std::string code, std::string_view who,
                        std::string hint) {
  if (input.append_only) return true;
  diagnostics_.error(named.origin, std::move(code),
                     fmt::format("'{}' changes its results later; {} needs rows that stay", named.value, who),
                     std::move(hint));
  return false;
}

std::optional<Planner::Stream> Planner::input_stream(const std::string& node_id, const std::vector<config::Id>& ids) {
  if (ids.size() == 1) {
    const Stream* s = find(ids[0]);
    if (s == nullptr) return std::nullopt;
    Stream out = *s;
    out.shared = readers(ids[0].value) > 1;
    return out;
  }
  std::vector<const Stream*> inputs;
  for (const config::Id& id : ids) {
    const Stream* s = find(id);
    if (s == nullptr) return std::nullopt;
    if (!inputs.empty() && s->schema->fields != inputs[0]->schema->fields) {
      diagnostics_.error(id.origin, "T0413",
                         fmt::format("'{}' and '{}' have different columns", ids[0].value, id.value),
                         "a union needs the same names and types in the same order: give each a select");
      return std::nullopt;
    }
    inputs.push_back(s);
  }
  const Schema schema = *inputs[0]->schema;
  const auto n = static_cast<unsigned>(inputs.size());
  engine::OperatorNode node;
  node.id = node_id + ".union";
  node.inputs = n;
  node.make = [schema, n](unsigned, unsigned) { return std::make_unique<engine::Union>(n, schema); };
  const bool append_only = std::all_of(inputs.begin(), inputs.end(), [](const Stream* s) { return s->append_only; });
  const unsigned index = add_node(std::move(node), config::OnError::fail);
  for (unsigned i = 0; i < n; ++i) connect(*inputs[i], {Target::Kind::node, index, i, nullptr, true});
  return Stream{false, index, keep(schema), append_only};
}

std::optional<Planner::Stream> Planner::add_transform(const std::string& node_id, const Stream& input,
                                                      const engine::Scope& scope,
                                                      const std::optional<config::Expression>& where,
                                                      const std::vector<std::pair<std::string, AstPtr>>& select,
                                                      const std::vector<const config::Text*>& select_text,
                                                      bool identity, const LetScope& let, config::OnError on_error) {
  static constexpr std::size_t kMaxStages = 32;
  const std::size_t before = diagnostics_.error_count();
  const auto upstream = input.source || input.shared ? transforms_.end() : transforms_.find(input.index);
  const bool joins = upstream != transforms_.end() && upstream->second->steps.size() < kMaxStages;
  auto plan =
      joins ? std::make_unique<TransformPlan>(*upstream->second) : std::make_unique<TransformPlan>(*input.schema);
  plan->chain.scope(scope);
  if (where) {
    if (AstPtr ast = let.expand(parse(*where, diagnostics_))) {
      if (const engine::ExprErrors errors = plan->chain.where(*ast); !errors.empty())
        report(errors, *where, diagnostics_);
    }
  }
  if (identity) plan->chain.keep_all();
  for (std::size_t i = 0; i < select.size() && !identity; ++i) {
    if (select[i].second == nullptr) continue;
    const auto type = plan->chain.select(select[i].first, *select[i].second);
    if (!type.ok()) {
      report(type.errors(), *select_text[i], diagnostics_);
    } else if (type->kind == TypeKind::null) {
      diagnostics_.error(select_text[i]->origin, "T0414", fmt::format("'{}' is NULL without a type", select[i].first),
                         "write CAST(NULL AS string), or another type");
    }
  }
  if (diagnostics_.error_count() != before) return std::nullopt;
  plan->chain.end_stage();
  plan->steps.push_back(node_id);
  engine::TransformSpec t{plan->chain.build(), plan->chain.output(), plan->steps};
  const auto schema = keep(t.output);
  unsigned index = input.index;
  if (joins) {
    plan_->stage_on_error.emplace_back(node_id, on_error);
  } else {
    engine::OperatorNode node;
    node.id = node_id;
    index = add_node(std::move(node), on_error);
    connect(input, {Target::Kind::node, index, 0, nullptr, true});
  }
  engine::OperatorNode& node = plan_->graph.nodes[index];
  node.steps = plan->steps;
  node.program = t.program.explain();
  node.shared = t.program.shared();
  node.make = [t](unsigned, unsigned) { return std::make_unique<engine::Transform>(t); };
  Stream out{false, index, schema, input.append_only};
  out.stage = static_cast<unsigned>(plan->steps.size() - 1);
  transforms_[index] = std::move(plan);
  return out;
}

void Planner::plan_step(const std::string& id, const config::StepSpec& step) {
  switch (step.kind()) {
    case config::StepKind::transform: return plan_transform(id, step);
    case config::StepKind::interval_join: return plan_join(id, step);
    case config::StepKind::window: return plan_window(id, step);
    case config::StepKind::window_function: return plan_window_function(id, step);
    case config::StepKind::unnest: return plan_unnest(id, step);
    case config::StepKind::deduplicate: return plan_deduplicate(id, step);
  }
}

void Planner::plan_transform(const std::string& id, const config::StepSpec& step) {
  if (!step.from || step.from->ids.empty()) return;
  const auto source = input_stream(id, step.from->ids);
  if (!source) return;
  LetScope let(step.let, expressions_, diagnostics_);
  std::optional<config::Expression> where = step.where;
  const config::OnError on_error = config::effective_on_error(step.on_error, spec_);
  const auto input = add_dictionaries(id, *source, step, let, where, on_error);
  if (!input) return;
  std::vector<std::pair<std::string, AstPtr>> select;
  std::vector<const config::Text*> text;
  for (const auto& s : step.select) {
    select.emplace_back(s.name.value, let.expand(parse(s.value, diagnostics_)));
    text.push_back(&s.value);
  }
  if (step.select.empty() && input->schema->fields.size() !=
                                 source->schema->fields.size()) {  // all columns, but not those of the dictionaries
    for (const Field& f : source->schema->fields) select.emplace_back(f.name, column_ast(f.name));
    text.resize(select.size(), &step.from->ids[0]);
  }
  auto out =
      add_transform(id, *input, engine::Scope(*input->schema), where, select, text, select.empty(), let, on_error);
  if (!out) return;
  streams_[id] = *out;
  plan_->steps.push_back({id, step.select.empty() ? "filter" : "project", out->index, static_cast<int>(out->stage)});
}

void Planner::plan_sink(const std::string& id, const config::SinkSpec& sink) {
  SinkPlan& plan = plan_->sinks[static_cast<std::size_t>(sink_index(id))];
  plan.id = id;
  plan.spec = &sink;
  Schema input;
  if (sink.from) {
    const Stream* s = find(*sink.from);
    if (s == nullptr) return;
    input = *s->schema;
    plan.schema = input;
    connect(*s, {Target::Kind::terminal, static_cast<unsigned>(sink_index(id)), 0, nullptr, true});
  } else if (plan.schema.fields.empty()) {
    return;  // the step whose late rows come here had errors
  } else {
    input = plan.schema;  // set by the window step that names this sink
  }
  engine::ProgramBuilder builder(engine::Scope{input});
  const auto add = [&](const config::Expression& text) {
    AstPtr ast = parse(text, diagnostics_);
    if (ast == nullptr) return;
    auto slot = builder.add(*ast, types::string);
    if (!slot.ok()) report(slot.errors(), text, diagnostics_);
  };
  if (sink.key) {
    plan.has_key = true;
    add(*sink.key);
  }
  for (const auto& h : sink.headers) {
    plan.headers.push_back(h.name.value);
    add(h.value);
  }
  plan.expressions = builder.build();
}

}  // namespace twinspan::gateway
