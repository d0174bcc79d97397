#pragma once
// The table of scalar functions: what binding resolves against and what the reference page is generated from. Thread:
// any.

#include <span>
#include <string_view>

namespace twinspan::engine {

struct FunctionInfo {
  std::string_view name;
  // conditional | string | regexp | numeric | time | hash | encoding | array | map | json | dictionary
  std::string_view group;
  std::string_view signature;  // "substring(text string, start int64 [, length int64]) -> string"
  std::string_view doc;        // one line
  bool pure = true;            // same arguments, same result: may be shared and folded
};

// Another name of a function, as other dialects have it.
struct FunctionAlias {
  std::string_view name, function;
};
std::span<const FunctionAlias> function_aliases();
std::string_view canonical_function(std::string_view name);  // of an alias, or the name itself

std::span<const FunctionInfo> function_table();  // sorted by group, then name; an overloaded function has several rows

}  // namespace twinspan::engine
