#include <fmt/format.h>

#include "engine/operators/unnest.h"
#include "gateway/planner.h"

namespace twinspan::gateway {

using engine::AstPtr;
using engine::Target;

// Up to three nodes: `where`, and the array where it is computed (only if there is either); the operator, whose id is
// the step's; `select` on the rows that come out.
void Planner::plan_unnest(const std::string& id, const config::StepSpec& step) {
  const std::size_t before = diagnostics_.error_count();
  if (!step.from || step.from->ids.empty()) return;
  const config::UnnestSpec& unnest = *step.unnest;
  const auto source = input_stream(id, step.from->ids);
  if (!source) return;
  LetScope let(step.let, expressions_, diagnostics_);
  std::optional<config::Expression> where = step.where;
  const config::OnError on_error = config::effective_on_error(step.on_error, spec_);
  const auto input = add_dictionaries(id, *source, step, let, where, on_error);
  if (!input) return;
  const AstPtr array = let.expand(parse(unnest.array, diagnostics_));
  if (array == nullptr) return;
  const auto type = engine::type_of(*array, engine::Scope(*input->schema));
  if (!type.ok()) {
    report(type.errors(), unnest.array, diagnostics_);
    return;
  }
  if (type->kind != TypeKind::array) {
    diagnostics_.error(unnest.array.origin, "T0455",
                       fmt::format("unnest takes an array, and this is {}", to_string(*type)),
                       type->kind == TypeKind::json || type->kind == TypeKind::string
                           ? "declare the field as array<...>, or CAST(... AS array<...>)"
                           : "");
    return;
  }
  const bool plain = array->kind == engine::AstKind::column && input->schema->index_of(array->text) >= 0;
  if (!plain && !unnest.as) {
    diagnostics_.error(unnest.array.origin, "T0455", "an array that is computed needs a name for its elements",
                       "unnest: { array: ..., as: item }");
    return;
  }

  std::vector<std::pair<std::string, AstPtr>> columns;
  std::vector<const config::Text*> texts;
  if (!plain) {
    for (const Field& f : input->schema->fields) columns.emplace_back(f.name, column_ast(f.name));
    columns.emplace_back("$array", array);
    texts.resize(columns.size(), &unnest.array);
  }
  std::optional<Stream> rows = *input;
  if (where || !plain) {
    rows = add_transform(id + ".input", *input, engine::Scope(*input->schema), where, columns, texts, plain, let,
                         on_error);
    if (!rows) return;
  }

  engine::UnnestSpec spec;
  spec.schema = *rows->schema;
  spec.element = types::element(*type);
  spec.keep_empty = unnest.keep_empty;
  spec.column = plain ? rows->schema->index_of(array->text) : static_cast<int>(rows->schema->fields.size() - 1);
  const auto name_of = [&](const config::Id& name) {
    if (spec.schema.index_of(name.value) >= 0 && !name.value.empty())
      diagnostics_.error(name.origin, "T0455", fmt::format("there is a column '{}' already", name.value),
                         "choose another name");
    return name.value;
  };
  Field& place = spec.schema.fields[static_cast<std::size_t>(spec.column)];
  if (!plain || !unnest.as || unnest.as->value == place.name) {
    spec.into = spec.column;
    if (!plain) place.name = name_of(*unnest.as);
    place.type = spec.element;
  } else {
    spec.schema.fields.push_back({name_of(*unnest.as), spec.element});
  }
  if (unnest.ordinality) {
    spec.ordinal = true;
    spec.schema.fields.push_back({name_of(*unnest.ordinality), types::int64});
  }
  if (diagnostics_.error_count() != before) return;

  engine::OperatorNode node;
  node.id = id;
  node.make = [spec](unsigned, unsigned) { return std::make_unique<engine::Unnest>(spec); };
  const unsigned index = add_node(std::move(node), on_error);
  connect(*rows, {Target::Kind::node, index, 0, nullptr, true});
  plan_->steps.push_back({id, "unnest", index});
  Stream out{false, index, keep(spec.schema), source->append_only};

  std::vector<std::pair<std::string, AstPtr>> select;
  std::vector<const config::Text*> select_text;
  for (const auto& s : step.select) {
    select.emplace_back(s.name.value, let.expand(parse(s.value, diagnostics_)));
    select_text.push_back(&s.value);
  }
  if (select.empty() && input->schema->fields.size() !=
                            source->schema->fields.size()) {  // all columns, but not those of the dictionaries
    for (const Field& f : spec.schema.fields)
      if (!f.name.starts_with("$")) select.emplace_back(f.name, column_ast(f.name));
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
