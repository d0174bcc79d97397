#pragma once
// Kernels of arrays, maps, rows and json that syntax stands for: `a.b`, `a[0]`, ARRAY[..], casts. Chosen by
// binder_nested.cpp. Thread: control (choosing), shard (running).

#include "engine/expr/kernel.h"

namespace twinspan::engine {

KernelChoice row_field_kernel(DataType row, std::size_t field);
KernelChoice array_element_kernel(DataType array);  // (array, int64): from 0; NULL where there is none
KernelChoice map_value_kernel(DataType map);        // (map, string)
KernelChoice json_member_kernel();                  // (json, string)
KernelChoice json_element_kernel();                 // (json, int64)
// (array, element). `unknown`: NULL instead of FALSE when the array has NULLs, as IN has it.
KernelChoice array_contains_kernel(DataType array, bool unknown);
KernelChoice array_kernel(DataType element);  // of values of the element's type, NULLs included
KernelChoice map_kernel(DataType value);      // (key1, value1, ...)
KernelChoice row_kernel(DataType row);
// To and from json and its text; run == nullptr: no such cast.
KernelChoice nested_cast_kernel(DataType from, DataType to, bool safe);

}  // namespace twinspan::engine
