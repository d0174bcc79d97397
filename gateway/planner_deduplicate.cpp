#include <fmt/format.h>

#include "engine/operators/deduplicate.h"
#include "gateway/planner.h"

namespace twinspan::gateway {

using engine::AstPtr;
using engine::Target;

// Up to three nodes: `where`, and what is computed for `by` (only if there is either); the operator, whose id is the
// step's; `select` on the rows that pass (also to drop what was computed for `by`).
void Planner::plan_deduplicate(const std::string& id, const config::StepSpec& step) {
  const std::size_t before = diagnostics_.error_count();
  if (!step.from || step.from->ids.empty()) return;
  const auto source = input_stream(id, step.from->ids);
  if (!source) return;
  if (!rows_stay(*source, step.from->ids[0], "T0452", "deduplicate", "deduplicate before the window")) return;
  LetScope let(step.let, expressions_, diagnostics_);
  std::optional<config::Expression> where = step.where;
  const config::OnError on_error = config::effective_on_error(step.on_error, spec_);
  const auto input = add_dictionaries(id, *source, step, let, where, on_error);
  if (!input) return;

  engine::DeduplicateSpec spec;
  std::vector<std::pair<std::string, AstPtr>> columns;
  std::vector<const config::Text*> texts;
  for (const Field& f : input->schema->fields) columns.emplace_back(f.name, column_ast(f.name));
  texts.resize(columns.size(), &step.from->ids[0]);
  for (const config::Expression& by : step.deduplicate->by) {
    AstPtr ast = parse(by, diagnostics_);
    if (ast == nullptr) continue;
    if (ast->kind != engine::AstKind::column) {
      diagnostics_.error(by.origin, "T0451", "what makes rows equal has a name: a column, or one under let",
                         fmt::format("let: {{ k: \"{}\" }}, deduplicate: {{ by: [k], ... }}", by.value));
      continue;
    }
    const int plain = let.has(ast->text) ? -1 : input->schema->index_of(ast->text);
    spec.key_columns.push_back(plain >= 0 ? plain : static_cast<int>(columns.size()));
    if (plain >= 0) continue;
    columns.emplace_back(fmt::format("$by{}", columns.size()), let.expand(ast));
    texts.push_back(&by);
  }
  if (diagnostics_.error_count() != before) return;
  std::optional<Stream> rows = *input;
  const bool computed = columns.size() > input->schema->fields.size();
  if (where || computed) {
    if (!computed) columns.clear(), texts.clear();
    rows = add_transform(id + ".input", *input, engine::Scope(*input->schema), where, columns, texts, !computed, let,
                         on_error);
    if (!rows) return;
  }
  spec.schema = *rows->schema;
  for (std::size_t i = 0; i < spec.key_columns.size(); ++i) {
    spec.key_types.push_back(spec.schema.fields[static_cast<std::size_t>(spec.key_columns[i])].type);
    accept_key(spec.key_types.back(), step.deduplicate->by[i], diagnostics_);
  }
  if (diagnostics_.error_count() != before) return;
  spec.within = step.deduplicate->within.value.count();
  if (step.late) spec.allow_lateness = step.late->allow.count();

  engine::OperatorNode node;
  node.id = id;
  node.make = [spec](unsigned, unsigned) { return std::make_unique<engine::Deduplicate>(spec); };
  if (step.late && step.late->then) {
    node.late_terminal = sink_index(step.late->then->value);
    plan_->sinks[static_cast<std::size_t>(node.late_terminal)].schema = *source->schema;
  }
  const unsigned index = add_node(std::move(node), on_error);
  connect(*rows,
          {Target::Kind::node, index, 0, std::make_shared<engine::RowCodec>(spec.key_columns, spec.key_types), true});
  plan_->steps.push_back({id, "deduplicate", index});
  Stream out{false, index, keep(spec.schema), true};

  std::vector<std::pair<std::string, AstPtr>> select;
  std::vector<const config::Text*> select_text;
  for (const auto& s : step.select) {
    select.emplace_back(s.name.value, let.expand(parse(s.value, diagnostics_)));
    select_text.push_back(&s.value);
  }
  if (step.select.empty() && out.schema->fields.size() > source->schema->fields.size()) {
    for (const Field& f : source->schema->fields) select.emplace_back(f.name, column_ast(f.name));
    select_text.resize(select.size(), &step.from->ids[0]);
  }
  if (!select.empty()) {
    const auto selected = add_transform(id + ".select", out, engine::Scope(*out.schema), std::nullopt, select,
                                        select_text, false, let, on_error);
    if (!selected) return;
    out = *selected;
  }
  streams_[id] = out;
}

}  // namespace twinspan::gateway
