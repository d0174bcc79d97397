// The list of seeded bugs is usable: every one applies to the tree as it is. Whether they are caught is a matter of
// minutes: ./dev mutants.

#include "tests/mutants/mutant.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <set>
#include <stdexcept>

namespace twinspan::mutants {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

const fs::path kSource = TWINSPAN_SOURCE_DIR;

std::string text_of(const fs::path& path) {
  std::ifstream in(path);
  EXPECT_TRUE(in) << path;
  return {(std::istreambuf_iterator<char>(in)), {}};
}

std::set<std::string> test_programs() {
  std::set<std::string> out;
  for (const auto& entry : fs::recursive_directory_iterator(kSource / "tests")) {
    if (entry.path().filename() != "CMakeLists.txt") continue;
    const std::string text = text_of(entry.path()), call = "twinspan_tests(";
    for (std::size_t at = text.find(call); at != std::string::npos; at = text.find(call, at + 1)) {
      const std::size_t begin = at + call.size();
      out.insert(text.substr(begin, text.find_first_of(" )\n", begin) - begin) + "_tests");
    }
  }
  return out;
}

TEST(Mutants, EveryOneAppliesToTheTree) {
  const auto all = read_mutants(kSource / "tests/mutants");
  EXPECT_GE(all.size(), 12u);
  const auto programs = test_programs();
  for (const Mutant& m : all) {
    EXPECT_TRUE(m.file.starts_with("engine/")) << m.name << ": seeded bugs are the engine's";
    if (!fs::exists(kSource / m.file)) {
      ADD_FAILURE() << "tests/mutants/" << m.name << ".mutant: " << m.file << " is gone";
      continue;
    }
    try {
      (void)mutated(m, text_of(kSource / m.file));
    } catch (const std::runtime_error& e) {
      ADD_FAILURE() << e.what();
    }
    for (const Program& p : m.tests) EXPECT_TRUE(programs.count(p.name)) << m.name << ": no test program " << p.name;
  }
}

constexpr const char* kText = R"(# Bounds are off
# by one.
file: engine/a.cpp
tests: a_tests --gtest_filter=Bounds.*
tests: b_tests
---
if (a <
    b) return 1;
+++
if (a <= b) return 1;
)";

std::string message(const std::function<void()>& f) {
  try {
    f();
  } catch (const std::runtime_error& e) {
    return e.what();
  }
  return "";
}

TEST(Mutants, AreReadWithReasonFileTestsAndCode) {
  const Mutant m = parse_mutant("bounds", kText);
  EXPECT_EQ(m.what, "Bounds are off by one.");
  EXPECT_EQ(m.file, "engine/a.cpp");
  ASSERT_EQ(m.tests.size(), 2u);
  EXPECT_EQ(m.tests[0].name, "a_tests");
  EXPECT_EQ(m.tests[0].arguments, std::vector<std::string>{"--gtest_filter=Bounds.*"});
  EXPECT_TRUE(m.tests[1].arguments.empty());
}

TEST(Mutants, ApplyWhateverTheLineBreaks) {
  const Mutant m = parse_mutant("bounds", kText);
  EXPECT_EQ(mutated(m, "int f() {\n  if (a < b)\n    return 1;\n}\n"), "int f() {\n  if (a <= b) return 1;\n}\n");
}

TEST(Mutants, SayWhenTheCodeHasMovedOrIsThereTwice) {
  const Mutant m = parse_mutant("bounds", kText);
  const std::string gone = message([&] { (void)mutated(m, "if (a <= b) return 1;"); });
  EXPECT_THAT(gone, HasSubstr("engine/a.cpp has its code not at all instead of once"));
  EXPECT_THAT(gone, HasSubstr("./dev mutants bounds"));
  EXPECT_THAT(message([&] { (void)mutated(m, "if (a < b) return 1; if (a < b) return 1;"); }), HasSubstr("2 times"));
}

TEST(Mutants, AreRefusedWhenSomethingIsMissing) {
  const std::string text = kText;
  const auto without = [&](const std::string& part) {
    std::string t = text;
    t.erase(t.find(part), part.size());
    return message([&] { (void)parse_mutant("x", t); });
  };
  EXPECT_THAT(without("file: engine/a.cpp\n"), HasSubstr("no 'file:'"));
  EXPECT_THAT(without("---\n"), HasSubstr("is neither"));
  EXPECT_THAT(without("+++\n"), HasSubstr("'+++' behind"));
  const std::string code = "if (a <\n    b) return 1;\n";
  EXPECT_THAT(message([&] { (void)parse_mutant("x", text.substr(0, text.find("+++")) + "+++\n" + code); }),
              HasSubstr("changes nothing"));
}

}  // namespace
}  // namespace twinspan::mutants
