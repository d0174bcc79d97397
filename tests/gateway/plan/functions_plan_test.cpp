// Functions of the pipeline file and `let`: put in where they are used, and errors that point into them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/load.h"

namespace twinspan::gateway {
namespace {

using ::testing::HasSubstr;

std::string pipeline(const std::string& functions, const std::string& steps) {
  return R"y(version: 1
name: p
functions:
)y" + functions +
         R"y(sources:
  ev:
    topic: t
    clusters: { pair: [east, west] }
    fields: { id: int64, a: int64, b: string, r: "row<x int64, y string>", ts: timestamp_ms }
    event_time: { field: ts }
steps:
)y" + steps +
         R"y(sinks:
  out: { from: s, topic: o, clusters: east }
)y";
}

std::string errors_of(const std::string& functions, const std::string& steps) {
  config::Diagnostics diagnostics;
  const auto p = load_pipeline(pipeline(functions, steps), "p.yaml", nullptr, {}, diagnostics);
  EXPECT_EQ(p.has_value() && p->plan != nullptr, !diagnostics.has_errors()) << diagnostics.render();
  return diagnostics.render();
}

std::string columns_of(const std::string& functions, const std::string& steps) {
  config::Diagnostics diagnostics;
  const auto p = load_pipeline(pipeline(functions, steps), "p.yaml", nullptr, {}, diagnostics);
  if (!p.has_value() || p->plan == nullptr) return diagnostics.render();
  std::string out;
  for (const auto& f : p->plan->sinks[0].schema.fields) out += f.name + " " + to_string(f.type) + "; ";
  return out;
}

TEST(UserFunctions, StandForTheirBody) {
  EXPECT_EQ(columns_of(R"y(  twice: { args: [x], body: x + x }
  clean: { args: [text], body: "lower(trim(text))", doc: Without blanks. }
  near: { args: [p, q, by], body: "abs(p - q) <= by" }
  sum_of: { args: [p, q], body: twice(p) + q }
  field: { args: [w], body: w.y || '!' }
  zero: { body: "0" }
)y",
                       R"y(  s:
    from: ev
    let: { n: "sum_of(id, a)" }
    where: near(id, a, zero()) OR clean(b) = 'x'
    select: { n: n, t: twice(n), c: clean(b), f: field(r), big: "twice(twice(1.5))" }
)y"),
            "n int64; t int64; c string; f string; big decimal(4,1); ");
}

TEST(UserFunctions, StandInEveryKindOfStep) {
  EXPECT_EQ(columns_of(R"y(  share: { args: [x, y], body: sum(x) / sum(y) }
  even: { args: [x], body: x % 2 = 0 }
)y",
                       R"y(  j:
    interval_join: { left: ev, right: ev, on: [id], between: [0s, 1s] }
    let: { c: left.b || right.b }
    where: even(right.a)
    select: { id: left.id, c: c, a: left.a }
  w:
    from: j
    let: { k: upper(c) }
    where: even(id)
    window: { tumbling: 10s }
    key: [k]
    aggregate: { n: count(*) FILTER (WHERE even(a)), q: "share(a, id)" }
  s: { from: w, select: { k: k, n: n, q: q } }
)y"),
            "k string; n int64; q int64; ");
}

// The body sees its arguments alone: `a` in it is no column of the step, and columns are not caught by its names.
TEST(UserFunctions, AreHygienic) {
  EXPECT_EQ(columns_of("  f: { args: [a], body: a || '!' }\n", "  s: { from: ev, select: { c: f(b) } }\n"),
            "c string; ");
  const std::string text = errors_of("  f: { args: [x], body: x + a }\n", "  s: { from: ev, select: { c: f(id) } }\n");
  EXPECT_THAT(text, HasSubstr("p.yaml:4:29: error[T0442]: 'a' is no argument of 'f'"));
  EXPECT_THAT(text, HasSubstr("its arguments: x"));
}

TEST(UserFunctions, ErrorsPointIntoTheFunctionAndSayWhereItWasUsed) {
  const std::string text = errors_of(R"y(  f: { args: [x], body: "1 + length(x)" }
  g: { args: [x], body: "f(x) * 2" }
)y",
                                     R"y(  s:
    from: ev
    select:
      c: 5 + f(id)
      d: g(a)
      e: f(nothing)
)y");
  EXPECT_THAT(text,
              HasSubstr("p.yaml:4:30: error[T0401]: `length` does not take (int64) (in function `f`, used at 16:14)"));
  EXPECT_THAT(text, HasSubstr("(in function `f`, used at 5:26 in function `g`, used at 17:10)"));
  EXPECT_THAT(text, HasSubstr("p.yaml:18:12: error[T0401]: unknown column `nothing`"));  // an argument is the caller's
}

TEST(UserFunctions, ErrorsOfLetPointIntoIt) {
  const std::string text = errors_of("  f: { args: [x], body: x }\n", R"y(  s:
    from: ev
    let: { n: "1 + length(id)" }
    select: { c: n * 2 }
)y");
  EXPECT_THAT(text,
              HasSubstr("p.yaml:14:20: error[T0401]: `length` does not take (int64) (in let `n`, used at 15:18)"));
}

TEST(UserFunctions, AreRefusedWhenWrong) {
  const std::string text = errors_of(
      R"y(  upper: { args: [x], body: x }
  sum: { args: [x], body: x }
  nvl: { args: [x], body: x }
  twice: { args: [x, x], body: x }
  bad: { args: [x], body: "x +" }
  f: { args: [x], body: g(x) }
  g: { args: [x], body: 1 + h(x) }
  h: { args: [x], body: f(x) }
  one: { args: [x], body: x }
)y",
      R"y(  s: { from: ev, select: { p: "one(a, b)", q: one(), r: "one(DISTINCT a)", t: "one(a) FILTER (WHERE a > 1)", u: f(a) } }
)y");
  EXPECT_THAT(text, HasSubstr("error[T0440]: there is a function 'upper' already"));
  EXPECT_THAT(text, HasSubstr("error[T0440]: there is a function 'sum' already"));
  EXPECT_THAT(text, HasSubstr("error[T0440]: there is a function 'nvl' already"));
  EXPECT_THAT(text, HasSubstr("error[T0441]: two arguments of 'twice' are called 'x'"));
  EXPECT_THAT(text, HasSubstr("p.yaml:8:31: error[T0401]: the expression ends here"));
  EXPECT_THAT(text, HasSubstr("error[T0443]: 'f' calls itself: f -> g -> h -> f"));
  EXPECT_THAT(text, HasSubstr("`one` takes 1 arguments, here are 2"));
  EXPECT_THAT(text, HasSubstr("`one` takes 1 arguments, here are 0"));
  EXPECT_THAT(text, HasSubstr("it takes no DISTINCT"));
  EXPECT_THAT(text, HasSubstr("it takes no FILTER"));
}

// Each level doubles what the one before made: refused early, in no time and little memory.
TEST(UserFunctions, GrowthIsBounded) {
  std::string functions = "  f0: { args: [x], body: x + x }\n", lets = "a0: a + a";
  for (int i = 1; i < 60; ++i) {
    functions += "  f" + std::to_string(i) + ": { args: [x], body: \"f" + std::to_string(i - 1) + "(x) + f" +
                 std::to_string(i - 1) + "(x)\" }\n";
    lets += ", a" + std::to_string(i) + ": a" + std::to_string(i - 1) + " + a" + std::to_string(i - 1);
  }
  EXPECT_THAT(errors_of(functions, "  s: { from: ev, select: { c: f59(a) } }\n"), HasSubstr("more than 100000 parts"));
  std::string nested = "a";
  for (int i = 0; i < 60; ++i) nested = "f0(" + nested + ")";
  EXPECT_THAT(errors_of("  f0: { args: [x], body: x + x }\n", "  s: { from: ev, select: { c: \"" + nested + "\" } }\n"),
              HasSubstr("more than 100000 parts"));
  EXPECT_THAT(
      errors_of("  f0: { args: [x], body: x }\n", "  s: { from: ev, let: { " + lets + " }, select: { c: a59 } }\n"),
      HasSubstr("too large"));
  std::string chain = "  f0: { args: [x], body: -(x) }\n";
  for (int i = 1; i < 300; ++i)
    chain += "  f" + std::to_string(i) + ": { args: [x], body: \"-(f" + std::to_string(i - 1) + "(x))\" }\n";
  EXPECT_THAT(errors_of(chain, "  s: { from: ev, select: { c: f299(a) } }\n"), HasSubstr("more than 200 levels deep"));
}

}  // namespace
}  // namespace twinspan::gateway
