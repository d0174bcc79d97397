#include "engine/expr/functions.h"

#include <algorithm>
#include <deque>
#include <vector>

#include <fmt/format.h>

#include "engine/expr/overload.h"

namespace twinspan::engine {

namespace {

// What is built in and what was added, in order.
struct Catalog {
  std::vector<const Overload*> overloads;
  std::vector<FunctionInfo> infos;
  std::deque<Overload> added;

  Catalog() {
    for (auto group : {string_functions(), text_functions(), numeric_functions(), math_functions(), null_functions(),
                       dictionary_functions(), time_functions(), regexp_functions(), nested_functions(),
                       json_functions(), hash_functions(), encoding_functions()})
      for (const Overload& o : group) overloads.push_back(&o);
    sort();
  }
  void sort() {
    std::stable_sort(overloads.begin(), overloads.end(), [](const Overload* a, const Overload* b) {
      return a->info.group != b->info.group ? a->info.group < b->info.group : a->info.name < b->info.name;
    });
    infos.clear();
    for (const Overload* o : overloads) infos.push_back(o->info);
  }
};

Catalog& catalog() {
  static Catalog instance;
  return instance;
}

}  // namespace

std::span<const Overload* const> all_overloads() { return catalog().overloads; }

std::span<const FunctionInfo> function_table() { return catalog().infos; }

Status add_functions(std::vector<Overload> functions) {
  Catalog& all = catalog();
  for (const Overload& f : functions)
    for (const FunctionInfo& known : all.infos)
      if (known.name == f.info.name) return config_error(fmt::format("there is a function '{}' already", known.name));
  for (Overload& f : functions) all.overloads.push_back(&all.added.emplace_back(std::move(f)));
  all.sort();
  return ok();
}

DataType type_of_letter(char letter) {
  switch (letter) {
    case 'b': return types::boolean;
    case 'i': return types::int64;
    case 'f': return types::float64;
    case 'd': return types::decimal(38, 10);
    case 's': return types::string;
    case 't': return types::timestamp;
    case 'u': return types::duration;
    case 'y': return types::bytes;
    case 'j': return types::json;
    case 'J': return types::string;
    default: return types::null;
  }
}

std::span<const FunctionAlias> function_aliases() {
  static constexpr FunctionAlias kAliases[] = {
      {"btrim", "trim"},
      {"ceiling", "ceil"},
      {"char", "chr"},
      {"character_length", "char_length"},
      {"endswith", "ends_with"},
      {"iif", "if"},
      {"lcase", "lower"},
      {"nvl", "ifnull"},
      {"pow", "power"},
      {"regexp", "regexp_like"},
      {"regexp_substr", "regexp_extract"},
      {"rlike", "regexp_like"},
      {"startswith", "starts_with"},
      {"trunc", "truncate"},
      {"ucase", "upper"},
      {"weekofyear", "week"},
  };
  return kAliases;
}

std::string_view canonical_function(std::string_view name) {
  for (const FunctionAlias& a : function_aliases())
    if (a.name == name) return a.function;
  return name;
}

std::span<const Overload> null_functions() {
  static const Overload table[] = {
      {{"coalesce", "conditional", "coalesce(a, b, ...) -> common type", "The first argument that is not NULL."}},
      {{"ifnull", "conditional", "ifnull(a, b) -> common type", "a, or b where a is NULL."}},
      {{"nullif", "conditional", "nullif(a, b) -> type of a", "NULL where a = b, else a."}},
      {{"nvl2", "conditional", "nvl2(x, a, b) -> common type", "a where x is not NULL, else b."}},
      {{"if", "conditional", "if(condition bool, then, else) -> common type",
        "`then` where the condition is TRUE, else `else`."}},
      {{"decode", "conditional", "decode(x, a, then, b, then, ... [, else]) -> common type",
        "The value behind the first that equals x, NULL equal to NULL; else `else`, or NULL."}},
  };
  return table;
}

}  // namespace twinspan::engine
