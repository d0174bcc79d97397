// String functions. Positions and lengths count code points. Case mapping is of ASCII letters only; all other bytes
// stay as they are, so UTF-8 remains UTF-8. Results that are part of an argument are views of it.

#include <algorithm>
#include <cstring>

#include "engine/expr/overload.h"
#include "engine/expr/short_text.h"

namespace twinspan::engine {

namespace {

constexpr std::size_t kMaxText = 1 << 20;  // bytes a function may make out of less
constexpr const char* kTooLong = "the text would be longer than 1 MiB";

using View = std::string_view;

View text(const KernelCall& c, std::size_t arg, std::uint32_t i) { return c.args[arg].at<View>(i); }
std::int64_t integer(const KernelCall& c, std::size_t arg, std::uint32_t i) { return c.args[arg].at<std::int64_t>(i); }
char* room(KernelCall& c, std::size_t n) { return static_cast<char*>(c.bytes->allocate(n == 0 ? 1 : n, 1)); }

template <bool up>
void change_case(KernelCall& call) {
  call.each<View>([&](std::uint32_t i) -> View {
    const View s = text(call, 0, i);
    char* to = room(call, s.size());
    for (std::size_t k = 0; k < s.size(); ++k) {
      const auto c = static_cast<unsigned char>(s[k]);
      const bool letter = static_cast<unsigned char>(c - (up ? 'a' : 'A')) < 26;
      to[k] = static_cast<char>(letter ? c ^ 0x20 : c);
    }
    return {to, s.size()};
  });
}

// With one argument blanks are cut; with two, any of the (ASCII or whole code point) characters of the second.
template <bool front, bool back>
void trim(KernelCall& call) {
  call.each<View>([&](std::uint32_t i) -> View {
    View s = text(call, 0, i);
    const View set = call.count > 1 ? text(call, 1, i) : View(" ");
    if (is_ascii(set)) {
      if (front)
        while (!s.empty() && set.find(s.front()) != View::npos) s.remove_prefix(1);
      if (back)
        while (!s.empty() && set.find(s.back()) != View::npos) s.remove_suffix(1);
      return s;
    }
    const auto in_set = [&](View c) {
      for (View rest = set; !rest.empty();) {
        const std::size_t n = utf8_offset(rest, 1);
        if (rest.substr(0, n) == c) return true;
        rest.remove_prefix(n);
      }
      return false;
    };
    while (front && !s.empty() && in_set(s.substr(0, utf8_offset(s, 1)))) s.remove_prefix(utf8_offset(s, 1));
    while (back && !s.empty()) {
      std::size_t last = s.size() - 1;
      while (last > 0 && (static_cast<unsigned char>(s[last]) & 0xC0) == 0x80) --last;
      if (!in_set(s.substr(last))) break;
      s = s.substr(0, last);
    }
    return s;
  });
}

void length(KernelCall& call) {
  call.each<std::int64_t>([&](std::uint32_t i) { return static_cast<std::int64_t>(utf8_length(text(call, 0, i))); });
}

constexpr std::uint64_t kHighBits = 0x8080'8080'8080'8080;

// Code points [from, from + n) of s.
View slice(View s, std::int64_t from, std::int64_t n) {
  if (n <= 0 || from < 0) return {};
  // Where the bytes up to the end of the result are ASCII, places are code points, whatever follows.
  const std::size_t size = s.size(), begin_at = std::min(static_cast<std::size_t>(from), size),
                    most = std::min(static_cast<std::size_t>(n), size - begin_at), end_at = begin_at + most;
  const bool plain =
      end_at <= 8 && size >= 8
          ? (load_word<std::uint64_t>(s.data()) & (end_at == 8 ? kHighBits : kHighBits >> (64 - 8 * end_at))) == 0
          : is_ascii(s.substr(0, end_at));
  if (plain) return begin_at == size ? View{} : s.substr(begin_at, most);
  const std::size_t begin = utf8_offset(s, static_cast<std::size_t>(from));
  return s.substr(begin, utf8_offset(s.substr(begin), static_cast<std::size_t>(n)));
}

void substring(KernelCall& call) {
  call.each<View>([&](std::uint32_t i) -> View {
    const View s = text(call, 0, i);
    std::int64_t from = integer(call, 1, i);
    const std::int64_t n = call.count > 2 ? integer(call, 2, i) : INT64_MAX;
    if (from > 0) {
      --from;
    } else if (from < 0) {
      const auto have = static_cast<std::int64_t>(utf8_length(s));
      if (from < -have) return {};
      from += have;
    }
    return slice(s, from, n);
  });
}

void left(KernelCall& call) {
  call.each<View>([&](std::uint32_t i) { return slice(text(call, 0, i), 0, integer(call, 1, i)); });
}

void right(KernelCall& call) {
  call.each<View>([&](std::uint32_t i) -> View {
    const View s = text(call, 0, i);
    const std::int64_t n = integer(call, 1, i), have = static_cast<std::int64_t>(utf8_length(s));
    if (n <= 0) return {};
    return n >= have ? s : slice(s, have - n, n);
  });
}

void replace(KernelCall& call) {
  std::string out;
  auto* to = call.result<View>();
  for (std::uint32_t i = 0; i < call.rows; ++i) {
    to[i] = {};
    if (!call.computes(i)) continue;
    const View s = text(call, 0, i), what = text(call, 1, i), with = text(call, 2, i);
    if (what.empty() || s.find(what) == View::npos) {
      to[i] = s;
      continue;
    }
    out.clear();
    for (std::size_t at = 0;;) {
      const std::size_t hit = s.find(what, at);
      out.append(s.substr(at, hit == View::npos ? View::npos : hit - at));
      if (hit == View::npos || out.size() > kMaxText + s.size()) break;
      out.append(with);
      at = hit + what.size();
    }
    if (out.size() > kMaxText + s.size())
      call.fail(i, kTooLong);
    else
      to[i] = call.bytes->copy(out);
  }
}

void concat(KernelCall& call) {
  auto* to = call.result<View>();
  for (std::uint32_t i = 0; i < call.rows; ++i) {
    to[i] = {};
    if (!call.computes(i)) continue;
    std::size_t n = 0;
    for (std::uint32_t k = 0; k < call.count; ++k) n += text(call, k, i).size();
    if (n > kMaxValue) {
      call.fail(i, kValueTooLong);
      continue;
    }
    char* out = room(call, n);
    char* p = out;
    for (std::uint32_t k = 0; k < call.count; ++k) p = append_bytes(p, text(call, k, i));
    to[i] = {out, n};
  }
}

void concat_ws(KernelCall& call) {  // not strict: NULL arguments are passed over
  auto* to = call.result<View>();
  std::string out;
  for (std::uint32_t i = 0; i < call.rows; ++i) {
    to[i] = {};
    if (call.args[0].is_null(i)) {
      call.set_null(i);
      continue;
    }
    out.clear();
    bool first = true;
    for (std::uint32_t k = 1; k < call.count && out.size() <= kMaxValue; ++k) {
      if (call.args[k].is_null(i)) continue;
      if (!first) out.append(text(call, 0, i));
      out.append(text(call, k, i));
      first = false;
    }
    if (out.size() > kMaxValue)
      call.fail(i, kValueTooLong);
    else
      to[i] = call.bytes->copy(out);
  }
}

template <bool front>
void pad(KernelCall& call) {
  auto* to = call.result<View>();
  std::string out;
  for (std::uint32_t i = 0; i < call.rows; ++i) {
    to[i] = {};
    if (!call.computes(i)) continue;
    const View s = text(call, 0, i), fill = call.count > 2 ? text(call, 2, i) : View(" ");
    const std::int64_t want = integer(call, 1, i), have = static_cast<std::int64_t>(utf8_length(s));
    if (want <= have || fill.empty()) {
      to[i] = slice(s, 0, want);
      continue;
    }
    const auto fill_length = static_cast<std::int64_t>(utf8_length(fill));
    const std::int64_t missing = want - have;
    if (fill_length == 0 || missing > static_cast<std::int64_t>(kMaxText) ||
        static_cast<std::size_t>(missing / fill_length + 1) * fill.size() > kMaxText) {
      call.fail(i, kTooLong);
      continue;
    }
    out.clear();
    if (!front) out.append(s);
    for (std::int64_t k = 0; k < missing / fill_length; ++k) out.append(fill);
    out.append(slice(fill, 0, missing % fill_length));
    if (front) out.append(s);
    to[i] = call.bytes->copy(out);
  }
}

void reverse(KernelCall& call) {
  call.each<View>([&](std::uint32_t i) -> View {
    const View s = text(call, 0, i);
    char* out = room(call, s.size());
    char* p = out + s.size();
    for (std::size_t at = 0; at < s.size();) {
      const std::size_t n = utf8_offset(s.substr(at), 1);
      p -= n;
      std::memcpy(p, s.data() + at, n);
      at += n;
    }
    return {out, s.size()};
  });
}

std::int64_t find(View what, View s) {
  const std::size_t at = s.find(what);
  return at == View::npos ? 0 : static_cast<std::int64_t>(utf8_length(s.substr(0, at))) + 1;
}
void position(KernelCall& call) {
  call.each<std::int64_t>([&](std::uint32_t i) { return find(text(call, 0, i), text(call, 1, i)); });
}
void strpos(KernelCall& call) {
  call.each<std::int64_t>([&](std::uint32_t i) { return find(text(call, 1, i), text(call, 0, i)); });
}
void starts_with(KernelCall& call) {
  if (call.args[1].stride == 0 && call.args[0].stride != 0) {
    const auto* s = static_cast<const View*>(call.args[0].data);
    with_prefix_test(text(call, 1, 0), [&](auto begins) {
      call.each<std::uint8_t>([&](std::uint32_t i) -> std::uint8_t { return begins(s[i]); });
    });
    return;
  }
  call.each<std::uint8_t>(
      [&](std::uint32_t i) -> std::uint8_t { return text(call, 0, i).starts_with(text(call, 1, i)); });
}
void ends_with(KernelCall& call) {
  call.each<std::uint8_t>(
      [&](std::uint32_t i) -> std::uint8_t { return text(call, 0, i).ends_with(text(call, 1, i)); });
}
void contains(KernelCall& call) {
  call.each<std::uint8_t>([&](std::uint32_t i) -> std::uint8_t {
    const View s = text(call, 0, i), t = text(call, 1, i);
    return t.empty() || (s.size() >= t.size() && memmem(s.data(), s.size(), t.data(), t.size()) != nullptr);
  });
}

void split_part(KernelCall& call) {
  auto* to = call.result<View>();
  for (std::uint32_t i = 0; i < call.rows; ++i) {
    to[i] = {};
    if (!call.computes(i)) continue;
    View s = text(call, 0, i);
    const View mark = text(call, 1, i);
    std::int64_t n = integer(call, 2, i);
    if (n == 0) {
      call.fail(i, "split_part counts from 1");
      continue;
    }
    if (mark.empty()) {
      if (n == 1 || n == -1) to[i] = s;
      continue;
    }
    if (n > 0) {
      for (; n > 1; --n) {
        const std::size_t hit = s.find(mark);
        if (hit == View::npos) break;
        s.remove_prefix(hit + mark.size());
      }
      if (n == 1) to[i] = s.substr(0, s.find(mark));
    } else {
      for (; n < -1; ++n) {
        const std::size_t hit = s.rfind(mark);
        if (hit == View::npos) break;
        s = s.substr(0, hit);
      }
      if (n == -1) {
        const std::size_t hit = s.rfind(mark);
        to[i] = hit == View::npos ? s : s.substr(hit + mark.size());
      }
    }
  }
}

void repeat(KernelCall& call) {
  auto* to = call.result<View>();
  for (std::uint32_t i = 0; i < call.rows; ++i) {
    to[i] = {};
    if (!call.computes(i)) continue;
    const View s = text(call, 0, i);
    const std::int64_t n = integer(call, 1, i);
    if (n <= 0 || s.empty()) continue;
    if (n > static_cast<std::int64_t>(kMaxText / s.size())) {
      call.fail(i, kTooLong);
      continue;
    }
    const std::size_t size = s.size() * static_cast<std::size_t>(n);
    char* out = room(call, size);
    for (std::size_t at = 0; at < size; at += s.size()) std::memcpy(out + at, s.data(), s.size());
    to[i] = {out, size};
  }
}

void ascii(KernelCall& call) {
  call.each<std::int64_t>([&](std::uint32_t i) -> std::int64_t {
    const View s = text(call, 0, i);
    if (s.empty()) return 0;
    const std::size_t n = utf8_offset(s, 1);
    const auto first = static_cast<unsigned char>(s[0]);
    std::int64_t v = n == 1 ? first : n == 2 ? first & 0x1F : n == 3 ? first & 0x0F : first & 0x07;
    for (std::size_t k = 1; k < n && k < 4; ++k) v = v << 6 | (static_cast<unsigned char>(s[k]) & 0x3F);
    return v;
  });
}

void chr(KernelCall& call) {
  auto* to = call.result<View>();
  for (std::uint32_t i = 0; i < call.rows; ++i) {
    to[i] = {};
    if (!call.computes(i)) continue;
    const std::int64_t v = integer(call, 0, i);
    if (v < 0 || v > 0x10FFFF || (v >= 0xD800 && v <= 0xDFFF)) {
      call.fail(i, "not a code point: " + std::to_string(v));
      continue;
    }
    const auto c = static_cast<std::uint32_t>(v);
    const auto tail = [c](int shift) { return static_cast<char>(0x80 | ((c >> shift) & 0x3F)); };
    char b[4];
    std::size_t n = 0;
    if (c < 0x80)
      b[n++] = static_cast<char>(c);
    else if (c < 0x800)
      b[n++] = static_cast<char>(0xC0 | c >> 6), b[n++] = tail(0);
    else if (c < 0x10000)
      b[n++] = static_cast<char>(0xE0 | c >> 12), b[n++] = tail(6), b[n++] = tail(0);
    else
      b[n++] = static_cast<char>(0xF0 | c >> 18), b[n++] = tail(12), b[n++] = tail(6), b[n++] = tail(0);
    to[i] = call.bytes->copy({b, n});
  }
}

}  // namespace

std::span<const Overload> string_functions() {
  static const Overload table[] = {
      {{"upper", "string", "upper(text string) -> string", "ASCII letters in upper case; other characters stay."},
       "s",
       's',
       change_case<true>,
       15},
      {{"lower", "string", "lower(text string) -> string", "ASCII letters in lower case; other characters stay."},
       "s",
       's',
       change_case<false>,
       15},
      {{"trim", "string", "trim(text string [, characters string]) -> string",
        "Without blanks (or the given characters) at both ends."},
       "ss?",
       's',
       trim<true, true>,
       8},
      {{"ltrim", "string", "ltrim(text string [, characters string]) -> string",
        "Without blanks (or the given characters) at the start."},
       "ss?",
       's',
       trim<true, false>,
       8},
      {{"rtrim", "string", "rtrim(text string [, characters string]) -> string",
        "Without blanks (or the given characters) at the end."},
       "ss?",
       's',
       trim<false, true>,
       8},
      {{"length", "string", "length(text string) -> int64", "Number of code points."}, "s", 'i', length, 8},
      {{"char_length", "string", "char_length(text string) -> int64", "Number of code points."}, "s", 'i', length, 8},
      {{"substring", "string", "substring(text string, start int64 [, length int64]) -> string",
        "Part of a text; start counts from 1, from the end when negative. Also substring(x FROM a FOR n)."},
       "sii?",
       's',
       substring,
       10},
      {{"substr", "string", "substr(text string, start int64 [, length int64]) -> string", "The same as substring."},
       "sii?",
       's',
       substring,
       10},
      {{"replace", "string", "replace(text string, what string, by string) -> string",
        "Every occurrence of `what` replaced."},
       "sss",
       's',
       replace,
       40},
      {{"concat", "string", "concat(text string, ...) -> string", "The texts joined; NULL when one is NULL."},
       "ss*",
       's',
       concat,
       20},
      {{"concat_ws", "string", "concat_ws(separator string, text string, ...) -> string",
        "The texts that are not NULL, joined by the separator."},
       "sss*",
       's',
       concat_ws,
       30,
       nullptr,
       false},
      {{"left", "string", "left(text string, n int64) -> string", "The first n code points."}, "si", 's', left, 8},
      {{"right", "string", "right(text string, n int64) -> string", "The last n code points."}, "si", 's', right, 10},
      {{"lpad", "string", "lpad(text string, n int64 [, fill string]) -> string",
        "Filled at the start (or cut) to n code points."},
       "sis?",
       's',
       pad<true>,
       40},
      {{"rpad", "string", "rpad(text string, n int64 [, fill string]) -> string",
        "Filled at the end (or cut) to n code points."},
       "sis?",
       's',
       pad<false>,
       40},
      {{"reverse", "string", "reverse(text string) -> string", "Code points in reverse order."}, "s", 's', reverse, 40},
      {{"position", "string", "position(what string IN text string) -> int64",
        "Place of the first occurrence, from 1; 0 = none."},
       "ss",
       'i',
       position,
       15},
      {{"strpos", "string", "strpos(text string, what string) -> int64",
        "Place of the first occurrence, from 1; 0 = none."},
       "ss",
       'i',
       strpos,
       15},
      {{"starts_with", "string", "starts_with(text string, prefix string) -> bool",
        "Does the text begin with the prefix?"},
       "ss",
       'b',
       starts_with,
       5},
      {{"ends_with", "string", "ends_with(text string, suffix string) -> bool", "Does the text end in the suffix?"},
       "ss",
       'b',
       ends_with,
       5},
      {{"contains", "string", "contains(text string, what string) -> bool", "Does `what` occur in the text?"},
       "ss",
       'b',
       contains,
       12},
      {{"split_part", "string", "split_part(text string, separator string, n int64) -> string",
        "The n-th part, from 1 (from the end when negative); '' when there is none."},
       "ssi",
       's',
       split_part,
       15},
      {{"repeat", "string", "repeat(text string, n int64) -> string", "The text n times."}, "si", 's', repeat, 30},
      {{"ascii", "string", "ascii(text string) -> int64", "Code point of the first character; 0 for ''."},
       "s",
       'i',
       ascii,
       5},
      {{"chr", "string", "chr(code int64) -> string", "The character of a code point."}, "i", 's', chr, 15},
  };
  return table;
}

}  // namespace twinspan::engine
