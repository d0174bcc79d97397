// Regular expressions by RE2 (linear time on any input, bounded memory). Patterns are constants, compiled once and
// shared by all shards: an RE2 object is safe to use from several threads.

#include <fmt/format.h>
#include <re2/re2.h>

#include "engine/base/nested.h"
#include "engine/expr/overload.h"

namespace twinspan::engine {

namespace {

// An empty text may have no address; to RE2 that is a group that did not take part.
re2::StringPiece piece(std::string_view s) {
  return s.empty() ? re2::StringPiece("", 0) : re2::StringPiece(s.data(), s.size());
}

// Of one pattern with its automata: what does not fit is refused at load, or matched by the slower of RE2's engines.
constexpr std::int64_t kPatternMemory = 2 << 20;
constexpr std::size_t kMaxPattern = 4096;
constexpr std::size_t kMaxText = 1 << 20;

struct Pattern {
  std::unique_ptr<re2::RE2> re;
  std::string rewrite;
};

std::shared_ptr<Pattern> compile(std::span<const ArgInfo> args, std::string& error, std::size_t& bad) {
  bad = 1;
  if (args[1].constant == nullptr || args[1].constant->is_null(0)) {
    error = "the pattern must be a constant";
    return nullptr;
  }
  if (args[1].constant->at<std::string_view>(0).size() > kMaxPattern) {
    error = fmt::format("the pattern has more than {} bytes", kMaxPattern);
    return nullptr;
  }
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(kPatternMemory);
  auto p = std::make_shared<Pattern>();
  p->re = std::make_unique<re2::RE2>(piece(args[1].constant->at<std::string_view>(0)), options);
  if (!p->re->ok()) {
    error = "bad regular expression: " + p->re->error();
    return nullptr;
  }
  return p;
}

bool prepare_like(std::span<const ArgInfo> args, KernelChoice& k, std::string& error, std::size_t& bad) {
  auto p = compile(args, error, bad);
  k.params.state = p;
  return p != nullptr;
}

bool prepare_extract(std::span<const ArgInfo> args, KernelChoice& k, std::string& error, std::size_t& bad) {
  auto p = compile(args, error, bad);
  if (!p) return false;
  if (args.size() > 2) {
    bad = 2;
    if (args[2].constant == nullptr || args[2].constant->is_null(0)) {
      error = "the group must be a constant";
      return false;
    }
    k.params.a = args[2].constant->at<std::int64_t>(0);
    const int groups = p->re->NumberOfCapturingGroups();
    if (k.params.a < 0 || k.params.a > groups) {
      error = fmt::format("the pattern has no group {} (it has {})", k.params.a, groups);
      return false;
    }
  }
  k.params.state = p;
  return true;
}

bool prepare_replace(std::span<const ArgInfo> args, KernelChoice& k, std::string& error, std::size_t& bad) {
  auto p = compile(args, error, bad);
  if (!p) return false;
  bad = 2;
  if (args[2].constant == nullptr || args[2].constant->is_null(0)) {
    error = "the replacement must be a constant";
    return false;
  }
  const auto text = args[2].constant->at<std::string_view>(0);  // $1 in SQL, \1 in RE2
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '$' && i + 1 < text.size() && text[i + 1] >= '0' && text[i + 1] <= '9')
      p->rewrite += '\\';
    else if (text[i] == '\\')
      p->rewrite += "\\\\";
    else
      p->rewrite += text[i];
  }
  if (!p->re->CheckRewriteString(piece(p->rewrite), &error)) return false;
  k.params.state = p;
  return true;
}

void regexp_like(KernelCall& call) {
  const auto& re = *call.params->as<Pattern>().re;
  call.each<std::uint8_t>([&](std::uint32_t i) -> std::uint8_t {
    return re2::RE2::PartialMatch(piece(call.args[0].at<std::string_view>(i)), re);
  });
}

void regexp_extract(KernelCall& call) {
  const auto& re = *call.params->as<Pattern>().re;
  const auto group = static_cast<int>(call.params->a);
  std::vector<re2::StringPiece> groups(static_cast<std::size_t>(group) + 1);
  auto* out = call.result<std::string_view>();
  for (std::uint32_t i = 0; i < call.rows; ++i) {
    out[i] = {};
    if (!call.computes(i)) continue;
    const auto s = call.args[0].at<std::string_view>(i);
    const bool hit = re.Match(piece(s), 0, s.size(), re2::RE2::UNANCHORED, groups.data(), group + 1);
    const auto& g = groups[static_cast<std::size_t>(group)];
    if (!hit || g.data() == nullptr)
      call.set_null(i);
    else
      out[i] = {g.data(), g.size()};
  }
}

// f(match, place) for every match, none overlapping another; an empty one moves on by a character.
template <class F>
void each_match(const re2::RE2& re, std::string_view s, re2::StringPiece* groups, int n, F&& f) {
  for (std::size_t at = 0; at <= s.size();) {
    if (!re.Match(piece(s), at, s.size(), re2::RE2::UNANCHORED, groups, n)) return;
    const auto begin = static_cast<std::size_t>(groups[0].data() - piece(s).data());
    if (!f(begin)) return;
    at = begin + groups[0].size();
    if (groups[0].empty()) at += at < s.size() ? utf8_offset(s.substr(at), 1) : 1;
  }
}

// As RE2::GlobalReplace, but gives up when the text grows too long: a replacement can name a group many times.
void regexp_replace(KernelCall& call) {
  const auto& p = call.params->as<Pattern>();
  const int groups = 1 + re2::RE2::MaxSubmatch(piece(p.rewrite));
  std::vector<re2::StringPiece> match(static_cast<std::size_t>(groups));
  auto* to = call.result<std::string_view>();
  std::string out;
  for (std::uint32_t i = 0; i < call.rows; ++i) {
    to[i] = {};
    if (!call.computes(i)) continue;
    const auto s = call.args[0].at<std::string_view>(i);
    std::size_t done = 0, replaced = 0;
    out.clear();
    each_match(*p.re, s, match.data(), groups, [&](std::size_t at) {
      if (match[0].empty() && at == done && replaced > 0) return true;  // right behind the match before
      out.append(s.substr(done, at - done));
      p.re->Rewrite(&out, piece(p.rewrite), match.data(), groups);
      done = at + match[0].size();
      ++replaced;
      return out.size() <= kMaxText + s.size();
    });
    if (replaced == 0) {
      to[i] = s;
    } else if (out.size() > kMaxText + s.size()) {
      call.fail(i, "the text would be longer than 1 MiB");
    } else {
      out.append(s.substr(done));
      to[i] = call.bytes->copy(out);
    }
  }
}

void regexp_count(KernelCall& call) {
  const auto& re = *call.params->as<Pattern>().re;
  call.each<std::int64_t>([&](std::uint32_t i) -> std::int64_t {
    std::int64_t n = 0;
    re2::StringPiece match;
    each_match(re, call.args[0].at<std::string_view>(i), &match, 1, [&](std::size_t) { return ++n, true; });
    return n;
  });
}

void regexp_instr(KernelCall& call) {
  const auto& re = *call.params->as<Pattern>().re;
  call.each<std::int64_t>([&](std::uint32_t i) -> std::int64_t {
    std::int64_t place = 0;
    re2::StringPiece match;
    const auto s = call.args[0].at<std::string_view>(i);
    each_match(re, s, &match, 1, [&](std::size_t at) {
      place = static_cast<std::int64_t>(utf8_length(s.substr(0, at))) + 1;
      return false;
    });
    return place;
  });
}

void regexp_extract_all(KernelCall& call) {
  const auto& re = *call.params->as<Pattern>().re;
  const auto group = static_cast<int>(call.params->a);
  std::vector<re2::StringPiece> groups(static_cast<std::size_t>(group) + 1);
  ArrayBuilder out(types::string);
  call.each<std::string_view>([&](std::uint32_t i) -> std::string_view {
    out.clear();
    each_match(re, call.args[0].at<std::string_view>(i), groups.data(), group + 1, [&](std::size_t) {
      const auto& g = groups[static_cast<std::size_t>(group)];
      const std::string_view text(g.data(), g.size());
      if (g.data() == nullptr)
        out.add_null();
      else
        out.add(&text);
      return true;
    });
    return call.bytes->copy(out.finish());
  });
}
bool prepare_extract_all(std::span<const ArgInfo> args, KernelChoice& k, std::string& error, std::size_t& bad) {
  k.type = types::array(types::string);
  return prepare_extract(args, k, error, bad);
}

}  // namespace

std::span<const Overload> regexp_functions() {
  static const Overload table[] = {
      {{"regexp_like", "regexp", "regexp_like(text string, pattern string) -> bool",
        "Does the pattern (RE2, constant) match anywhere in the text?"},
       "ss",
       'b',
       regexp_like,
       100,
       prepare_like},
      {{"regexp_extract", "regexp", "regexp_extract(text string, pattern string [, group int64]) -> string",
        "The first match, or a group of it (0 = whole); NULL when there is none."},
       "ssi?",
       's',
       regexp_extract,
       200,
       prepare_extract},
      {{"regexp_replace", "regexp", "regexp_replace(text string, pattern string, by string) -> string",
        "Every match replaced; $1 stands for group 1."},
       "sss",
       's',
       regexp_replace,
       300,
       prepare_replace},
      {{"regexp_extract_all", "regexp",
        "regexp_extract_all(text string, pattern string [, group int64]) -> array<string>",
        "All matches, or a group of each."},
       "ssi?",
       'A',
       regexp_extract_all,
       400,
       prepare_extract_all},
      {{"regexp_count", "regexp", "regexp_count(text string, pattern string) -> int64",
        "How often the pattern matches."},
       "ss",
       'i',
       regexp_count,
       300,
       prepare_like},
      {{"regexp_instr", "regexp", "regexp_instr(text string, pattern string) -> int64",
        "Place of the first match, from 1; 0 = none."},
       "ss",
       'i',
       regexp_instr,
       150,
       prepare_like},
  };
  return table;
}

}  // namespace twinspan::engine
