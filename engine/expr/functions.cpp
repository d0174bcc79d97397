#include "engine/expr/functions.h"

#include <algorithm>
#include <vector>

#include "engine/expr/overload.h"

namespace twinspan::engine {

std::span<const Overload* const> all_overloads() {
  static const std::vector<const Overload*> all = [] {
    std::vector<const Overload*> out;
    for (auto group : {string_functions(), numeric_functions(), null_functions(), dictionary_functions(),
                       time_functions(), regexp_functions(), nested_functions(), json_functions()})
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

std::span<const Overload> null_functions() {
  static const Overload table[] = {
      {{"coalesce", "null", "coalesce(a, b, ...) -> common type", "The first argument that is not NULL."}},
      {{"ifnull", "null", "ifnull(a, b) -> common type", "a, or b where a is NULL."}},
      {{"nullif", "null", "nullif(a, b) -> type of a", "NULL where a = b, else a."}},
      {{"if", "null", "if(condition bool, then, else) -> common type",
        "`then` where the condition is TRUE, else `else`."}},
  };
  return table;
}

}  // namespace twinspan::engine
