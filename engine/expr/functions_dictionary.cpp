#include "engine/expr/overload.h"

namespace twinspan::engine {

namespace {

// The planner takes the call out of a step's expressions and makes it a node: one that is still there has no step.
bool no_step(std::span<const ArgInfo>, KernelChoice&, std::string& error, std::size_t& bad) {
  error =
      "`dict_id` has state: it stands in let, where, select, key and aggregate of a step that reads rows as they come, "
      "not here; give the id a column of its own in such a step";
  bad = 0;
  return false;
}

}  // namespace

std::span<const Overload> dictionary_functions() {
  static const Overload table[] = {
      {{"dict_id", "dictionary", "dict_id(dictionary string, value) -> int64",
        "The dense id of the value in the dictionary of this name (a literal), the same in every step, after restarts "
        "and with any number of shards. Values are kept for ever. NULL has no id."},
       "sa",
       'i',
       nullptr,
       1,
       no_step},
  };
  return table;
}

}  // namespace twinspan::engine
