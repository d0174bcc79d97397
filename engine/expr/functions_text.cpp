// More string functions, those that Flink SQL users expect beside the usual ones. Positions and lengths count code
// points; letters are ASCII letters where case matters.

#include <algorithm>
#include <cstring>

#include "engine/expr/overload.h"

namespace twinspan::engine {

namespace {

using View = std::string_view;

constexpr std::size_t kMaxText = 1 << 20;
constexpr const char* kTooLong = "the text would be longer than 1 MiB";

View text(const KernelCall& c, std::size_t arg, std::uint32_t i) { return c.args[arg].at<View>(i); }
std::int64_t integer(const KernelCall& c, std::size_t arg, std::uint32_t i) { return c.args[arg].at<std::int64_t>(i); }

bool letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         static_cast<unsigned char>(c) >= 0x80;
}

void initcap(KernelCall& call) {
  call.each<View>([&](std::uint32_t i) -> View {
    const View s = text(call, 0, i);
    char* out = static_cast<char*>(call.bytes->allocate(s.size() + 1, 1));
    bool inside = false;  // of a word
    for (std::size_t k = 0; k < s.size(); ++k) {
      char c = s[k];
      if (inside && c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
      if (!inside && c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
      inside = letter_or_digit(c);
      out[k] = c;
    }
    return {out, s.size()};
  });
}

void octet_length(KernelCall& call) {
  call.each<std::int64_t>([&](std::uint32_t i) { return static_cast<std::int64_t>(text(call, 0, i).size()); });
}

// overlay(text, by, from [, length])
void overlay(KernelCall& call) {
  std::string out;
  call.each<View>([&](std::uint32_t i) -> View {
    const View s = text(call, 0, i), by = text(call, 1, i);
    const std::int64_t from = integer(call, 2, i), have = static_cast<std::int64_t>(utf8_length(s));
    std::int64_t n = call.count > 3 ? integer(call, 3, i) : static_cast<std::int64_t>(utf8_length(by));
    if (from < 1 || from > have) return s;
    if (n < 0 || n > have - from + 1) n = have - from + 1;
    const std::size_t begin = utf8_offset(s, static_cast<std::size_t>(from - 1));
    const std::size_t end = begin + utf8_offset(s.substr(begin), static_cast<std::size_t>(n));
    out.assign(s.substr(0, begin));
    out += by;
    out += s.substr(end);
    return call.bytes->copy(out);
  });
}

// Characters of the second text become those at their place in the third, or go where it has none.
void translate(KernelCall& call) {
  std::string out;
  call.each<View>([&](std::uint32_t i) -> View {
    const View s = text(call, 0, i), from = text(call, 1, i), to = text(call, 2, i);
    out.clear();
    for (std::size_t at = 0; at < s.size();) {
      const std::size_t size = utf8_offset(s.substr(at), 1);
      const View c = s.substr(at, size);
      at += size;
      std::size_t place = 0;
      bool found = false;
      for (std::size_t k = 0; k < from.size() && !found; ++place) {
        const std::size_t width = utf8_offset(from.substr(k), 1);
        found = from.substr(k, width) == c;
        k += width;
      }
      if (!found) {
        out += c;
        continue;
      }
      const std::size_t begin = utf8_offset(to, place - 1);
      if (begin < to.size()) out += to.substr(begin, utf8_offset(to.substr(begin), 1));
    }
    return call.bytes->copy(out);
  });
}

void split_index(KernelCall& call) {  // from 0, as Flink has it
  auto* out = call.result<View>();
  for (std::uint32_t i = 0; i < call.rows; ++i) {
    out[i] = {};
    if (!call.computes(i)) continue;
    View s = text(call, 0, i);
    const View mark = text(call, 1, i);
    std::int64_t n = integer(call, 2, i);
    bool there = n >= 0;
    for (; there && n > 0; --n) {
      const std::size_t at = mark.empty() ? View::npos : s.find(mark);
      there = at != View::npos;
      if (there) s.remove_prefix(at + mark.size());
    }
    if (there)
      out[i] = mark.empty() ? s : s.substr(0, s.find(mark));
    else
      call.set_null(i);
  }
}

std::int64_t place_of(View what, View s, std::int64_t from) {
  if (from < 1) return 0;
  const std::size_t begin = utf8_offset(s, static_cast<std::size_t>(from - 1));
  if (from > 1 && begin >= s.size()) return 0;
  const std::size_t at = s.find(what, begin);
  return at == View::npos ? 0 : static_cast<std::int64_t>(utf8_length(s.substr(0, at))) + 1;
}
void instr(KernelCall& call) {
  call.each<std::int64_t>([&](std::uint32_t i) { return place_of(text(call, 1, i), text(call, 0, i), 1); });
}
void locate(KernelCall& call) {
  call.each<std::int64_t>([&](std::uint32_t i) {
    return place_of(text(call, 0, i), text(call, 1, i), call.count > 2 ? integer(call, 2, i) : 1);
  });
}

void elt(KernelCall& call) {  // not strict: only the chosen one may not be NULL
  auto* out = call.result<View>();
  for (std::uint32_t i = 0; i < call.rows; ++i) {
    out[i] = {};
    const std::int64_t n = call.args[0].is_null(i) ? 0 : integer(call, 0, i);
    if (n < 1 || n >= call.count || call.args[n].is_null(i))
      call.set_null(i);
    else
      out[i] = text(call, static_cast<std::size_t>(n), i);
  }
}

// Edits between two texts (V. Levenshtein, 1966), by bytes of one row of the table.
void levenshtein(KernelCall& call) {
  std::vector<std::size_t> row;
  std::vector<View> a, b;
  const auto letters = [](View s, std::vector<View>& out) {
    out.clear();
    for (std::size_t at = 0; at < s.size();) {
      const std::size_t n = utf8_offset(s.substr(at), 1);
      out.push_back(s.substr(at, n));
      at += n;
    }
  };
  auto* out = call.result<std::int64_t>();
  for (std::uint32_t i = 0; i < call.rows; ++i) {
    out[i] = 0;
    if (!call.computes(i)) continue;
    letters(text(call, 0, i), a);
    letters(text(call, 1, i), b);
    if (a.size() > 1024 || b.size() > 1024) {
      call.fail(i, "levenshtein compares texts of at most 1024 characters");
      continue;
    }
    row.resize(b.size() + 1);
    for (std::size_t k = 0; k <= b.size(); ++k) row[k] = k;
    for (std::size_t j = 1; j <= a.size(); ++j) {
      std::size_t diagonal = row[0];
      row[0] = j;
      for (std::size_t k = 1; k <= b.size(); ++k) {
        const std::size_t above = row[k];
        row[k] = std::min({above + 1, row[k - 1] + 1, diagonal + (a[j - 1] == b[k - 1] ? 0 : 1)});
        diagonal = above;
      }
    }
    out[i] = static_cast<std::int64_t>(row[b.size()]);
  }
}

template <bool (*f)(char)>
void all_of(KernelCall& call) {
  call.each<std::uint8_t>([&](std::uint32_t i) -> std::uint8_t {
    const View s = text(call, 0, i);
    return !s.empty() && std::all_of(s.begin(), s.end(), f);
  });
}
bool is_letter(char c) { return static_cast<unsigned char>((c | 0x20) - 'a') < 26; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

void substring_index(KernelCall& call) {
  call.each<View>([&](std::uint32_t i) -> View {
    const View s = text(call, 0, i), mark = text(call, 1, i);
    std::int64_t n = integer(call, 2, i);
    if (n == 0 || mark.empty()) return {};
    if (n > 0) {
      std::size_t at = 0;
      for (;; at += mark.size()) {
        at = s.find(mark, at);
        if (at == View::npos) return s;
        if (--n == 0) return s.substr(0, at);
      }
    }
    for (std::size_t end = s.size();;) {
      const std::size_t at = end < mark.size() ? View::npos : s.rfind(mark, end - mark.size());
      if (at == View::npos) return s;
      if (++n == 0) return s.substr(at + mark.size());
      end = at;
    }
  });
}

void space(KernelCall& call) {
  auto* out = call.result<View>();
  for (std::uint32_t i = 0; i < call.rows; ++i) {
    out[i] = {};
    if (!call.computes(i)) continue;
    const std::int64_t n = std::max<std::int64_t>(integer(call, 0, i), 0);
    if (n > static_cast<std::int64_t>(kMaxText)) {
      call.fail(i, kTooLong);
      continue;
    }
    const auto size = static_cast<std::size_t>(n);
    char* p = static_cast<char*>(call.bytes->allocate(size + 1, 1));
    std::memset(p, ' ', size);
    out[i] = {p, size};
  }
}

}  // namespace

std::span<const Overload> text_functions() {
  static const Overload table[] = {
      {{"initcap", "string", "initcap(text string) -> string",
        "Words with a capital first letter, the rest in lower case."},
       "s",
       's',
       initcap,
       15},
      {{"octet_length", "string", "octet_length(text bytes) -> int64", "Number of bytes."}, "y", 'i', octet_length, 1},
      {{"overlay", "string", "overlay(text string PLACING by string FROM start int64 [FOR length int64]) -> string",
        "Part of a text replaced by another."},
       "ssii?",
       's',
       overlay,
       30},
      {{"translate", "string", "translate(text string, from string, to string) -> string",
        "Each character of `from` replaced by the one at its place in `to`, or taken out where `to` has none."},
       "sss",
       's',
       translate,
       60},
      {{"split_index", "string", "split_index(text string, separator string, n int64) -> string",
        "The n-th part, from 0; NULL when there is none."},
       "ssi",
       's',
       split_index,
       15},
      {{"substring_index", "string", "substring_index(text string, separator string, n int64) -> string",
        "What stands before the n-th separator (behind it, from the end, when negative)."},
       "ssi",
       's',
       substring_index,
       15},
      {{"instr", "string", "instr(text string, what string) -> int64",
        "Place of the first occurrence, from 1; 0 = none."},
       "ss",
       'i',
       instr,
       15},
      {{"locate", "string", "locate(what string, text string [, start int64]) -> int64",
        "Place of the first occurrence at or behind `start`, from 1; 0 = none."},
       "ssi?",
       'i',
       locate,
       15},
      {{"elt", "string", "elt(n int64, text string, ...) -> string",
        "The n-th of the texts, from 1; NULL when there is none."},
       "iss*",
       's',
       elt,
       5,
       nullptr,
       false},
      {{"levenshtein", "string", "levenshtein(a string, b string) -> int64",
        "Insertions, removals and changes between them."},
       "ss",
       'i',
       levenshtein,
       400},
      {{"space", "string", "space(n int64) -> string", "n blanks."}, "i", 's', space, 15},
      {{"is_alpha", "string", "is_alpha(text string) -> bool", "Are all characters ASCII letters, and is there one?"},
       "s",
       'b',
       all_of<is_letter>,
       8},
      {{"is_digit", "string", "is_digit(text string) -> bool", "Are all characters digits, and is there one?"},
       "s",
       'b',
       all_of<is_digit>,
       8},
  };
  return table;
}

}  // namespace twinspan::engine
