#pragma once
// Short texts in kernels, compared and copied by a few overlapping loads in place of calls: most constants that rows
// are compared with, and most fields that are joined, have fewer than 16 bytes. Thread: any.

#include <cstdint>
#include <cstring>
#include <string_view>

namespace twinspan::engine {

template <class W>
inline W load_word(const char* p) {
  W w;
  std::memcpy(&w, p, sizeof w);
  return w;
}

// Up to 16 bytes as two words: equal texts have equal ones, and so do only they.
struct ShortText {
  static constexpr std::size_t kMost = 16;
  std::uint64_t first = 0, last = 0;
  std::size_t size = 0;

  static ShortText of(std::string_view s) {
    const char* p = s.data();
    const std::size_t n = s.size();
    if (n >= 8)
      return n <= kMost ? ShortText{load_word<std::uint64_t>(p), load_word<std::uint64_t>(p + n - 8), n}
                        : ShortText{0, 0, n};
    if (n >= 4) return {load_word<std::uint32_t>(p), load_word<std::uint32_t>(p + n - 4), n};
    if (n >= 2) return {load_word<std::uint16_t>(p), load_word<std::uint16_t>(p + n - 2), n};
    return n == 0 ? ShortText{} : ShortText{static_cast<unsigned char>(*p), 0, 1};
  }
  bool is(const ShortText& o) const { return ((first ^ o.first) | (last ^ o.last) | (size ^ o.size)) == 0; }
};

// The first eight bytes as a number that orders as the texts do, shorter ones as if zeros followed. Equal ones say
// nothing about longer texts.
inline std::uint64_t ordered_prefix(std::string_view s) {
  const char* p = s.data();
  const std::size_t n = s.size();
  if (n >= 8) return __builtin_bswap64(load_word<std::uint64_t>(p));
  const auto gap = static_cast<unsigned>(8 * (8 - n));
  if (n >= 4)
    return std::uint64_t{__builtin_bswap32(load_word<std::uint32_t>(p))} << 32 |
           std::uint64_t{__builtin_bswap32(load_word<std::uint32_t>(p + n - 4))} << gap;
  if (n >= 2)
    return std::uint64_t{__builtin_bswap16(load_word<std::uint16_t>(p))} << 48 |
           std::uint64_t{__builtin_bswap16(load_word<std::uint16_t>(p + n - 2))} << gap;
  return n == 0 ? 0 : std::uint64_t{static_cast<unsigned char>(*p)} << 56;
}

// Whether the texts begin with `prefix`: f is called with a test of one text, made for the prefix's length.
template <class F>
inline void with_prefix_test(std::string_view prefix, F&& f) {
  const auto loads = [&]<class W>(W) {
    const std::size_t size = prefix.size(), at = size - sizeof(W);
    const W first = load_word<W>(prefix.data()), last = load_word<W>(prefix.data() + at);
    f([=](std::string_view s) {
      return s.size() >= size && ((load_word<W>(s.data()) ^ first) | (load_word<W>(s.data() + at) ^ last)) == 0;
    });
  };
  if (prefix.size() >= 8 && prefix.size() <= 16) return loads(std::uint64_t{});
  if (prefix.size() >= 4 && prefix.size() < 8) return loads(std::uint32_t{});
  if (prefix.size() >= 2 && prefix.size() < 4) return loads(std::uint16_t{});
  f([=](std::string_view s) { return s.starts_with(prefix); });
}

// Appends to `p`, and gives back where it ends.
inline char* append_bytes(char* p, std::string_view s) {
  const char* from = s.data();
  const std::size_t n = s.size();
  const auto both_ends = [&]<class W>(W) {  // as two words that overlap; both are read before the first is written
    const W first = load_word<W>(from), last = load_word<W>(from + n - sizeof(W));
    std::memcpy(p, &first, sizeof first);
    std::memcpy(p + n - sizeof last, &last, sizeof last);
  };
  struct Sixteen {
    std::uint64_t words[2];
  };
  if (n > 32) {
    std::memcpy(p, from, n);
  } else if (n >= 16) {
    both_ends(Sixteen{});
  } else if (n >= 8) {
    both_ends(std::uint64_t{});
  } else if (n >= 4) {
    both_ends(std::uint32_t{});
  } else if (n >= 2) {
    both_ends(std::uint16_t{});
  } else if (n == 1) {
    *p = *from;
  }
  return p + n;
}

}  // namespace twinspan::engine
