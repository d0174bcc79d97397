#pragma once
// Stage 1 of simdjson (Langdale, Lemire: "Parsing Gigabytes of JSON per Second", VLDB J. 2019) over a buffer: the
// places of { } [ ] : , and of the first character of every scalar, strings closed, no raw control characters in them,
// UTF-8 valid. The kernel is chosen at run time (up to AVX-512). The only file pair that names simdjson. Thread: one at
// a time.

#include <cstdint>
#include <memory>
#include <string_view>

namespace twinspan::connectors::json {

class StructuralIndex {
 public:
  StructuralIndex();
  ~StructuralIndex();

  // nullptr: indexed. Otherwise what is wrong. `text` needs no padding.
  const char* build(const char* text, std::size_t size);

  // Offsets, ascending; positions()[count()] is `size` (a sentinel).
  const std::uint32_t* positions() const { return positions_; }
  std::uint32_t count() const { return count_; }

 private:
  struct Parser;
  std::unique_ptr<Parser> parser_;
  const std::uint32_t* positions_ = nullptr;
  std::uint32_t count_ = 0;
};

bool is_utf8(std::string_view text);

}  // namespace twinspan::connectors::json
