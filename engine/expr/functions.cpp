#include "engine/expr/functions.h"

#include <algorithm>
#include <vector>

#include "engine/expr/overload.h"

namespace twinspan::engine {

std::span<const Overload* const> all_overloads() {
  static const std::vector<const Overload*> all = [] {
    std::vector<const Overload*> out;
    for (auto group : {string_functions(), text_functions(), numeric_functions(), math_functions(), null_functions(),
                       dictionary_functions(), time_functions(), regexp_functions(), nested_functions(),
                       json_functions(), hash_functions(), encoding_functions()})
      for (const Overload& o : group) out.push_back(&o);
    std::stable_sort(out.begin(), out.end(), [](const Overload* a, const Overload* b) {
      return a->info.group != b->info.group ? a->info.group < b->info.group : a->info.name < b->info.name;
    });
    return out;
  }();
  return all;
}

std::span<const FunctionInfo> function_table() {
  static const std::vector<FunctionInfo> table = [] {
    std::vector<FunctionInfo> out;
    for (const Overload* o : all_overloads()) out.push_back(o->info);
    return out;
  }();
  return table;
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
