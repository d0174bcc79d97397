#include <algorithm>

#include <fmt/format.h>

#include "engine/native/native_module.h"
#include "engine/native/native_scalar.h"
#include "engine/native/native_window.h"
#include "gateway/planner.h"

namespace twinspan::gateway {

using engine::AstKind;
using engine::AstPtr;
using engine::Target;

// A window with `apply`: a projection of key and arguments (`let` and `where` belong to it), the function's operator
// (whose id is the step's), and the step's `select` on the rows that the function gives.
void Planner::plan_window_function(const std::string& id, const config::StepSpec& step) {
  const std::size_t before = diagnostics_.error_count();
  if (!step.from || step.from->ids.empty()) return;
  const auto source = input_stream(id, step.from->ids);
  if (!source) return;
  if (!rows_stay(*source, step.from->ids[0], "T0453", "a window function")) return;
  const config::Expression& apply = *step.apply;
  LetScope let(step.let, expressions_, diagnostics_);
  std::optional<config::Expression> where = step.where;
  const config::OnError on_error = config::effective_on_error(step.on_error, spec_);
  const auto input = add_dictionaries(id, *source, step, let, where, on_error);
  if (!input) return;
  const engine::Scope scope(*input->schema);

  AstPtr call = let.expand(parse(apply, diagnostics_));
  if (call == nullptr) return;
  const auto refuse = [&](std::string message, std::string hint = {}) {
    diagnostics_.error_at(apply, call->offset, call->length, "T0454", std::move(message), std::move(hint));
  };
  if (call->kind != AstKind::call || call->star || call->distinct || call->filter != nullptr) {
    refuse("`apply` is a call of a window function", "apply: module.function(column, ...)");
    return;
  }
  const std::vector<engine::NativeWindowFunction> known = engine::native_window_functions();
  const auto found = std::find_if(known.begin(), known.end(), [&](const auto& f) { return f.name == call->text; });
  if (found == known.end()) {
    std::vector<std::string> names;
    for (const auto& f : known) names.push_back(f.name);
    const std::string near = engine::nearest_name(call->text, names);
    refuse(fmt::format("unknown window function `{}`", call->text),
           near.empty() ? "native functions come from the directory of the service file (-c)"
                        : fmt::format("did you mean `{}`?", near));
    return;
  }
  const ts_window_function* function = found->function;
  if (call->children.size() != function->arg_count) {
    refuse(fmt::format("`{}` does not take {} arguments", call->text, call->children.size()),
           "expected " + found->signature);
    return;
  }

  engine::NativeWindowSpec spec;
  spec.function = function;
  std::vector<std::pair<std::string, AstPtr>> columns;
  std::vector<const config::Text*> texts;
  const auto add = [&](std::string name, AstPtr ast, const config::Text* text) {
    columns.emplace_back(std::move(name), std::move(ast));
    texts.push_back(text);
    return static_cast<int>(columns.size() - 1);
  };
  const bool late_to_sink = step.late && step.late->then;
  if (late_to_sink)  // late rows go out as they came in
    for (const Field& f : source->schema->fields) add(f.name, column_ast(f.name), &step.late->then.value());
  std::vector<std::string> key_names;
  for (const config::Expression& key : step.key) {
    AstPtr ast = parse(key, diagnostics_);
    if (ast == nullptr) continue;
    if (ast->kind != AstKind::column) {
      diagnostics_.error(key.origin, "T0430", "a key has a name: a column, or one under let",
                         fmt::format("let: {{ k: \"{}\" }}, key: [k]", key.value));
      continue;
    }
    key_names.push_back(ast->text);
    spec.key_columns.push_back(add(fmt::format("$key{}", columns.size()), let.expand(ast), &key));
  }
  for (std::uint32_t a = 0; a < function->arg_count; ++a) {
    const AstPtr& child = call->children[a];
    const DataType want = engine::native_type(function->args[a]);
    const auto have = engine::type_of(*child, scope);
    if (!have.ok()) {
      report(have.errors(), apply, diagnostics_);
      continue;
    }
    AstPtr argument = as_type(child, *have, want);
    if (argument == nullptr) {
      diagnostics_.error_at(
          apply, child->offset, child->length, "T0454",
          fmt::format("`{}` takes {} here, and this is {}", call->text, to_string(want), to_string(*have)),
          "expected " + found->signature);
      continue;
    }
    spec.argument_columns.push_back(add(fmt::format("$arg{}", columns.size()), std::move(argument), &apply));
    spec.argument_types.push_back(want);
  }
  if (diagnostics_.error_count() != before) return;
  const auto rows = add_transform(id + ".input", *input, scope, where, columns, texts, false, let, on_error);
  if (!rows) return;
  for (std::size_t k = 0; k < key_names.size(); ++k) {
    const DataType type = rows->schema->fields[static_cast<std::size_t>(spec.key_columns[k])].type;
    spec.key_types.push_back(type);
    accept_key(type, step.key[k], diagnostics_);
    spec.schema.fields.push_back({key_names[k], type});
  }
  for (const char* w : {"window_start", "window_end"}) spec.schema.fields.push_back({w, types::timestamp});
  for (std::uint32_t c = 0; c < function->column_count; ++c)
    spec.schema.fields.push_back({function->columns[c].name, engine::native_type(function->columns[c].kind)});
  for (std::size_t i = 0; i < spec.schema.fields.size(); ++i)
    if (static_cast<std::size_t>(spec.schema.index_of(spec.schema.fields[i].name)) != i)
      refuse(fmt::format("the result has two columns '{}'", spec.schema.fields[i].name),
             "give the key another name under let");
  spec.size = step.window->size().count();
  spec.offset = step.window->offset->count();
  spec.time_zone = step.window->timezone.value;
  if (step.late) spec.allow_lateness = step.late->allow.count();
  if (auto calendar = engine::Calendar::make(spec.time_zone, spec.size, spec.offset); !calendar)
    diagnostics_.error(step.window->timezone.origin ? step.window->timezone.origin : step.window->tumbling->origin,
                       "T0435", calendar.error().message);
  if (diagnostics_.error_count() != before) return;

  const auto schema = keep(spec.schema);
  engine::OperatorNode node;
  node.id = id;
  node.make = [spec](unsigned, unsigned) { return std::make_unique<engine::NativeWindow>(spec); };
  if (late_to_sink) {
    node.late_terminal = sink_index(step.late->then->value);
    plan_->sinks[static_cast<std::size_t>(node.late_terminal)].schema = *source->schema;
  }
  const unsigned index = add_node(std::move(node), on_error);
  connect(*rows,
          {Target::Kind::node, index, 0, std::make_shared<engine::RowCodec>(spec.key_columns, spec.key_types), true});
  plan_->steps.push_back({id, "window", index});
  Stream out{false, index, schema, true};
  if (!step.select.empty()) {
    std::vector<std::pair<std::string, AstPtr>> select;
    std::vector<const config::Text*> select_text;
    for (const auto& s : step.select) {
      select.emplace_back(s.name.value, parse(s.value, diagnostics_));
      select_text.push_back(&s.value);
    }
    const LetScope no_let({}, expressions_, diagnostics_);
    const auto selected = add_transform(id + ".select", out, engine::Scope(*schema), std::nullopt, select, select_text,
                                        false, no_let, on_error);
    if (!selected) return;
    out = *selected;
  }
  streams_[id] = out;
}

}  // namespace twinspan::gateway
