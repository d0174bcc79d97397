#pragma once
// A scalar function of a plug-in as a row of the function table. Thread: control.

#include "engine/expr/overload.h"
#include "engine/native/twinspan_native.h"

namespace twinspan::engine {

// nullptr: not a type of the interface.
const char* native_type_name(std::uint32_t kind);

// `name`, `signature` and `letters` must live as long as the table. `f` has been checked.
Overload native_overload(const ts_scalar& f, std::string_view name, std::string_view signature,
                         std::string_view letters);
char native_letter(std::uint32_t kind);
DataType native_type(std::uint32_t kind);

// An argument as the plug-in sees it; `memory` (Arena or Scratch) holds its texts.
template <class Memory>
ts_column native_column(const void* data, const std::uint8_t* valid, bool constant, std::uint32_t kind,
                        std::size_t rows, Memory& memory) {
  ts_column out{kind, constant ? 1u : 0u, data, valid};
  if (kind != TS_STRING && kind != TS_BYTES) return out;
  const std::size_t n = constant ? 1 : rows;
  auto* texts = memory.template make<ts_text>(n);
  for (std::size_t i = 0; i < n; ++i) {
    const bool null = valid != nullptr && valid[i] == 0;
    const std::string_view s = null ? std::string_view() : static_cast<const std::string_view*>(data)[i];
    texts[i] = {s.data() != nullptr ? s.data() : "", s.size()};
  }
  out.values = texts;
  return out;
}

}  // namespace twinspan::engine
