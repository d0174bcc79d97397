// Native functions: called from expressions over batches, with NULLs and failing rows; plug-ins with mistakes.

#include "engine/native/native_module.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "engine/expr/aggregates.h"
#include "engine/expr/functions.h"
#include "engine/expr/program.h"

namespace twinspan::engine {
namespace {

namespace fs = std::filesystem;

std::string plugins(const std::string& which) { return std::string(TWINSPAN_TEST_PLUGINS) + "/" + which; }

void load_good() {
  const auto errors = load_native_modules(plugins("good"));
  ASSERT_TRUE(errors.empty()) << errors[0].message;
}

const Schema& schema() {
  static const Schema s{{{"n", types::int64},
                         {"s", types::string},
                         {"f", types::float64},
                         {"t", types::timestamp},
                         {"d", types::duration}}};
  return s;
}

struct Row {
  std::optional<std::int64_t> n;
  std::optional<std::string> s;
};

Batch batch_of(const std::vector<Row>& rows) {
  Batch b;
  b.schema = &schema();
  b.rows = static_cast<std::uint32_t>(rows.size());
  Arena& arena = b.add_arena();
  auto* n = arena.make<std::int64_t>(rows.size());
  auto* s = arena.make<std::string_view>(rows.size());
  auto* f = arena.make<double>(rows.size());
  auto* nv = arena.make<std::uint8_t>(rows.size());
  auto* sv = arena.make<std::uint8_t>(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    n[i] = rows[i].n.value_or(0);
    nv[i] = rows[i].n.has_value();
    s[i] = arena.copy(rows[i].s.value_or(""));
    sv[i] = rows[i].s.has_value();
    f[i] = 0.5;
  }
  b.columns = {{types::int64, n, nv},
               {types::string, s, sv},
               {types::float64, f, nullptr},
               {types::timestamp, n, nv},
               {types::duration, n, nv}};
  b.time = n;
  return b;
}

struct Evaluated {
  std::vector<std::string> values;  // "NULL", or the value as text
  std::vector<std::string> errors;  // "row: message"
};

Evaluated evaluate(const std::string& text, const std::vector<Row>& rows) {
  Evaluated out;
  const auto ast = parse_expression(text);
  if (!ast.ok()) {
    ADD_FAILURE() << ast.errors()[0].message;
    return out;
  }
  ProgramBuilder builder{Scope(schema())};
  const auto slot = builder.add(**ast);
  if (!slot.ok()) {
    ADD_FAILURE() << slot.errors()[0].message << " " << slot.errors()[0].hint;
    return out;
  }
  Program program = builder.build();
  const Batch batch = batch_of(rows);
  Arena arena;
  EvalErrors errors;
  const Column c = program.evaluate(batch, arena, errors)[0];
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (c.is_null(i))
      out.values.push_back("NULL");
    else if (c.type.is_string_like())
      out.values.emplace_back(c.as<std::string_view>()[i]);
    else if (c.type.kind == TypeKind::boolean)
      out.values.emplace_back(std::to_string(c.as<std::uint8_t>()[i]));
    else
      out.values.push_back(std::to_string(c.as<std::int64_t>()[i]));
  }
  for (const EvalError& e : errors) out.errors.push_back(std::to_string(e.row) + ": " + e.message);
  return out;
}

std::string refused(const std::string& text) {
  const auto ast = parse_expression(text);
  if (!ast.ok()) return ast.errors()[0].message;
  ProgramBuilder builder{Scope(schema())};
  const auto slot = builder.add(**ast);
  return slot.ok() ? "" : slot.errors()[0].message + " | " + slot.errors()[0].hint;
}

using Texts = std::vector<std::string>;

TEST(NativeScalar, ValuesNullsAndFailingRows) {
  load_good();
  const Evaluated e = evaluate("good.twice(n)", {{1, {}}, {{}, {}}, {13, {}}, {14, {}}, {-5, {}}});
  EXPECT_EQ(e.values, (Texts{"2", "NULL", "NULL", "NULL", "-10"}));
  EXPECT_EQ(e.errors, (Texts{"2: thirteen is not doubled"}));
}

TEST(NativeScalar, AFailureCountsOnlyWhereItReachesAResult) {
  load_good();
  const Evaluated e = evaluate("CASE WHEN n = 13 THEN -1 ELSE good.twice(n) END", {{1, {}}, {13, {}}, {14, {}}});
  EXPECT_EQ(e.values, (Texts{"2", "-1", "NULL"}));
  EXPECT_TRUE(e.errors.empty());
}

TEST(NativeScalar, StringsOfArgumentsConstantsAndAllocatedMemory) {
  load_good();
  EXPECT_EQ(evaluate("good.tail(s)", {{1, "abc"}, {1, "x"}, {1, {}}}).values, (Texts{"bc", "", "NULL"}));
  EXPECT_EQ(evaluate("good.tail(s)", {{1, ""}}).errors, (Texts{"0: an empty string has no tail"}));
  EXPECT_EQ(evaluate("good.join(s, '-x')", {{1, "abc"}, {1, ""}, {1, {}}}).values, (Texts{"abc-x", "-x", "NULL"}));
  EXPECT_EQ(evaluate("upper(good.join(good.tail(s), s))", {{1, "abc"}}).values, (Texts{"BCABC"}));
}

TEST(NativeScalar, BatchesOfManyRows) {
  load_good();
  std::vector<Row> rows;
  Texts expected;
  for (std::int64_t i = 0; i < 5000; ++i) {
    rows.push_back({i, std::to_string(i)});
    expected.push_back(std::to_string(i) + std::to_string(i));
  }
  EXPECT_EQ(evaluate("good.join(s, s)", rows).values, expected);
}

TEST(NativeScalar, OneThatTakesNullsSeesThem) {
  load_good();
  EXPECT_EQ(evaluate("good.nulls(n, s, f)", {{1, "a"}, {{}, "a"}, {{}, {}}}).values, (Texts{"0", "1", "2"}));
  EXPECT_EQ(evaluate("good.nulls(n, s, NULL)", {{1, "a"}, {{}, {}}}).values, (Texts{"1", "3"}));
}

TEST(NativeScalar, BooleansTimesAndImplicitConversions) {
  load_good();
  EXPECT_EQ(evaluate("good.is_even(n)", {{2, {}}, {3, {}}, {{}, {}}}).values, (Texts{"1", "0", "NULL"}));
  EXPECT_EQ(evaluate("good.is_even(n) OR n = 3", {{2, {}}, {3, {}}, {5, {}}}).values, (Texts{"1", "1", "0"}));
  EXPECT_EQ(evaluate("good.later(t, d)", {{100, {}}}).values, (Texts{"200"}));
  EXPECT_EQ(evaluate("good.nulls(n, s, n)", {{1, "a"}}).values, (Texts{"0"}));  // int64 -> float64
}

TEST(NativeScalar, WhatCannotBeAResultFailsTheRow) {
  load_good();
  EXPECT_EQ(evaluate("good.broken_text(n)", {{1, {}}}).errors,
            (Texts{"0: the native function gave a string that is not UTF-8"}));
  EXPECT_EQ(evaluate("good.strays(n)", {{1, {}}, {2, {}}}).errors,
            (Texts{"0: the native function failed a row that is not there",
                   "1: the native function failed a row that is not there"}));
}

TEST(NativeScalar, CallsOfConstantsAreFolded) {
  load_good();
  const auto ast = parse_expression("good.twice(21)");
  ProgramBuilder builder{Scope(schema())};
  ASSERT_TRUE(builder.add(**ast).ok());
  EXPECT_TRUE(builder.used_columns().empty());
  EXPECT_EQ(evaluate("good.twice(21)", {{1, {}}}).values, (Texts{"42"}));
}

TEST(NativeScalar, WrongCallsAreErrorsWithTheSignature) {
  load_good();
  EXPECT_NE(refused("good.twice(n, n)").find("good.twice(int64) -> int64"), std::string::npos)
      << refused("good.twice(n, n)");
  EXPECT_NE(refused("good.twice(s)").find("`good.twice` does not take (string)"), std::string::npos);
  EXPECT_NE(refused("good.twize(n)").find("did you mean `good.twice`"), std::string::npos) << refused("good.twize(n)");
  EXPECT_NE(refused("bad.twice(n)").find("unknown function `bad.twice`"), std::string::npos);
}

TEST(NativeScalar, StandsInTheFunctionTable) {
  load_good();
  const auto table = function_table();
  const auto f = std::find_if(table.begin(), table.end(), [](const FunctionInfo& i) { return i.name == "good.tail"; });
  ASSERT_NE(f, table.end());
  EXPECT_EQ(f->signature, "good.tail(string) -> string");
  EXPECT_EQ(f->group, "native");
  EXPECT_EQ(f->doc, "All but the first byte.");
}

TEST(NativeAggregates, StandInTheTableOfAggregates) {
  load_good();
  const AggregateInfo* f = find_aggregate("good.total");
  ASSERT_NE(f, nullptr);
  EXPECT_EQ(f->signature, "good.total(int64) -> int64");
  EXPECT_EQ(f->memory, "8 bytes");
  EXPECT_TRUE(f->retractable());
  const AggregateInfo* last = find_aggregate("good.longest");
  ASSERT_NE(last, nullptr);
  EXPECT_EQ(last->memory, "8 to 1024 bytes");
  EXPECT_EQ(last->not_retractable, "one text is kept, and not the one that would take its place");
}

TEST(NativeAggregates, CallsAreTakenOutOfExpressions) {
  load_good();
  std::vector<AggregateCall> calls;
  const auto ast = parse_expression("good.total(n) FILTER (WHERE n > 3) / count(*) + good.total(n)");
  ASSERT_TRUE(ast.ok());
  ASSERT_TRUE(split_aggregates(*ast, calls).ok());
  ASSERT_EQ(calls.size(), 3u);
  EXPECT_EQ(calls[0].function, "good.total");
  EXPECT_NE(calls[0].filter, nullptr);
  EXPECT_EQ(refused("1 + good.total(n)"),
            "the aggregate `good.total` cannot stand here | aggregates belong under `aggregate:` of a window step");
  for (const auto& [text, message] : {std::pair{"good.total(n, n)", "`good.total` does not take 2 arguments"},
                                      std::pair{"good.total(DISTINCT n)", "`good.total` takes no DISTINCT"},
                                      std::pair{"good.total(*)", "`good.total(*)` has no meaning"}}) {
    const auto split = split_aggregates(*parse_expression(text));
    ASSERT_FALSE(split.ok()) << text;
    EXPECT_EQ(split.errors()[0].message, message);
  }
}

// Built when there were no aggregates: its description ends before them.
TEST(NativeModules, AnOlderDescriptionOfTheSameInterfaceIsFine) {
  const auto errors = load_native_modules(plugins("older"));
  ASSERT_TRUE(errors.empty()) << errors[0].message;
  EXPECT_EQ(evaluate("older.one(n)", {{7, {}}}).values, (Texts{"1"}));
}

TEST(NativeModules, LoadingTwiceIsOnce) {
  load_good();
  load_good();
  std::size_t n = 0;
  for (const NativeModuleInfo& m : native_modules()) n += m.name == "good";
  EXPECT_EQ(n, 1u);
}

// By the numbers of the enum in bad.c.
TEST(NativeModules, EveryMistakeHasItsError) {
  const char* expected[] = {"has no symbol 'twinspan_native_module'",
                            "gives no description of itself",
                            "was built for version 2 of the interface, this program has version 1",
                            "describes itself in 8 bytes",
                            "calls itself 'somebody'",
                            "has no function",
                            "has no proper name for its function 0",
                            "function 'one' has no line of documentation",
                            "function 'one' takes 17 arguments; 1 to 16 are possible",
                            "function 'one' takes 0 arguments",
                            "function 'one' has type 99 for argument 1, which is none",
                            "function 'one' has type 0 for its result",
                            "function 'one' has flags 0x40",
                            "function 'one' has no code",
                            "has two functions 'one'",
                            "function 'whole' gives 0 columns; 1 to 16 are possible",
                            "function 'whole' has type 77 for column 'a'",
                            "function 'whole' gives two columns 'a'",
                            "has two functions 'one'",
                            "function 'sums' needs `add`, `merge` and `value`",
                            "function 'sums' takes no rows back, and does not say why",
                            "function 'sums' keeps 8 to 1073741824 bytes; 1 to 16777216 are possible",
                            "has two functions 'whole'",
                            "function 'sums' has type 88 for its result"};
  const std::size_t functions = function_table().size();
  for (int bad = 1; bad <= 24; ++bad) {
    const auto errors = load_native_modules(plugins("bad" + std::to_string(bad)));
    ASSERT_EQ(errors.size(), 1u) << bad;
    EXPECT_EQ(errors[0].kind, ErrorKind::config);
    EXPECT_NE(errors[0].message.find(expected[bad - 1]), std::string::npos) << bad << ": " << errors[0].message;
  }
  EXPECT_EQ(function_table().size(), functions);  // nothing of a refused file is there
  for (const AggregateInfo* a : native_aggregates()) EXPECT_FALSE(a->name.starts_with("bad")) << a->name;
}

class NativeDirectory : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "native_test_XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    path_ = name;
  }
  void TearDown() override { fs::remove_all(path_); }
  void expect_error(const std::string& part) {
    const auto errors = load_native_modules(path_);
    ASSERT_EQ(errors.size(), 1u);
    EXPECT_NE(errors[0].message.find(part), std::string::npos) << errors[0].message;
  }
  std::string path_;
};

TEST_F(NativeDirectory, MustBeOne) {
  const auto errors = load_native_modules(path_ + "/nothing");
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_NE(errors[0].message.find("is no directory"), std::string::npos);
}

TEST_F(NativeDirectory, WithoutLibrariesIsFine) {
  std::ofstream(path_ + "/README.txt") << "nothing here";
  EXPECT_TRUE(load_native_modules(path_).empty());
}

TEST_F(NativeDirectory, MayNotBeWrittenByAnybody) {
  ::chmod(path_.c_str(), 0777);
  expect_error("may be written by anybody");
}

TEST_F(NativeDirectory, FilesMayNotBeWrittenByAnybodyEither) {
  fs::copy(plugins("good/good.so"), path_ + "/good.so");
  ::chmod((path_ + "/good.so").c_str(), 0666);
  expect_error("may be written by anybody");
}

TEST_F(NativeDirectory, NoLinksThatLeadOut) {
  fs::create_symlink(plugins("good/good.so"), path_ + "/good.so");
  expect_error("leads out of the directory");
}

TEST_F(NativeDirectory, WhatIsNoLibraryDoesNotLoad) {
  std::ofstream(path_ + "/text.so") << "no library";
  expect_error("does not load");
}

TEST_F(NativeDirectory, NamesMustStandInExpressions) {
  fs::copy(plugins("good/good.so"), path_ + "/9-good.so");
  expect_error("cannot stand in an expression");
}

TEST_F(NativeDirectory, AllErrorsAtOnceAndTheOthersStillLoad) {
  std::ofstream(path_ + "/a.so") << "no library";
  std::ofstream(path_ + "/b.so") << "no library";
  EXPECT_EQ(load_native_modules(path_).size(), 2u);
}

TEST_F(NativeDirectory, TwoModulesOfOneNameAreRefused) {
  load_good();
  fs::copy(plugins("good/good.so"), path_ + "/good.so");
  expect_error("good.");
}

}  // namespace
}  // namespace twinspan::engine
