#pragma once
// One row of the function table with what runs it. To add a function: one row and its kernel in the functions_*.cpp of
// its group. Arguments are converted implicitly to the types of the first row that fits. Thread: control.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/expr/functions.h"
#include "engine/expr/kernel.h"

namespace twinspan::engine {

struct ArgInfo {
  DataType type;
  const Value* constant = nullptr;  // nullptr: differs by row
};

// Fixes type, params and state from argument types and constants. False: refused, `error` says why and `bad` which
// argument.
using Prepare = bool (*)(std::span<const ArgInfo> args, KernelChoice& choice, std::string& error, std::size_t& bad);

struct Overload {
  FunctionInfo info;
  // Types in order: b bool, i int64, f float64, d decimal, s string, y bytes, t timestamp, u duration, j json, J json
  // or string, A array, M map, R row, a any; '?' after an optional one, '*' after the last = any number of them. Empty
  // = bound by the binder itself.
  std::string_view args = {};
  char result = 0;  // same letters; 'd', 'a', 'A', 'M' and 'R' are decided by `prepare`
  Kernel run = nullptr;
  int cost = 1;
  Prepare prepare = nullptr;
  bool strict = true;
  const void* state = nullptr;  // KernelParams::state, unless `prepare` sets another; lives for ever
};

// Of all groups, sorted by group, then name. Pointers stay valid.
std::span<const Overload* const> all_overloads();
DataType type_of_letter(char letter);

// Functions that come from outside (native modules). They stay for the life of the process, and so must the texts they
// point to. All or none: an error if one of the names is there already. Before any expression is compiled elsewhere.
Status add_functions(std::vector<Overload> functions);

std::span<const Overload> string_functions();
std::span<const Overload> text_functions();  // more of them
std::span<const Overload> math_functions();
std::span<const Overload> numeric_functions();
std::span<const Overload> null_functions();
std::span<const Overload> dictionary_functions();
std::span<const Overload> time_functions();
std::span<const Overload> regexp_functions();
std::span<const Overload> hash_functions();
std::span<const Overload> encoding_functions();
std::span<const Overload> nested_functions();
std::span<const Overload> json_functions();

KernelChoice greatest_kernel(DataType type, bool least);

}  // namespace twinspan::engine
