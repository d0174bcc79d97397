// Regular expressions by RE2 (linear time on any input) and hashing. Patterns are constants, compiled once and shared
// by all shards: an RE2 object is safe to use from several threads.

#include <fmt/format.h>
#include <re2/re2.h>
#include <xxhash.h>

#include "engine/expr/overload.h"

namespace twinspan::engine {

namespace {

// An empty text may have no address; to RE2 that is a group that did not take part.
re2::StringPiece piece(std::string_view s) {
  return s.empty() ? re2::StringPiece("", 0) : re2::StringPiece(s.data(), s.size());
}

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
  re2::RE2::Options options;
  options.set_log_errors(false);
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

void regexp_replace(KernelCall& call) {
  const auto& p = call.params->as<Pattern>();
  std::string out;
  call.each<std::string_view>([&](std::uint32_t i) -> std::string_view {
    const auto s = call.args[0].at<std::string_view>(i);
    out = s;
    if (re2::RE2::GlobalReplace(&out, *p.re, piece(p.rewrite)) == 0) return s;
    return call.bytes->copy(out);
  });
}

// params: a = kind of the argument, b = its scale
void xxhash64(KernelCall& call) {
  const Value& a = call.args[0];
  const auto of = [](const void* p, std::size_t n) { return static_cast<std::int64_t>(XXH64(p, n, 0)); };
  call.each<std::int64_t>([&](std::uint32_t i) -> std::int64_t {
    switch (static_cast<TypeKind>(call.params->a)) {
      case TypeKind::boolean: return of(&a.at<std::uint8_t>(i), 1);
      case TypeKind::string:
      case TypeKind::bytes:
      case TypeKind::array:
      case TypeKind::map:
      case TypeKind::row:
      case TypeKind::json: return of(a.at<std::string_view>(i).data(), a.at<std::string_view>(i).size());
      case TypeKind::decimal: return of(&a.at<Decimal>(i), sizeof(Decimal));
      case TypeKind::float64: {
        const double v = a.at<double>(i) == 0 ? 0.0 : a.at<double>(i);  // -0 = 0
        return of(&v, sizeof v);
      }
      default: return of(&a.at<std::int64_t>(i), 8);
    }
  });
}

bool prepare_hash(std::span<const ArgInfo> args, KernelChoice& k, std::string&, std::size_t&) {
  k.params.a = static_cast<std::int64_t>(args[0].type.kind);
  k.params.b = args[0].type.scale;
  return true;
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
      {{"xxhash64", "hash", "xxhash64(x) -> int64",
        "XXH64 (seed 0) of a text's bytes, or of a number's little-endian bytes."},
       "a",
       'i',
       xxhash64,
       5,
       prepare_hash},
  };
  return table;
}

}  // namespace twinspan::engine
