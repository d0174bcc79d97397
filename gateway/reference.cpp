#include "gateway/reference.h"

#include <algorithm>
#include <map>
#include <vector>

#include <fmt/format.h>

#include "config/descriptor.h"
#include "config/pipeline_spec.h"
#include "config/service_spec.h"
#include "engine/base/json_text.h"
#include "engine/expr/aggregate_table.h"
#include "engine/expr/functions.h"
#include "engine/native/native_module.h"

namespace twinspan::gateway {

using config::Field;
using config::ObjectTable;
using config::Shape;
using config::ShapeKind;

namespace {

// A table and the places of the file where it stands: "steps.<id>.window".
struct Section {
  const ObjectTable* table = nullptr;
  std::vector<std::string> paths;
};

// The tables below a root, each once, those of a key before those of the next key.
class Sections {
 public:
  explicit Sections(const ObjectTable& root) { add(root, ""); }
  const std::vector<Section>& all() const { return sections_; }

 private:
  void add(const ObjectTable& table, const std::string& path) {
    const auto [known, is_new] = places_.try_emplace(&table, sections_.size());
    if (!is_new) {
      sections_[known->second].paths.push_back(path);
      return;
    }
    sections_.push_back({&table, {path}});
    for (const Field& f : table.fields())
      if (f.available) below(f.shape, path.empty() ? f.name : path + "." + f.name);
  }
  void below(const Shape& shape, const std::string& path) {
    switch (shape.kind) {
      case ShapeKind::object: return add(*shape.object, path);
      case ShapeKind::list: return below(*shape.element, path + "[]");
      case ShapeKind::map: return below(*shape.element, path + (shape.keys_are_ids ? ".<id>" : ".<name>"));
      case ShapeKind::one_of:
        for (const Shape& s : shape.alternatives) below(s, path);
        return;
      default: return;
    }
  }

  std::vector<Section> sections_;
  std::map<const ObjectTable*, std::size_t> places_;
};

std::string words(const Shape& shape) {
  switch (shape.kind) {
    case ShapeKind::list:
      return shape.count ? fmt::format("a list of {}: {}", *shape.count, words(*shape.element))
                         : fmt::format("a list: {}", words(*shape.element));
    case ShapeKind::map:
      return fmt::format("a map from {} to {}", shape.keys_are_ids ? "ids" : "names", words(*shape.element));
    case ShapeKind::object: return "keys of their own";
    case ShapeKind::one_of: {
      std::string list;
      for (const Shape& s : shape.alternatives) list += (list.empty() ? "" : " or ") + words(s);
      return list;
    }
    default: return shape.words();
  }
}

std::string limits(const Field& f) {
  std::string out;
  if (f.options.min) out += " At least " + config::limit_text(f.shape, *f.options.min) + ".";
  if (f.options.max) out += " At most " + config::limit_text(f.shape, *f.options.max) + ".";
  if (f.options.live) out += " Can change while the pipeline runs.";
  return out;
}

std::string unavailable_names(const ObjectTable& table) {
  std::string out;
  for (const Field& f : table.fields())
    if (!f.available) out += (out.empty() ? "`" : ", `") + f.name + "`";
  return out;
}

// For a cell of a table.
std::string cell(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|' || c == '<' || c == '*') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out;
}
// Code in a cell: only the bar needs care.
std::string code(std::string_view text) {
  std::string out = "`";
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c;
  }
  return out + "`";
}

void write_tables(const ObjectTable& root, std::string& out) {
  const Sections sections(root);
  for (const Section& s : sections.all()) {
    if (!s.paths[0].empty()) out += fmt::format("### {}\n\n", code(s.paths[0]));
    out += s.table->doc() + "\n";
    for (std::size_t i = 1; i < s.paths.size(); ++i)
      out += fmt::format("{}{}", i == 1 ? "Also at " : ", ", code(s.paths[i]));
    if (s.paths.size() > 1) out += ".\n";
    out += "\n| key | value | default | |\n|---|---|---|---|\n";
    for (const Field& f : s.table->fields()) {
      if (!f.available) continue;
      out += fmt::format("| {} | {} | {} | {}{} |\n", code(f.name), cell(words(f.shape)),
                         f.options.required ? "required"
                         : f.default_text   ? code(*f.default_text)
                                            : "",
                         cell(f.doc), cell(limits(f)));
    }
    out += "\n";
    if (const std::string names = unavailable_names(*s.table); !names.empty())
      out += fmt::format("Of the language, not in this version: {}.\n\n", names);
  }
}

std::string title(std::string_view group) {
  std::string out(group);
  if (!out.empty() && out[0] >= 'a' && out[0] <= 'z') out[0] = static_cast<char>(out[0] - 'a' + 'A');
  return out;
}

void write_functions(std::string& out) {
  std::string_view group;
  for (const engine::FunctionInfo& f : engine::function_table()) {
    if (f.group != group) {
      group = f.group;
      out += fmt::format("\n### {}\n\n| function | |\n|---|---|\n", title(group));
    }
    out += fmt::format("| {} | {} |\n", code(f.signature), cell(f.doc));
  }
}

// Those of native modules behind the others.
std::vector<engine::AggregateInfo> all_aggregates() {
  std::vector<engine::AggregateInfo> out(engine::aggregate_table().begin(), engine::aggregate_table().end());
  for (const engine::AggregateInfo* native : engine::native_aggregates()) out.push_back(*native);
  return out;
}

void write_aggregates(std::string& out) {
  out +=
      "\n## Aggregates\n\nUnder `aggregate:` of a window. NULLs and rows that `FILTER (WHERE ...)` refuses do not "
      "count.\n\n"
      "| aggregate | | DISTINCT | error | memory of a key | rows taken back |\n|---|---|---|---|---|---|\n";
  for (const engine::AggregateInfo& a : all_aggregates()) {
    const char* distinct = a.distinct == engine::AggregateInfo::Distinct::yes    ? "yes"
                           : a.distinct == engine::AggregateInfo::Distinct::same ? "changes nothing"
                                                                                 : "no";
    out += fmt::format("| {} | {} | {} | {} | {} | {} |\n", code(a.signature), cell(a.doc), distinct, cell(a.error),
                       cell(a.memory), a.retractable() ? "yes" : cell(fmt::format("no: {}", a.not_retractable)));
  }
}

void write_window_functions(std::string& out) {
  const auto functions = engine::native_window_functions();
  if (functions.empty()) return;
  out += "\n### Native window functions\n\nUnder `apply:` of a tumbling window.\n\n| function | |\n|---|---|\n";
  for (const engine::NativeWindowFunction& f : functions)
    out += fmt::format("| {} | {} |\n", code(f.signature), cell(f.function->doc));
}

std::string json_tables(const ObjectTable& root) {
  const Sections sections(root);
  std::string out = "[";
  for (const Section& s : sections.all()) {
    std::string paths, fields;
    for (const std::string& p : s.paths) paths += (paths.empty() ? "" : ",") + json_string(p);
    for (const Field& f : s.table->fields()) {
      fields += fmt::format("{}\n      {{\"key\":{},\"available\":{}", fields.empty() ? "" : ",", json_string(f.name),
                            f.available);
      if (f.available) {
        fields += fmt::format(",\"value\":{},\"doc\":{},\"required\":{},\"live\":{}", json_string(words(f.shape)),
                              json_string(f.doc), f.options.required, f.options.live);
        if (f.default_text) fields += ",\"default\":" + json_string(*f.default_text);
        if (f.options.min) fields += ",\"min\":" + json_string(config::limit_text(f.shape, *f.options.min));
        if (f.options.max) fields += ",\"max\":" + json_string(config::limit_text(f.shape, *f.options.max));
      }
      fields += "}";
    }
    out += fmt::format("{}\n    {{\"paths\":[{}],\"doc\":{},\"keys\":[{}]}}", out.size() == 1 ? "" : ",", paths,
                       json_string(s.table->doc()), fields);
  }
  return out + "]";
}

}  // namespace

std::string reference_markdown() {
  std::string out =
      "# Reference\n\nPrinted by `twinspan docs`; do not edit. Units are part of values (`30s`, `64MiB`, `200k/s`). "
      "`<id>` and `<name>` are chosen by the user.\n\n## Pipeline file\n\n";
  write_tables(config::PipelineSpec::table(), out);
  out += "## Service file\n\n";
  write_tables(config::ServiceSpec::table(), out);
  out +=
      "## Functions\n\nNULL in any argument gives NULL unless said otherwise. A value that cannot be computed follows "
      "the step's `on_error`.\n";
  write_functions(out);
  write_window_functions(out);
  write_aggregates(out);
  return out;
}

std::string reference_json() {
  std::string functions;
  for (const engine::FunctionInfo& f : engine::function_table())
    functions +=
        fmt::format("{}\n    {{\"name\":{},\"group\":{},\"signature\":{},\"doc\":{}}}", functions.empty() ? "" : ",",
                    json_string(f.name), json_string(f.group), json_string(f.signature), json_string(f.doc));
  std::string aggregates;
  for (const engine::AggregateInfo& a : all_aggregates())
    aggregates += fmt::format(
        "{}\n    "
        "{{\"name\":{},\"signature\":{},\"doc\":{},\"error\":{},\"merge\":{},\"memory\":{},\"retractable\":{}}}",
        aggregates.empty() ? "" : ",", json_string(a.name), json_string(a.signature), json_string(a.doc),
        json_string(a.error), json_string(a.merge), json_string(a.memory), a.retractable());
  return fmt::format(
      "{{\n  \"pipeline\": {},\n  \"service\": {},\n  \"functions\": [{}],\n  \"aggregates\": [{}]\n}}\n",
      json_tables(config::PipelineSpec::table()), json_tables(config::ServiceSpec::table()), functions, aggregates);
}

}  // namespace twinspan::gateway
