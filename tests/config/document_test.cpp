#include "config/document.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace twinspan::config {
namespace {

using ::testing::HasSubstr;

struct BadDocument {
  const char* name;
  std::string text;
  const char* code;
  int line, column;
};

class RefusedDocument : public ::testing::TestWithParam<BadDocument> {};

TEST_P(RefusedDocument, GivesItsCodeAtItsPlace) {
  Diagnostics diagnostics;
  read_document(GetParam().text, "f.yaml", diagnostics);
  ASSERT_EQ(diagnostics.all().size(), 1u) << diagnostics.render();
  const Diagnostic& d = diagnostics.all().front();
  EXPECT_EQ(d.code, GetParam().code) << diagnostics.render();
  EXPECT_EQ(d.line, GetParam().line) << diagnostics.render();
  EXPECT_EQ(d.column, GetParam().column) << diagnostics.render();
}

std::string nested(int levels) { return "a: " + std::string(levels, '[') + std::string(levels, ']'); }

std::string many_items(int count) {
  std::string text = "a: [";
  for (int i = 0; i < count; ++i) text += "x,";
  return text + "]";
}

INSTANTIATE_TEST_SUITE_P(
    All, RefusedDocument,
    ::testing::Values(
        BadDocument{"UnclosedFlow", "a: 1\nb: { c: 1\n", "T0101", 3, 1},
        BadDocument{"BadIndentation", "a:\n  b: 1\n c: 2\n", "T0101", 3, 2},
        BadDocument{"ControlCharacter", "a: x\x01y\n", "T0102", 1, 5},
        BadDocument{"InvalidUtf8", "a: \xC3(\n", "T0102", 1, 4},
        BadDocument{"NulByte", std::string("a: x\0y", 6), "T0102", 1, 5},
        BadDocument{"TabIndentation", "a:\n\tb: 1\n", "T0103", 2, 1},
        BadDocument{"DuplicateKey", "a: 1\nb: 2\na: 3\n", "T0104", 3, 1},
        BadDocument{"DuplicateKeyInQuotes", "m: { 'x': 1, \"x\": 2 }\n", "T0104", 1, 14},
        BadDocument{"MergeKey", "a:\n  <<: { b: 1 }\n", "T0105", 2, 3},
        BadDocument{"Anchor", "a: &x 1\n", "T0106", 1, 4}, BadDocument{"Tag", "a: !!int 3\n", "T0107", 1, 4},
        BadDocument{"TooLarge", "a: " + std::string(kMaxDocumentBytes, 'x'), "T0108", 0, 0},
        BadDocument{"TooDeep", nested(64), "T0109", 1, 67}, BadDocument{"VeryDeep", nested(100'000), "T0109", 1, 67},
        BadDocument{"TooManyNodes", many_items(50'000), "T0110", 1, 4 + 2 * 49'997 + 1},
        BadDocument{"SecondDocument", "a: 1\n---\nb: 2\n", "T0111", 2, 1},
        BadDocument{"ListAsKey", "? [a, b]\n: 1\n", "T0112", 1, 3}, BadDocument{"Empty", "", "T0113", 1, 1},
        BadDocument{"OnlyAComment", "# nothing\n", "T0113", 1, 1}, BadDocument{"ListAtTop", "- a\n", "T0113", 1, 1},
        BadDocument{"ScalarAtTop", "hello\n", "T0113", 1, 1}),
    [](const auto& info) { return info.param.name; });

TEST(Document, AnAliasIsRefusedWithItsAnchor) {
  Diagnostics diagnostics;
  read_document("a: &x [1]\nb: *x\n", "f.yaml", diagnostics);
  ASSERT_EQ(diagnostics.all().size(), 2u) << diagnostics.render();
  EXPECT_EQ(diagnostics.all()[1].code, "T0106");
  EXPECT_EQ(diagnostics.all()[1].line, 2);
  EXPECT_EQ(diagnostics.all()[1].column, 4);
}

TEST(Document, DeepestAllowedNestingIsRead) {
  Diagnostics diagnostics;
  EXPECT_TRUE(read_document(nested(63), "f.yaml", diagnostics)) << diagnostics.render();
}

TEST(Document, ScalarsStayTextAndKnowTheirPlace) {
  Diagnostics diagnostics;
  const auto document =
      read_document("\xEF\xBB\xBF# c\r\nschlüssel: 010\r\nö: { x: yes, y: ~ }\r\nz:\r\n", "f.yaml", diagnostics);
  ASSERT_TRUE(document) << diagnostics.render();
  EXPECT_EQ(document->root.entries[0].value.text(), "010");
  const Origin& at = document->root.entries[0].value.origin;
  EXPECT_EQ(at.source->position(at.begin).line, 2);
  EXPECT_EQ(at.source->position(at.begin).column, 12);  // in characters
  EXPECT_EQ(document->root.find("ö")->find("x")->text(), "yes");
  EXPECT_EQ(document->root.find("ö")->find("y")->kind, NodeKind::null);
  EXPECT_EQ(document->root.find("z")->kind, NodeKind::null);
}

TEST(Document, ACommaInsideParenthesesStaysInAFlowValue) {
  Diagnostics diagnostics;
  const auto document =
      read_document("m: { a: decimal(18,4), b: f(x, g(y, z)), c: d }\nl: [f(a, b), c]\n", "f.yaml", diagnostics);
  ASSERT_TRUE(document) << diagnostics.render();
  EXPECT_EQ(diagnostics.all().size(), 0u) << diagnostics.render();
  const Node& m = *document->root.find("m");
  ASSERT_EQ(m.entries.size(), 3u);
  EXPECT_EQ(m.entries[0].value.text(), "decimal(18,4)");
  EXPECT_EQ(m.entries[1].value.text(), "f(x, g(y, z))");
  EXPECT_EQ(m.entries[2].value.text(), "d");
  const Node& l = *document->root.find("l");
  ASSERT_EQ(l.items.size(), 2u);
  EXPECT_EQ(l.items[0].text(), "f(a, b)");
}

// Every character of `needle` in the value must map back to the same character in the file.
struct Mapped {
  const char* name;
  std::string text;    // the value stands under key `e`
  std::string needle;  // a part of the value
  int line, column;
};

class ScalarMapping : public ::testing::TestWithParam<Mapped> {};

TEST_P(ScalarMapping, FindsTheCharacterInTheFile) {
  Diagnostics diagnostics;
  const auto document = read_document(GetParam().text, "f.yaml", diagnostics);
  ASSERT_TRUE(document) << diagnostics.render();
  const Node& node = *document->root.find("e");
  const std::size_t offset = node.text().find(GetParam().needle);
  ASSERT_NE(offset, std::string::npos) << node.text();
  const Position at = node.origin.source->position(source_offset(node.origin, offset));
  EXPECT_EQ(at.line, GetParam().line);
  EXPECT_EQ(at.column, GetParam().column);
}

INSTANTIATE_TEST_SUITE_P(
    All, ScalarMapping,
    ::testing::Values(Mapped{"Plain", "e: abc + NEEDLE\n", "NEEDLE", 1, 10},
                      Mapped{"PlainAfterUmlauts", "e: ä || NEEDLE\n", "||", 1, 6},
                      Mapped{"PlainOverTwoLines", "e: abc +\n   NEEDLE\n", "NEEDLE", 2, 4},
                      Mapped{"SingleQuoted", "e: 'abc + NEEDLE'\n", "NEEDLE", 1, 11},
                      Mapped{"SingleQuotedWithQuotes", "e: 'a = ''b'' + NEEDLE'\n", "NEEDLE", 1, 17},
                      Mapped{"DoubleQuoted", "e: \"abc + NEEDLE\"\n", "NEEDLE", 1, 11},
                      Mapped{"DoubleQuotedWithEscapes", "e: \"a\\n\\\"\\u00e4\\U0001F600\\x41 NEEDLE\"\n", "NEEDLE", 1,
                             31},
                      Mapped{"DoubleQuotedEscapedLineEnd", "e: \"abc \\\n    NEEDLE\"\n", "NEEDLE", 2, 5},
                      Mapped{"DoubleQuotedFolded", "e: \"abc\n\n    NEEDLE\"\n", "NEEDLE", 3, 5},
                      Mapped{"Literal", "e: |\n  abc\n    x + NEEDLE\n", "NEEDLE", 3, 9},
                      Mapped{"LiteralWithIndicators", "e: |2-  # why\n   abc\n\n   NEEDLE\n", "NEEDLE", 4, 4},
                      Mapped{"Folded", "e: >\n  abc\n  def NEEDLE\n", "NEEDLE", 3, 7},
                      Mapped{"FoldedWithIndentedLines", "e: >-\n  abc\n\n    def\n  NEEDLE\n", "NEEDLE", 5, 3},
                      Mapped{"JoinedInFlow", "e: f(a)\nx: { y: g(a, b) }\n", "a", 1, 6}),
    [](const auto& info) { return info.param.name; });

TEST(Diagnostic, ExpressionErrorInABlockScalarIsRendered) {
  Diagnostics diagnostics;
  const auto document =
      read_document("steps:\n  a:\n    where: |\n      x > 1 AND\n      nam = 'ü'\n", "p.yaml", diagnostics);
  const Located<std::string> where = document->root.find("steps")->find("a")->find("where")->located();
  diagnostics.error_at(where, where->find("nam"), 3, "T0401", "no column 'nam'", "did you mean 'name'?");
  EXPECT_EQ(diagnostics.render(),
            "p.yaml:5:7: error[T0401]: no column 'nam'\n"
            " 5 |       nam = 'ü'\n"
            "   |       ^^^\n"
            "   = hint: did you mean 'name'?\n");
}

TEST(Diagnostic, EndOfAnExpressionIsItsLastPlace) {
  Diagnostics diagnostics;
  const auto document = read_document("w: a +\n", "p.yaml", diagnostics);
  const Located<std::string> where = document->root.find("w")->located();
  diagnostics.error_at(where, where->size(), 1, "T0400", "an operand is missing");
  EXPECT_EQ(diagnostics.all().front().column, 7);
}

TEST(Document, AnExpressionThatBeginsWithAQuoteGetsAHint) {
  Diagnostics diagnostics;
  read_document("where: 'gd' = region\n", "p.yaml", diagnostics);
  EXPECT_THAT(diagnostics.render(), HasSubstr("begins with a quote"));
}

TEST(Diagnostic, LongLinesAreCutAndControlCharactersNeverReachTheTerminal) {
  Diagnostics diagnostics;
  read_document("a: " + std::string(1000, 'x') + " \x1b[31m\n", "p.yaml", diagnostics);
  const std::string text = diagnostics.render();
  EXPECT_LT(text.size(), 600u);
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_THAT(text, HasSubstr("..."));
}

TEST(Diagnostic, JsonCarriesTheSameFields) {
  Diagnostics diagnostics;
  read_document("a: 1\na: \"2\"\n", "p\".yaml", diagnostics);
  EXPECT_EQ(
      diagnostics.to_json(),
      R"({"errors":1,"warnings":0,"diagnostics":[{"severity":"error","code":"T0104","message":"key 'a' is given twice",)"
      R"("file":"p\".yaml","line":2,"column":1,"length":1,"hint":"the first is on line 1; keep one"}]})");
}

}  // namespace
}  // namespace twinspan::config
