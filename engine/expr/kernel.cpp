#include "engine/expr/kernel.h"

namespace twinspan::engine {

void KernelCall::set_null(std::uint32_t row) {
  if (own_valid == nullptr) {
    own_valid = scratch->make<std::uint8_t>(rows);
    if (valid != nullptr)
      std::memcpy(own_valid, valid, rows);
    else
      std::memset(own_valid, 1, rows);
  }
  own_valid[row] = 0;
}

void KernelCall::fail(std::uint32_t row, std::string_view message) {
  set_null(row);
  if (errors == nullptr) {
    errors = scratch->make<std::uint32_t>(rows);
    std::memset(errors, 0, rows * sizeof(std::uint32_t));
  }
  if (messages->empty() || messages->back() != message) messages->emplace_back(message);
  errors[row] = static_cast<std::uint32_t>(messages->size());
}

bool is_ascii(std::string_view s) {
  std::size_t i = 0;
  for (; i + 8 <= s.size(); i += 8) {
    std::uint64_t w = 0;
    std::memcpy(&w, s.data() + i, 8);
    if ((w & 0x8080808080808080ull) != 0) return false;
  }
  for (; i < s.size(); ++i)
    if (static_cast<unsigned char>(s[i]) >= 0x80) return false;
  return true;
}

std::size_t utf8_length(std::string_view s) {
  std::size_t n = 0;
  for (char c : s) n += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  return n;
}

std::size_t utf8_offset(std::string_view s, std::size_t n) {
  std::size_t i = 0;
  while (i < s.size()) {
    if ((static_cast<unsigned char>(s[i]) & 0xC0) != 0x80 && n-- == 0) break;
    ++i;
  }
  return i;
}

bool is_utf8(std::string_view s) {
  if (is_ascii(s)) return true;
  for (std::size_t i = 0; i < s.size();) {
    const auto c = static_cast<unsigned char>(s[i]);
    std::size_t n = c < 0x80 ? 1 : c >= 0xC2 && c <= 0xDF ? 2 : (c & 0xF0) == 0xE0 ? 3 : c >= 0xF0 && c <= 0xF4 ? 4 : 0;
    if (n == 0 || i + n > s.size()) return false;
    for (std::size_t k = 1; k < n; ++k)
      if ((static_cast<unsigned char>(s[i + k]) & 0xC0) != 0x80) return false;
    const auto second = n > 1 ? static_cast<unsigned char>(s[i + 1]) : 0;
    if ((c == 0xE0 && second < 0xA0) || (c == 0xED && second > 0x9F) || (c == 0xF0 && second < 0x90) ||
        (c == 0xF4 && second > 0x8F))
      return false;
    i += n;
  }
  return true;
}

}  // namespace twinspan::engine
