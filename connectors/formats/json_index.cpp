#include "connectors/formats/json_index.h"

#include <algorithm>

#include <simdjson.h>

namespace twinspan::connectors::json {

struct StructuralIndex::Parser {
  std::unique_ptr<simdjson::internal::dom_parser_implementation> stage;
  std::size_t capacity = 0;
};

StructuralIndex::StructuralIndex() : parser_(std::make_unique<Parser>()) {}
StructuralIndex::~StructuralIndex() = default;

const char* StructuralIndex::build(const char* text, std::size_t size) {
  Parser& p = *parser_;
  if (size > p.capacity) {
    const std::size_t capacity = std::max<std::size_t>(size, 64 * 1024);
    if (capacity >= simdjson::SIMDJSON_MAXSIZE_BYTES) return "larger than 4 GB";
    // The depth is of no interest to stage 1.
    if (simdjson::get_active_implementation()->create_dom_parser_implementation(capacity, 1, p.stage) !=
        simdjson::SUCCESS)
      return "no memory for its index";
    p.capacity = capacity;
  }
  switch (p.stage->stage1(reinterpret_cast<const std::uint8_t*>(text), size, simdjson::stage1_mode::regular)) {
    case simdjson::SUCCESS: break;
    case simdjson::UTF8_ERROR: return "invalid UTF-8";
    case simdjson::UNESCAPED_CHARS: return "a string is not closed, or has a raw control character";
    case simdjson::UNCLOSED_STRING: return "a string is not closed";
    default: return "no JSON text";
  }
  // Two sentinels (the array has room for them), so that a walk may look one position ahead.
  p.stage->structural_indexes[p.stage->n_structural_indexes] = static_cast<std::uint32_t>(size);
  p.stage->structural_indexes[p.stage->n_structural_indexes + 1] = static_cast<std::uint32_t>(size);
  positions_ = p.stage->structural_indexes.get();
  count_ = p.stage->n_structural_indexes;
  return nullptr;
}

bool is_utf8(std::string_view text) { return simdjson::validate_utf8(text); }

}  // namespace twinspan::connectors::json
