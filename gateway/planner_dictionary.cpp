// `dict_id('name', x)` in the expressions of a step. The call has state and needs an exchange by x, so it is a node of
// its own before the step; calls that are equal are one node, and calls that name one dictionary share it.

#include <fmt/format.h>

#include "engine/operators/dict_id.h"
#include "gateway/planner.h"

namespace twinspan::gateway {

using engine::Ast;
using engine::AstKind;
using engine::AstPtr;

namespace {

// Calls of dict_id below `ast`, the inner ones first.
void collect_calls(const AstPtr& ast, std::vector<AstPtr>& out) {
  for (const AstPtr& child : ast->children) collect_calls(child, out);
  if (ast->filter != nullptr) collect_calls(ast->filter, out);
  if (ast->kind == AstKind::call && ast->text == "dict_id") out.push_back(ast);
}

bool is_dictionary_name(const std::string& name) {
  if (name.empty() || name.size() > 64 || name[0] < 'a' || name[0] > 'z') return false;
  for (const char c : name)
    if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_') return false;
  return true;
}

}  // namespace

std::optional<Planner::Stream> Planner::add_dictionaries(const std::string& id, const Stream& input,
                                                         const config::StepSpec& step, LetScope& let,
                                                         std::optional<config::Expression>& where,
                                                         config::OnError on_error) {
  // What the step evaluates on its input's rows. Parse errors are reported where each is compiled.
  config::Diagnostics ignored;
  std::vector<std::pair<const config::Text*, AstPtr>> expressions;
  const auto evaluates = [&](const config::Text& text) {
    if (AstPtr ast = let.expand(parse(text, ignored))) expressions.emplace_back(&text, std::move(ast));
  };
  if (step.where) evaluates(*step.where);
  if (!step.window)
    for (const auto& s : step.select) evaluates(s.value);
  for (const config::Expression& k : step.key) evaluates(k);
  if (step.deduplicate)
    for (const config::Expression& k : step.deduplicate->by) evaluates(k);
  for (const auto& a : step.aggregate) evaluates(a.value);
  if (step.apply) evaluates(*step.apply);
  if (step.unnest) evaluates(step.unnest->array);

  std::set<std::string> used;
  bool in_where = false;
  std::vector<AstPtr> calls;
  for (const auto& [text, ast] : expressions) {
    calls.clear();
    collect_calls(ast, calls);
    for (const AstPtr& c : calls) used.insert(engine::to_string(*c));
    in_where |= !calls.empty() && step.where && text == &*step.where;
  }
  if (used.empty()) return input;
  // A call that comes out of a let is looked at there: that is where its offsets mean something.
  std::vector<std::pair<const config::Text*, AstPtr>> places;
  for (const auto& l : step.let)
    if (AstPtr ast = let.value_of(l.name.value)) places.emplace_back(&l.value, std::move(ast));
  places.insert(places.end(), expressions.begin(), expressions.end());

  const std::size_t before = diagnostics_.error_count();
  Stream stream = input;
  if (where && !in_where) {
    const auto kept =
        add_transform(id + ".where", stream, engine::Scope(*stream.schema), where, {}, {}, true, let, on_error);
    if (!kept) return std::nullopt;
    stream = *kept;
    where.reset();
  }
  std::set<std::string> refused;
  for (const auto& [text, ast] : places) {
    calls.clear();
    collect_calls(ast, calls);
    for (const AstPtr& c : calls) {
      if (!used.contains(engine::to_string(*c))) continue;
      const AstPtr call = let.replace_calls(c);
      if (call->kind == AstKind::column) continue;  // an equal one was before it
      const std::string canonical = engine::to_string(*call);
      if (!refused.insert(canonical).second) continue;
      const auto refuse = [&](std::string message, std::string hint = {}) {
        diagnostics_.error_at(*text, c->offset, c->length, "T0450", std::move(message), std::move(hint));
      };
      if (call->star || call->distinct || call->filter != nullptr || call->children.size() != 2 ||
          call->children[0]->kind != AstKind::string_literal) {
        refuse("`dict_id` takes the name of a dictionary and a value", "dict_id('devices', device_id)");
        continue;
      }
      const std::string name = call->children[0]->text;
      if (!is_dictionary_name(name)) {
        refuse(fmt::format("'{}' is no name for a dictionary", name), "a-z first, then a-z, 0-9 and _, at most 64");
        continue;
      }
      // The value as a column.
      int column = -1;
      const AstPtr& x = call->children[1];
      if (x->kind == AstKind::column && x->qualifier.empty()) column = stream.schema->index_of(x->text);
      if (column < 0) {
        std::vector<std::pair<std::string, AstPtr>> select;
        for (const Field& f : stream.schema->fields) select.emplace_back(f.name, column_ast(f.name));
        select.emplace_back(fmt::format("$dict_arg{}", select.size()), x);
        const std::vector<const config::Text*> texts(select.size(), text);
        const auto added =
            add_transform(fmt::format("{}.dict_arg{}", id, select.size() - 1), stream, engine::Scope(*stream.schema),
                          std::nullopt, select, texts, false, let, on_error);
        if (!added) return std::nullopt;
        stream = *added;
        column = static_cast<int>(stream.schema->fields.size() - 1);
      }
      const DataType type = stream.schema->fields[static_cast<std::size_t>(column)].type;
      if (!type.is_key()) {
        refuse(fmt::format("a dictionary does not hold {}", to_string(type)));
        continue;
      }
      NamedDictionary& dictionary = dictionaries_[name];
      if (dictionary.places == nullptr) {
        dictionary = {std::make_shared<engine::DictionaryPlaces>(), type};
      } else if (!(dictionary.type == type)) {
        refuse(
            fmt::format("dictionary '{}' holds {}, and this is {}", name, to_string(dictionary.type), to_string(type)),
            "CAST the value, or name another dictionary");
        continue;
      }
      engine::DictIdSpec spec{column, type, *stream.schema};
      const std::string result = fmt::format("$dict_id{}", stream.schema->fields.size());
      spec.schema.fields.push_back({result, types::int64});
      const unsigned place = dictionary.places->add();
      engine::OperatorNode node;
      // Its state belongs to the dictionary, not to the step: a call may move to another step and keeps its ids.
      node.id = place == 0 ? "dict_id:" + name : fmt::format("dict_id:{}:{}", name, place);
      node.make = [spec, places = dictionary.places, place](unsigned shard, unsigned) {
        return std::make_unique<engine::DictId>(spec, places->join(shard, place), place);
      };
      const auto schema = keep(spec.schema);
      const std::string node_id = node.id;
      const unsigned index = add_node(std::move(node), on_error);
      connect(stream,
              {engine::Target::Kind::node, index, 0,
               std::make_shared<engine::RowCodec>(std::vector<int>{column}, std::vector<DataType>{type}), true});
      plan_->steps.push_back({node_id, "dictionary", index});
      stream = Stream{false, index, schema, stream.append_only};
      let.replace_call(canonical, result);
    }
  }
  if (diagnostics_.error_count() != before) return std::nullopt;
  return stream;
}

}  // namespace twinspan::gateway
