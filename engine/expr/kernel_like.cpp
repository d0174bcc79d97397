// LIKE: % is any text, _ one code point, case matters. Constant patterns without _ that are an exact text, a prefix, a
// suffix or a containment need no matcher.

#include "engine/expr/kernel.h"
#include "engine/expr/short_text.h"

namespace twinspan::engine {

namespace {

// A pattern taken apart: literal bytes, and marks for % and _.
struct Pattern {
  struct Item {
    char mark;  // 0 literal, '%', '_'
    char byte;
  };
  std::vector<Item> items;
  std::string text;  // of the simple forms
};

bool parse(std::string_view s, char escape, Pattern& out) {
  out.items.clear();
  for (std::size_t i = 0; i < s.size(); ++i) {
    if (escape != 0 && s[i] == escape) {
      if (++i == s.size()) return false;
      out.items.push_back({0, s[i]});
    } else if (s[i] == '%' || s[i] == '_') {
      if (s[i] == '%' && !out.items.empty() && out.items.back().mark == '%') continue;
      out.items.push_back({s[i], 0});
    } else {
      out.items.push_back({0, s[i]});
    }
  }
  return true;
}

std::size_t next_code_point(std::string_view s, std::size_t i) {
  ++i;
  while (i < s.size() && (static_cast<unsigned char>(s[i]) & 0xC0) == 0x80) ++i;
  return i;
}

// Goes back only to the last %, which is enough: time is at most text x pattern.
bool match(const std::vector<Pattern::Item>& p, std::string_view s) {
  std::size_t i = 0, k = 0, star = SIZE_MAX, star_at = 0;
  while (i < s.size()) {
    if (k < p.size() && p[k].mark == '%') {
      star = ++k;
      star_at = i;
    } else if (k < p.size() && p[k].mark == '_') {
      i = next_code_point(s, i);
      ++k;
    } else if (k < p.size() && p[k].mark == 0 && p[k].byte == s[i]) {
      ++i, ++k;
    } else if (star != SIZE_MAX) {
      k = star;
      i = star_at = next_code_point(s, star_at);
    } else {
      return false;
    }
  }
  while (k < p.size() && p[k].mark == '%') ++k;
  return k == p.size();
}

template <class F>
void test(KernelCall& call, F&& f) {
  const Value& a = call.args[0];
  call.each<std::uint8_t>([&](std::uint32_t i) -> std::uint8_t { return f(a.at<std::string_view>(i)); });
}

void like_exact(KernelCall& call) {
  const std::string_view t = call.params->as<Pattern>().text;
  test(call, [t](std::string_view s) { return s == t; });
}
void like_prefix(KernelCall& call) {
  with_prefix_test(call.params->as<Pattern>().text, [&](auto begins) { test(call, begins); });
}
void like_suffix(KernelCall& call) {
  const std::string_view t = call.params->as<Pattern>().text;
  test(call, [t](std::string_view s) { return s.ends_with(t); });
}
void like_contains(KernelCall& call) {
  const std::string_view t = call.params->as<Pattern>().text;
  test(call, [t](std::string_view s) {
    return t.empty() || (s.size() >= t.size() && memmem(s.data(), s.size(), t.data(), t.size()) != nullptr);
  });
}
void like_general(KernelCall& call) {
  const auto& items = call.params->as<Pattern>().items;
  test(call, [&](std::string_view s) { return match(items, s); });
}

// params: a = escape character
void like_dynamic(KernelCall& call) {
  Pattern pattern;
  std::string_view parsed;
  bool fresh = true, good = true;
  const char escape = static_cast<char>(call.params->a);
  auto* out = call.result<std::uint8_t>();
  for (std::uint32_t i = 0; i < call.rows; ++i) {
    out[i] = 0;
    if (!call.computes(i)) continue;
    const auto p = call.args[1].at<std::string_view>(i);
    if (fresh || p != parsed) {
      parsed = p;
      fresh = false;
      good = parse(p, escape, pattern);
    }
    if (!good)
      call.fail(i, "the pattern of LIKE ends in its escape character");
    else
      out[i] = match(pattern.items, call.args[0].at<std::string_view>(i));
  }
}

}  // namespace

KernelChoice like_kernel(std::string_view text, char escape, std::string& error) {
  KernelChoice k;
  k.type = types::boolean;
  auto p = std::make_shared<Pattern>();
  if (!parse(text, escape, *p)) {
    error = "the pattern ends in its escape character";
    return k;
  }
  bool simple = true;
  const std::size_t n = p->items.size();
  for (std::size_t i = 0; i < n; ++i) {
    const auto& item = p->items[i];
    if (item.mark == '_' || (item.mark == '%' && i != 0 && i + 1 != n)) simple = false;
    if (item.mark == 0) p->text.push_back(item.byte);
  }
  const bool front = n > 0 && p->items.front().mark == '%', back = n > 0 && p->items.back().mark == '%';
  k.run = !simple         ? like_general
          : front && back ? like_contains
          : front         ? like_suffix
          : back          ? like_prefix
                          : like_exact;
  k.cost = simple ? 5 : 30;
  k.params.state = std::move(p);
  return k;
}

KernelChoice like_kernel_dynamic(char escape) {
  KernelChoice k;
  k.run = like_dynamic;
  k.type = types::boolean;
  k.params.a = escape;
  k.cost = 60;
  return k;
}

}  // namespace twinspan::engine
